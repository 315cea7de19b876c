// Events between AMQP messages and records: what a producer's message becomes in the log, and what
// consumers get of a record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "events/api.h"
#include "protocol/amqp/service.h"

namespace doppel::events {

// Names on the wire.
inline constexpr std::string_view kPartitionKey = "x-opt-partition-key";
inline constexpr std::string_view kPublisherName = "x-opt-publisher-name";
inline constexpr std::string_view kSequenceNumber = "x-opt-sequence-number";
inline constexpr std::string_view kOffset = "x-opt-offset";
inline constexpr std::string_view kEnqueuedTime = "x-opt-enqueued-time";
inline constexpr std::string_view kProducerId = "com.microsoft:producer-id";
inline constexpr std::string_view kProducerEpoch = "com.microsoft:producer-epoch";
inline constexpr std::string_view kProducerSequence = "com.microsoft:producer-sequence-number";

inline constexpr std::size_t kPartitionKeyCharsMax = 128;  // event-hubs.md section 6

// What an idempotent producer wrote into an event.
struct ProducerMark {
  std::int64_t id = 0;
  std::int32_t epoch = 0;
  std::int32_t sequence = 0;
};

// One delivery, ready to be appended.
struct IncomingEvents {
  std::string partition_key;
  std::vector<std::string> records;
  // Of the first event; the others must follow it.
  std::optional<ProducerMark> producer;
};

// A single event or, by its message format, a batch. `publisher` is the sender's publisher name or
// empty; it stands in for the partition key. Errors: invalid_argument, with a text for the client.
// Cost: one pass over everything but the bodies, one copy of each event.
Result<IncomingEvents> read_events(const amqp::Delivery& delivery, std::string_view publisher);

// One event for the HTTP API: the same record as if it had come over AMQP.
std::string make_record(std::string_view partition_key, std::string_view message);

// Appends the encoded message of a record: the annotations of the service, then the sender's, then
// the rest. A record that does not decode becomes an event with its bytes as the body, so that a
// damaged one holds up nobody; `false` tells.
bool append_message(std::string& out, std::string_view record, SequenceNumber sequence,
                    TimePoint enqueued);

}  // namespace doppel::events
