// The partitioned log: event hubs with partitions, and consumers with checkpoints. Everything an
// Event Hubs client, a route or a built-in function reads goes through here; the store keeps it, in
// the commit that caused it.
//
// Which event hubs exist, with how many partitions and which retention, is a matter of resources/.
// Here an event hub is only a name for its partitions' streams.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/task.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::events {

using store::SequenceNumber;

// Where events lie. `space` is an event namespace's resource name, or "hub:<hub name>" for a hub's
// built-in endpoint ("events") and its internal feed ("activity", see hub/api.h).
struct LogName {
  std::string space;
  std::string name;
  auto operator<=>(const LogName&) const = default;
};

struct Partition {
  LogName log;
  std::uint32_t index = 0;
  auto operator<=>(const Partition&) const = default;
};

// One event, with what AMQP keeps apart (reference: OASIS AMQP 1.0 part 3, section 3.2). The body
// is bytes and is never re-serialized. Maps keep the order of insertion on the wire.
template <class Text>
struct BasicEvent {
  using Properties = std::vector<std::pair<Text, Text>>;

  Text body{};
  Properties application_properties{};  // values are strings on every path that IoT Hub knows
  Properties annotations{};             // iothub-connection-device-id, iothub-message-source, ...
  Text message_id{};
  Text correlation_id{};
  Text user_id{};
  Text to{};
  Text content_type{};
  Text content_encoding{};
  Text partition_key{};
  std::optional<TimePoint> absolute_expiry{};

  std::optional<std::string_view> property(std::string_view name) const {
    return find_in(application_properties, name);
  }
  std::optional<std::string_view> annotation(std::string_view name) const {
    return find_in(annotations, name);
  }

 private:
  static std::optional<std::string_view> find_in(const Properties& properties,
                                                 std::string_view name) {
    for (const auto& [key, value] : properties)
      if (key == name) return value;
    return std::nullopt;
  }
};
using Event = BasicEvent<std::string>;
// The same without copies, for whoever only looks: views into a record, or into an Event.
using EventView = BasicEvent<std::string_view>;
EventView view(const Event& event);

struct StoredEvent {
  SequenceNumber sequence;
  TimePoint enqueued;
  Event event;
};

// Compact binary form, version byte first (docs/wire/event-record.md). decode refuses what encode
// never writes.
std::string encode(const Event& event);
std::string encode(const EventView& event);
Result<Event> decode(std::string_view record);
Result<EventView> decode_view(std::string_view record);

// The partition of a key (Azure's hash; reference/event-hubs.md section 10), and so of a device ID.
std::uint32_t partition_of(std::string_view key, std::uint32_t partition_count);

std::string stream_name(const Partition& partition);

// Stage an append into a commit that also does other things.
void stage(store::WriteSet& changes, const Partition& partition, const Event& event);
void stage(store::Transaction& tx, const Partition& partition, const Event& event);

// Checkpoint of a durable consumer: the next sequence number it wants. Staged together with the
// effect of the events before it, which is how built-in consumers take effect exactly once.
std::string checkpoint_key(std::string_view consumer, const Partition& partition);
void stage_checkpoint(store::Transaction& tx, std::string_view consumer, const Partition& partition,
                      SequenceNumber next);
// What the keys of all checkpoints in one log begin with.
std::string checkpoint_prefix(const LogName& log);
// Nothing: the consumer never was here.
Task<Result<std::optional<SequenceNumber>>> read_checkpoint(store::Transaction& tx,
                                                            std::string_view consumer,
                                                            const Partition& partition);

// Readers, waiters and retention. One per server. Any thread.
class EventLog : public store::Observer {
 public:
  EventLog(store::Store& store, const Clock& clock);
  ~EventLog() override;

  // From `from` on (or the oldest kept); empty when there is none yet.
  Task<Result<std::vector<StoredEvent>>> read(Partition partition, SequenceNumber from,
                                              std::size_t count_max,
                                              std::size_t bytes_max = 1024 * 1024);
  // The same before decoding.
  Task<Result<std::vector<store::StreamRecord>>> read_records(Partition partition,
                                                              SequenceNumber from,
                                                              std::size_t count_max,
                                                              std::size_t bytes_max = 1024 * 1024);
  store::StreamBounds bounds(const Partition& partition) const;
  Task<Result<SequenceNumber>> find_by_time(Partition partition, TimePoint time);

  // Calls `wake` on `home` once, as soon as the partition holds an event with sequence >= `from`
  // (at once if it does). Returns a ticket for cancel_wait; bounded by kWaitersMax (then:
  // throttled). A wake that is already posted when cancel_wait is called still comes, and after a
  // failed flush everybody is woken for a new look. Waiters are cancelled before `home` goes away.
  using Ticket = std::uint64_t;
  Result<Ticket> wait(const Partition& partition, SequenceNumber from, Executor& home,
                      std::function<void()> wake);
  void cancel_wait(Ticket ticket);
  // The same as a task: true when there is one, false when stopped.
  Task<bool> wait_for(Partition partition, SequenceNumber from, std::stop_token stop);

  // Retention by time: forgets events older than `keep`, but never passes the checkpoint of a
  // consumer in `protected_by`; one that has none yet protects everything. Called by the server's
  // housekeeping for each partition.
  Task<Status> apply_retention(Partition partition, Duration keep,
                               std::vector<std::string> protected_by);
  // Forgets a log with its checkpoints; a log of that name made later begins anew.
  Task<Status> drop(LogName log, std::uint32_t partition_count);

  void on_commit(const store::CommitView& /*commit*/) override {}
  void on_streams(std::span<const store::StreamMove> moves) override;
  void on_reopened(store::CommitVersion version) override;

  store::Store& store() { return store_; }

 private:
  struct Impl;
  store::Store& store_;
  const Clock& clock_;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::size_t kWaitersMax = 100'000;

}  // namespace doppel::events
