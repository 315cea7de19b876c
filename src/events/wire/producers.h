// Idempotent producers: which sequence number each has come to, kept in the commit of its events
// (docs/wire/event-hubs.md, "Idempotent producers").
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "events/wire/event_message.h"
#include "store/store.h"

namespace doppel::events {

// A producer that has not attached or sent for this long is forgotten, and of more than this many
// on one partition those that were quiet longest. Kafka's brokers keep theirs as long by default
// (producer.id.expiration.ms); the service names no figure.
inline constexpr Duration kProducerKept = std::chrono::hours(24);
inline constexpr std::size_t kProducersMax = 10'000;

// What is known of one producer on one partition.
struct ProducerState {
  std::int64_t id = 0;
  std::int32_t epoch = 0;
  std::int32_t sequence = 0;  // of the last event accepted; the next one is one more
  TimePoint used{};
};

// What an attach asks for; what is missing is assigned.
struct ProducerWish {
  std::optional<std::int64_t> id{};
  std::optional<std::int32_t> epoch{};
  std::optional<std::int32_t> sequence{};
};

// Registers the producer and so ends the hold of one with an older epoch. Errors:
// precondition_failed (a newer epoch has the partition).
Task<Result<ProducerState>> open_producer(store::Store& store, Random& random, TimePoint now,
                                          Partition partition, ProducerWish wish);

// What a delivery of `count` events that begins with `mark` is to a producer.
enum class Arrival : std::uint8_t {
  next,
  repeated,
  out_of_order,
  stolen,
  foreign,
  forgotten,  // the producer was: it has to attach again
};
Arrival judge(const ProducerState& state, const ProducerMark& mark, std::size_t count);

// Appends the events and moves the producer's sequence number in one commit, unless they are not
// its next ones; the answer tells. Deliveries of one producer are appended one after the other.
// Errors: those of the store.
Task<Result<Arrival>> append_produced(store::Store& store, TimePoint now, Partition partition,
                                      std::int64_t id, ProducerMark mark,
                                      std::vector<std::string> records);

// Forgets those whose time has come (kProducerKept, kProducersMax). One that is used meanwhile
// stays. For housekeeping; costs a scan of the partition's producers. Errors: those of the store.
Task<Status> forget_idle_producers(store::Store& store, TimePoint now, Partition partition,
                                   std::size_t producers_max = kProducersMax);

}  // namespace doppel::events
