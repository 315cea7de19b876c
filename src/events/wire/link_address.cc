#include "events/wire/link_address.h"

#include <charconv>
#include <vector>

#include "base/encoding.h"

namespace doppel::events {
namespace {

constexpr std::string_view kSelectorFilter = "apache.org:selector-filter:string";
constexpr std::string_view kAnnotationPrefix = "amqp.annotation.";

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (true) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == path.npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::unexpected<Error> bad(std::string_view what, std::string_view selector) {
  constexpr std::size_t kShownMax = 200;
  std::string text(what);
  text.append(" Filter: ").append(selector.substr(0, kShownMax));
  return fail(Code::invalid_argument, std::move(text));
}

// The text of the selector within a described value, or as a bare string.
const std::string* selector_of(const amqp::Value& value) {
  if (const auto* described = value.described_if()) return described->value.text_if();
  return value.text_if();
}

}  // namespace

std::optional<LinkAddress> parse_address(std::string_view node) {
  while (node.ends_with('/')) node.remove_suffix(1);
  const auto segments = split(node);
  LinkAddress address{.event_hub = segments.front()};
  if (address.event_hub.empty()) return std::nullopt;
  std::size_t i = 1;
  if (segments.size() == 2 && equal_ignoring_case(segments[1], "$management")) {
    address.is_management = true;
    return address;
  }
  if (i + 1 < segments.size() && equal_ignoring_case(segments[i], "ConsumerGroups")) {
    address.consumer_group = segments[i + 1];
    if (address.consumer_group.empty()) return std::nullopt;
    i += 2;
  }
  if (i + 1 < segments.size() && equal_ignoring_case(segments[i], "Partitions")) {
    address.partition = number<std::uint32_t>(segments[i + 1]);
    if (!address.partition) return std::nullopt;
    i += 2;
  } else if (i == 1 && i + 1 < segments.size() && equal_ignoring_case(segments[i], "Publishers")) {
    address.publisher = segments[i + 1];
    if (address.publisher.empty()) return std::nullopt;
    i += 2;
  }
  if (i != segments.size()) return std::nullopt;
  return address;
}

std::string offset_text(std::int64_t sequence) { return std::to_string(sequence); }

Result<Position> parse_selector(std::string_view selector) {
  auto rest = trim(selector);
  if (!rest.starts_with(kAnnotationPrefix)) return bad("The filter is not supported.", selector);
  rest.remove_prefix(kAnnotationPrefix.size());
  const auto sign = rest.find('>');
  if (sign == rest.npos) return bad("The filter has no '>' or '>='.", selector);
  const auto name = trim(rest.substr(0, sign));
  rest.remove_prefix(sign + 1);
  Position position;
  if (rest.starts_with('=')) {
    position.is_inclusive = true;
    rest.remove_prefix(1);
  }
  auto value = trim(rest);
  if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'')
    value = value.substr(1, value.size() - 2);

  const bool is_offset = name == "x-opt-offset";
  if (is_offset && value == "@latest") {
    position.kind = Position::Kind::latest;
    return position;
  }
  const auto parsed = number<std::int64_t>(value);
  if (!parsed) return bad("The filter does not compare with a number.", selector);
  position.value = *parsed;
  if (is_offset || name == "x-opt-sequence-number") {
    // -1 is before the first event, inclusive or not; no client means another negative number.
    if (*parsed < -1) return bad("The position is negative.", selector);
    position.kind = *parsed < 0 ? Position::Kind::earliest : Position::Kind::sequence;
    return position;
  }
  if (name == "x-opt-enqueued-time" || name == "x-opt-enqueuedtimeutc") {
    position.kind = Position::Kind::time;
    return position;
  }
  return bad("The filter is about an unknown annotation.", selector);
}

Result<Position> parse_filter(const amqp::Map* filter) {
  if (filter == nullptr) return Position{};
  const auto* value = filter->find(kSelectorFilter);
  if (value == nullptr) return Position{};
  const auto* selector = selector_of(*value);
  if (selector == nullptr) return fail(Code::invalid_argument, "The filter is no text.");
  return parse_selector(*selector);
}

}  // namespace doppel::events
