#include <atomic>
#include <mutex>
#include <unordered_map>

#include "base/check.h"
#include "events/api.h"

namespace doppel::events {
namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
template <class T>
using ByText = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

using Wake = std::function<void()>;

// How long wait_for sleeps when there is no room for another waiter.
constexpr Duration kCrowdedPause = std::chrono::milliseconds(200);
constexpr std::size_t kDropBatch = 1000;

}  // namespace

// Waiters by stream. `heads` knows the next sequence number of each stream that was appended to
// while we watched, so that a commit between a waiter's look and its registration is not missed,
// whatever order the store moves its heads and calls its observers in.
struct EventLog::Impl {
  struct Waiter {
    SequenceNumber from;
    Executor* home;
    Wake wake;
  };
  struct Stream {
    SequenceNumber next;  // as far as we have seen
    std::unordered_map<Ticket, Waiter> waiters;
  };

  std::mutex mutex;
  ByText<Stream> streams;
  std::unordered_map<Ticket, std::string> stream_of;
  Ticket last_ticket = 0;

  // Takes a waiter out; nothing if it is gone. With the lock held.
  std::optional<Waiter> take(Ticket ticket) {
    const auto named = stream_of.find(ticket);
    if (named == stream_of.end()) return std::nullopt;
    auto& waiters = streams.find(named->second)->second.waiters;
    auto node = waiters.extract(ticket);
    stream_of.erase(named);
    return std::move(node.mapped());
  }
};

EventLog::EventLog(store::Store& store, const Clock& clock)
    : store_(store), clock_(clock), impl_(std::make_unique<Impl>()) {
  store_.add_observer(*this);
}

EventLog::~EventLog() { store_.remove_observer(*this); }

Task<Result<std::vector<StoredEvent>>> EventLog::read(Partition partition, SequenceNumber from,
                                                      std::size_t count_max,
                                                      std::size_t bytes_max) {
  auto records = co_await read_records(std::move(partition), from, count_max, bytes_max);
  if (!records) co_return fail(std::move(records.error()));
  std::vector<StoredEvent> events;
  events.reserve(records->size());
  for (const auto& record : *records) {
    auto event = decode(record.record);
    if (!event) co_return fail(std::move(event.error()));
    events.push_back(
        {.sequence = record.sequence, .enqueued = record.enqueued, .event = std::move(*event)});
  }
  co_return events;
}

Task<Result<std::vector<store::StreamRecord>>> EventLog::read_records(Partition partition,
                                                                      SequenceNumber from,
                                                                      std::size_t count_max,
                                                                      std::size_t bytes_max) {
  co_return co_await store_.read_stream(stream_name(partition), from, count_max, bytes_max);
}

store::StreamBounds EventLog::bounds(const Partition& partition) const {
  return store_.stream_bounds(stream_name(partition));
}

Task<Result<SequenceNumber>> EventLog::find_by_time(Partition partition, TimePoint time) {
  co_return co_await store_.find_by_time(stream_name(partition), time);
}

Result<EventLog::Ticket> EventLog::wait(const Partition& partition, SequenceNumber from,
                                        Executor& home, std::function<void()> wake) {
  const auto name = stream_name(partition);
  Ticket ticket = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stream_of.size() >= kWaitersMax)
      return fail(Code::throttled, "too many readers wait for events");
    ticket = ++impl_->last_ticket;
    auto& stream = impl_->streams[name];
    stream.waiters.emplace(ticket,
                           Impl::Waiter{.from = from, .home = &home, .wake = std::move(wake)});
    impl_->stream_of.emplace(ticket, name);
  }
  // Registered first, looked second: what is committed in between finds the waiter. The store is
  // asked without our lock, because it calls on_streams with locks of its own.
  const auto durable = store_.stream_bounds(name).next;
  std::optional<Impl::Waiter> ready;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto stream = impl_->streams.find(name);
    const auto seen = stream == impl_->streams.end() ? SequenceNumber{} : stream->second.next;
    if (std::max(durable, seen) > from) ready = impl_->take(ticket);
  }
  if (ready) ready->home->post(std::move(ready->wake));
  return ticket;
}

void EventLog::cancel_wait(Ticket ticket) {
  std::optional<Impl::Waiter> cancelled;  // destroyed after the lock is gone
  const std::lock_guard lock(impl_->mutex);
  cancelled = impl_->take(ticket);
}

Task<bool> EventLog::wait_for(Partition partition, SequenceNumber from, std::stop_token stop) {
  // Shared by the waker and the stop callback, of which exactly one completes the wait.
  struct Wait {
    std::move_only_function<void(bool)> done;
    std::atomic<bool> finished = false;
    void finish(bool woken) {
      if (!finished.exchange(true)) done(woken);
    }
  };
  while (!stop.stop_requested()) {
    auto state = std::make_shared<Wait>();
    Executor& home = Executor::current();
    Result<Ticket> ticket = 0;
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
    std::move_only_function<void(std::move_only_function<void(bool)>)> start =
        [&](std::move_only_function<void(bool)> done) {
          state->done = std::move(done);
          ticket = wait(partition, from, home, [state] { state->finish(true); });
          if (!ticket) return state->finish(false);
          on_stop.emplace(stop, [state] { state->finish(false); });
        };
    const bool woken = co_await from_callback<bool>(std::move(start));
    if (woken) co_return true;
    if (ticket) {
      cancel_wait(*ticket);
      co_return false;
    }
    co_await sleep_for(kCrowdedPause, stop);
    if (bounds(partition).next > from) co_return true;
  }
  co_return false;
}

Task<Status> EventLog::apply_retention(Partition partition, Duration keep,
                                       std::vector<std::string> protected_by) {
  const auto bounds_now = bounds(partition);
  if (bounds_now.first == bounds_now.next) co_return Status();
  auto until = co_await find_by_time(partition, clock_.now() - keep);
  if (!until) co_return fail(std::move(until.error()));

  store::Transaction tx(store_);  // only read from
  for (const auto& consumer : protected_by) {
    auto checkpoint = co_await read_checkpoint(tx, consumer, partition);
    if (!checkpoint) co_return fail(std::move(checkpoint.error()));
    until = std::min(*until, checkpoint->value_or(SequenceNumber{}));
  }
  if (*until <= bounds_now.first) co_return Status();
  co_return co_await store_.trim_stream(stream_name(partition), *until);
}

Task<Status> EventLog::drop(LogName log, std::uint32_t partition_count) {
  // Checkpoints first: one that outlived its stream would skip the first events of the next one.
  for (;;) {
    store::Transaction tx(store_);
    auto found = co_await tx.scan_prefix(checkpoint_prefix(log), kDropBatch);
    if (!found) co_return fail(std::move(found.error()));
    for (auto& entry : *found) tx.erase(std::move(entry.key));
    auto committed = co_await tx.commit();
    if (!committed) co_return fail(std::move(committed.error()));
    if (found->size() < kDropBatch) break;
  }
  for (std::uint32_t i = 0; i < partition_count; ++i) {
    auto name = stream_name({.log = log, .index = i});
    auto dropped = co_await store_.drop_stream(name);
    if (!dropped) co_return fail(std::move(dropped.error()));
    const std::lock_guard lock(impl_->mutex);
    if (const auto stream = impl_->streams.find(name); stream != impl_->streams.end())
      stream->second.next = {};
  }
  co_return Status();
}

void EventLog::on_streams(std::span<const store::StreamMove> moves) {
  std::vector<Impl::Waiter> ready;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& move : moves) {
      auto stream = impl_->streams.find(move.stream);
      if (stream == impl_->streams.end())
        stream = impl_->streams.emplace(std::string(move.stream), Impl::Stream{}).first;
      stream->second.next = move.bounds.next;
      auto& waiters = stream->second.waiters;
      for (auto at = waiters.begin(); at != waiters.end();) {
        if (at->second.from >= move.bounds.next) {
          ++at;
          continue;
        }
        ready.push_back(std::move(at->second));
        impl_->stream_of.erase(at->first);
        at = waiters.erase(at);
      }
    }
  }
  for (auto& waiter : ready) waiter.home->post(std::move(waiter.wake));
}

// Appends may have become durable that no on_streams told of: everybody looks again.
void EventLog::on_reopened(store::CommitVersion) {
  std::vector<Impl::Waiter> all;
  {
    const std::lock_guard lock(impl_->mutex);
    for (auto& [name, stream] : impl_->streams)
      for (auto& [ticket, waiter] : stream.waiters) all.push_back(std::move(waiter));
    impl_->streams.clear();
    impl_->stream_of.clear();
  }
  for (auto& waiter : all) waiter.home->post(std::move(waiter.wake));
}

}  // namespace doppel::events
