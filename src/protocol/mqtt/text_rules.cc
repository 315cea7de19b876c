#include "protocol/mqtt/text_rules.h"

#include <cstdint>
#include <cstring>

#include "base/encoding.h"

namespace doppel::mqtt {
namespace {

constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080U;
constexpr std::uint64_t kLowBits = 0x0101'0101'0101'0101U;

// True if one of the eight bytes is zero or not ASCII. (For ASCII bytes the subtraction sets the
// high bit of a byte exactly where it was zero, or above such a byte.)
bool has_zero_or_non_ascii(std::uint64_t bytes) {
  return ((bytes | (bytes - kLowBits)) & kHighBits) != 0;
}

// The next level of a topic, removed from the front; false when there is none left.
bool next_level(std::string_view& rest, bool& done, std::string_view& level) {
  if (done) return false;
  const auto slash = rest.find('/');
  level = rest.substr(0, slash);
  done = slash == std::string_view::npos;
  rest.remove_prefix(done ? rest.size() : slash + 1);
  return true;
}

}  // namespace

bool is_valid_text(std::string_view text) {
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t bytes{};
    std::memcpy(&bytes, text.data() + i, sizeof bytes);
    if (has_zero_or_non_ascii(bytes)) break;
  }
  // All before `i` is ASCII, so no character straddles it.
  const std::string_view rest = text.substr(i);
  return rest.find('\0') == std::string_view::npos && is_valid_utf8(rest);
}

bool is_topic_name(std::string_view topic) {
  return !topic.empty() && std::memchr(topic.data(), '+', topic.size()) == nullptr &&
         std::memchr(topic.data(), '#', topic.size()) == nullptr;
}

bool is_topic_filter(std::string_view filter) {
  if (filter.empty()) return false;
  bool done = false;
  std::string_view level;
  while (next_level(filter, done, level)) {
    if (level.find_first_of("+#") == std::string_view::npos) continue;
    if (level.size() != 1) return false;
    if (level == "#" && !done) return false;
  }
  return true;
}

bool matches_filter(std::string_view filter, std::string_view topic) {
  if (topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+'))) return false;
  bool filter_done = false;
  bool topic_done = false;
  std::string_view wanted;
  std::string_view level;
  while (next_level(filter, filter_done, wanted)) {
    if (wanted == "#") return true;  // the parent level too: "a/#" matches "a" (section 4.7.1.2)
    if (!next_level(topic, topic_done, level)) return false;
    if (wanted != "+" && wanted != level) return false;
  }
  return topic_done;
}

}  // namespace doppel::mqtt
