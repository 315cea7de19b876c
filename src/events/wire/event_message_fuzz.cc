// Any bytes from a producer, as an event or as a batch: what is taken can be given to consumers,
// has the service's annotations once, and keeps the sender's bare message byte for byte.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "events/amqp_event.h"
#include "events/wire/event_message.h"
#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

constexpr SequenceNumber kSequence{41};
constexpr TimePoint kEnqueued{std::chrono::seconds(1'800'000'000)};

// How often a name is among the annotations.
std::size_t count(const amqp::Map& map, std::string_view name) {
  std::size_t found = 0;
  for (const auto& [key, value] : map.entries) {
    const auto* text = key.text_if();
    if (text != nullptr && *text == name) ++found;
  }
  return found;
}

void check_record(const std::string& record, const IncomingEvents& events) {
  const auto stored = decode_amqp(record);
  check(stored.has_value(), "a record of ours decodes");
  check(stored->partition_key == events.partition_key, "with its key");
  check(decode(record).has_value(), "functions can read what a producer sent");

  std::string out;
  check(append_message(out, record, kSequence, kEnqueued), "a record of ours is no damaged one");
  const auto message = amqp::split_message(out);
  check(message.has_value(), "consumers get a message");
  const auto annotations = amqp::decode_map(message->message_annotations);
  check(annotations.has_value(), "with annotations");
  for (const auto name : {kSequenceNumber, kOffset, kEnqueuedTime})
    check(count(*annotations, name) == 1, "the service says it once");
  check(*annotations->find(kSequenceNumber) == amqp::Value(std::int64_t{41}), "the right number");
  check(count(*annotations, kPartitionKey) == (events.partition_key.empty() ? 0 : 1), "the key");
  for (const auto name : {kProducerId, kProducerEpoch, kProducerSequence})
    check(count(*annotations, name) == 0, "what is between producer and service stays there");
}

// What the sender made, as it lies in its message.
void check_bare(std::string_view sent, const std::string& record) {
  std::string out;
  append_message(out, record, kSequence, kEnqueued);
  check(amqp::split_message(out)->bare == amqp::split_message(sent)->bare, "byte for byte");
}

void run(std::string_view payload, std::uint32_t format, std::string_view publisher) {
  const auto events = read_events({.message_format = format, .payload = payload}, publisher);
  if (!events) {
    check(events.error().code == Code::invalid_argument, "the message is the client's fault");
    return check(!events.error().message.empty(), "and it is told why");
  }
  check(!events->records.empty(), "a delivery that is taken has an event");
  for (const auto& record : events->records) check_record(record, *events);
  if (format == 0) check_bare(payload, events->records.front());
}

}  // namespace
}  // namespace doppel::events

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  doppel::events::run(input, 0, "");
  doppel::events::run(input, 0, "publisher");
  doppel::events::run(input, doppel::amqp::kBatchMessageFormat, "");
  return 0;
}
