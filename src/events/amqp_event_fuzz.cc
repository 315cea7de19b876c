// Any bytes as a record of the AMQP format: its parts lie within it, there is one form of each, and
// what readers of text get is text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "events/amqp_event.h"

namespace doppel::events {
namespace {

constexpr char kFormatVersion = 2;

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void run(std::string_view record) {
  check(is_amqp_record(record), "it says so in its first byte");
  const auto kept = decode_amqp(record);
  const auto text = decode_amqp_text(record);
  const auto event = decode(record);
  check(text.has_value() == event.has_value(), "decode() takes both formats");
  if (!kept) {
    check(!text, "what does not decode has no text");
    return check(!kept.error().message.empty(), "a refusal has its reason");
  }
  for (const auto part : {kept->partition_key, kept->annotations, kept->message})
    check(lies_in(part, record), "views into the record");
  check(encode(*kept) == record, "one form of each event");
  if (!text) return check(!text.error().message.empty(), "a refusal has its reason");
  check(text->partition_key == kept->partition_key, "the key is the same");
  check(text->annotations.size() == kept->annotation_count, "as many annotations");
  // Read as text and written in the other format it is an event again.
  const auto again = decode(encode(*text));
  check(again.has_value() && again->body == text->body, "it survives as text");
}

}  // namespace
}  // namespace doppel::events

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string record(1, doppel::events::kFormatVersion);
  record.append(reinterpret_cast<const char*>(data), size);
  doppel::events::run(record);
  return 0;
}
