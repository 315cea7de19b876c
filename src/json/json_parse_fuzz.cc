// Both readers take the same texts, and what they take must come out of both writers and back again
// as the same value.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/encoding.h"
#include "json/reader.h"
#include "json/value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = json::parse(text);
  const auto fast = json::FastDocument::parse(text);
  // The one difference (reader.h): simdjson takes exponents beyond 31 bits.
  const bool may_differ = !value && value.error().message.contains("exponent");
  check(may_differ || value.has_value() == fast.has_value(), "both readers take the same texts");
  if (!value) return 0;
  const auto root = fast->value({});
  check(root && json::write(*root) == json::write(*value), "both readers read the same");
  check(is_valid_utf8(text), "only UTF-8 is parsed");
  const auto written = json::write(*value);
  const auto again = json::parse(written);
  check(again.has_value(), "what we write can be parsed");
  check(json::equal(*value, *again), "what we write has the same value");
  check(json::write(*again) == written, "writing twice gives the same text");
  const auto pretty = json::parse(json::write_pretty(*value));
  check(pretty && json::equal(*value, *pretty), "pretty text has the same value");
  return 0;
}
