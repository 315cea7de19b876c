// An event as an AMQP client sent it, kept byte for byte: the second format of event records
// (docs/wire/event-record.md). Consumers over AMQP get the very same sections back; who reads it as
// an `Event` gets text. `decode` takes both formats, `decode_view` only the other one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "events/api.h"

namespace doppel::events {

// Views: into a message or into a record.
struct AmqpEvent {
  std::string_view partition_key{};
  // The sender's message annotations without those that the service sets: keys and values encoded
  // one after the other, `annotation_count` pairs.
  std::uint32_t annotation_count = 0;
  std::string_view annotations{};
  // Properties, application properties, body and footer, as they came.
  std::string_view message{};
};

// Copies once.
std::string encode(const AmqpEvent& event);

// Whether a record is of this format. The other one is an `Event`.
bool is_amqp_record(std::string_view record);

// Views into the record. Errors: internal, when it is damaged.
Result<AmqpEvent> decode_amqp(std::string_view record);

// The event with everything as text: numbers in decimal, UUIDs in hex groups, maps and lists as
// JSON; several data sections joined. For functions, the HTTP API and tests.
Result<Event> decode_amqp_text(std::string_view record);

}  // namespace doppel::events
