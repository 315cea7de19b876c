// Encoded events shared by all consumers: what one of them made somebody read from the store the
// others get as the same bytes. Bounded; the longest unused goes first. New events are encoded
// once, however many consumers wait for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "events/api.h"

namespace doppel::events {

// Consecutive events of one partition, each encoded for consumers. Immutable.
class EncodedBatch {
 public:
  explicit EncodedBatch(const std::vector<store::StreamRecord>& records);

  // Sequence numbers may have gaps where nothing is kept any more; here there are none.
  SequenceNumber first() const { return first_; }
  SequenceNumber end() const { return {first_.value + ends_.size()}; }
  bool has(SequenceNumber sequence) const { return sequence >= first_ && sequence < end(); }
  std::string_view message(SequenceNumber sequence) const;
  std::size_t bytes() const { return kOverheadBytes + bytes_.capacity() + ends_.capacity() * 4; }

 private:
  static constexpr std::size_t kOverheadBytes = 320;  // of itself and its places in the cache

  SequenceNumber first_;
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

inline constexpr std::size_t kBatchCacheBytesMax = 32 * 1024 * 1024;
// One read of the store. An event may be larger (16 MiB at most); it is then a batch of its own.
inline constexpr std::size_t kBatchBytesMax = 256 * 1024;
inline constexpr std::size_t kBatchEventsMax = 1000;

// Any thread; one per server.
class BatchCache {
 public:
  using Batch = std::shared_ptr<const EncodedBatch>;
  using Done = std::function<void(Result<Batch>)>;  // null: there is no event there yet

  // `log` outlives it; loads that are under way are waited for by nobody, so the executors outlive
  // them too.
  explicit BatchCache(EventLog& log, std::size_t bytes_max = kBatchCacheBytesMax)
      : shared_(std::make_shared<Shared>(log, bytes_max)) {}

  // Of a log that was dropped and made again the old events must not be found: `generation` is the
  // event hub's.
  struct Key {
    std::string stream;
    std::uint64_t generation = 0;
    auto operator<=>(const Key&) const = default;
  };

  // What is there. Null: nothing.
  Batch find(const Key& key, SequenceNumber sequence);
  // Reads from `from` on, or from the oldest kept, and calls `done` on the current executor. Those
  // who ask for the same while it is being read share the answer.
  void load(const Key& key, const Partition& partition, SequenceNumber from, Done done);

  std::size_t bytes() const;

 private:
  using ByUse = std::list<std::pair<const Key*, SequenceNumber>>;
  struct Place {
    Batch batch;
    ByUse::iterator use;
  };
  struct Waiter {
    Executor* home;
    Done done;
  };
  struct Shared {
    Shared(EventLog& the_log, std::size_t limit) : log(the_log), bytes_max(limit) {}
    EventLog& log;
    const std::size_t bytes_max;
    mutable std::mutex mutex;
    std::map<Key, std::map<SequenceNumber, Place>> batches;
    ByUse by_use;  // longest unused first
    std::size_t bytes = 0;
    std::map<std::pair<Key, SequenceNumber>, std::vector<Waiter>> loading;

    void insert(const Key& key, Batch batch);
    void evict();
  };

  static Task<void> read(std::shared_ptr<Shared> shared, Key key, Partition partition,
                         SequenceNumber from);

  std::shared_ptr<Shared> shared_;
};

}  // namespace doppel::events
