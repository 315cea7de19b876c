// Input: a document, a line break, a patch. A patch is applied whole or not at all, and its result
// is a document that can be stored and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "json/merge_patch.h"
#include "json/patch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto document = json::parse(text.substr(0, line));
  const auto patch = json::parse(text.substr(line + 1));
  if (!document || !patch) return 0;

  auto merged = *document;
  json::merge_patch(merged, *patch);
  check(json::parse(json::write(merged)).has_value(), "a merged document can be read again");

  const auto operations = json::parse_patch(*patch);
  if (!operations) return 0;
  auto patched = *document;
  if (!json::apply_patch(patched, *operations)) {
    check(json::write(patched) == json::write(*document), "a failed patch changes nothing");
    return 0;
  }
  const auto again = json::parse(json::write(patched));
  check(again && json::equal(*again, patched), "a patched document can be read again");
  return 0;
}
