// The transactional store under every service: ordered keys, event streams, one atomic commit for
// both. Engines live in store/memory and store/rocksdb; nothing above this header knows them
// (docs/decisions/003-store.md says how each promise here is kept by RocksDB and by PostgreSQL).
//
// Promises:
//   1. A commit is all or nothing, and it is on disk before anybody is told of it.
//   2. Commits have versions that only grow; a snapshot sees exactly the commits up to its version.
//   3. An observer sees every commit once, in order, after it is durable and before the committer
//   is told,
//      so what an observer maintains (an index, a cache) is never behind an acknowledgement.
//   4. Appends get dense sequence numbers per stream, beginning with 0; heads move only when
//   durable.
//   5. A failed flush leaves the outcome unknown: `unavailable` is answered, the engine reopens,
//   replays and
//      accepts again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/strong_id.h"
#include "base/task.h"
#include "store/stream_name.h"

namespace doppel::store {

using CommitVersion = StrongNumber<struct CommitVersionTag, std::uint64_t>;  // 0: before any commit
using SequenceNumber =
    StrongNumber<struct SequenceNumberTag, std::uint64_t>;  // of one stream, from 0

// Bounds. A write set beyond them is refused with too_large and changes nothing.
inline constexpr std::size_t kKeySizeMax = 4 * 1024;
inline constexpr std::size_t kValueSizeMax = 16 * 1024 * 1024;
inline constexpr std::size_t kWriteSetSizeMax = 64 * 1024 * 1024;
inline constexpr std::size_t kQueuedCommitBytesMax =
    256 * 1024 * 1024;  // waiting; beyond: throttled

struct Put {
  std::string key;
  std::string value;
};

struct Append {
  StreamNames streams;  // each gets the record; names are made by store::key(), like keys
  std::string record;
};

// What one commit shall change. Plain data; not shared between threads.
struct WriteSet {
  // The snapshot the decision was made on. `required` keys must not have been written since:
  // present, absent or changed, any write after `read_version` makes the commit fail with conflict.
  // A read version older than the engine remembers is a conflict too.
  CommitVersion read_version = {};
  std::vector<std::string> required = {};

  std::vector<Put> puts = {};  // at most one change per key in puts and erases together
  std::vector<std::string> erases = {};
  std::vector<Append> appends = {};  // in this order within a stream

  bool empty() const { return puts.empty() && erases.empty() && appends.empty(); }
};

struct Committed {
  CommitVersion version;
  TimePoint time;  // as stamped on the appended records; never goes back in one store
  std::vector<SequenceNumber> appended;  // one for each stream of each of WriteSet::appends
};

struct Entry {
  std::string key;
  std::string value;
};

struct StreamRecord {
  SequenceNumber sequence;
  TimePoint enqueued;  // when it was committed
  std::string record;
};

struct StreamBounds {
  SequenceNumber first;     // oldest record kept; == next when there is none
  SequenceNumber next;      // the number the next append will get
  TimePoint last_enqueued;  // of the newest record there ever was; epoch when none
};

// A consistent view of the keys. Reads may touch the disk: they are tasks, resume on the caller's
// executor, and usually finish without leaving the thread. Any thread may hold one; hold it
// briefly, it pins old data. Streams are append-only and are read through the Store.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual CommitVersion version() const = 0;
  virtual Task<Result<std::optional<std::string>>> get(std::string key) const = 0;
  // Entries with first <= key < last (an empty `last` means no end), in order, at most `limit`.
  virtual Task<Result<std::vector<Entry>>> scan(std::string first, std::string last,
                                                std::size_t limit) const = 0;
};

// One commit as observers see it; the views are valid during the call.
struct CommitView {
  CommitVersion version;
  TimePoint time;
  std::span<const Put> puts;
  std::span<const std::string> erases;
  struct Appended {
    std::string_view stream;
    SequenceNumber sequence;
    std::string_view record;
  };
  std::span<const Appended> appends;
};

// Where a stream stands after a flush that appended to it, trimmed or dropped it.
struct StreamMove {
  std::string_view stream;
  StreamBounds bounds;
};

// Called on the engine's committer thread: quick, never blocking, never calling the store.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_commit(const CommitView& commit) = 0;
  // After the commits of one flush, once for all of them: much cheaper than looking at each append
  // for whoever only needs to know that there is something to read.
  virtual void on_streams(std::span<const StreamMove> /*moves*/) {}
  // The engine has reopened after a failed flush: forget everything and rebuild from a snapshot at
  // `version`; commits after it follow.
  virtual void on_reopened(CommitVersion version) = 0;
};

class Store {
 public:
  using CommitDone = std::move_only_function<void(Result<Committed>)>;

  virtual ~Store() = default;

  virtual std::shared_ptr<const Snapshot> snapshot() = 0;

  // Queues `changes` and calls `done` on `home` when they are durable or refused. Completions of
  // one flush reach one executor in one post. Any thread. Errors: conflict, too_large, throttled
  // (queue full), unavailable.
  virtual void commit(WriteSet changes, Executor& home, CommitDone done) = 0;

  // Records from `from` on (or from the oldest kept), at most `count_max` and about `bytes_max` (at
  // least one record if there is one). Empty when there is none yet.
  virtual Task<Result<std::vector<StreamRecord>>> read_stream(std::string stream,
                                                              SequenceNumber from,
                                                              std::size_t count_max,
                                                              std::size_t bytes_max) = 0;
  // The first record enqueued at or after `time` (or `next`).
  virtual Task<Result<SequenceNumber>> find_by_time(std::string stream, TimePoint time) = 0;
  // Cheap, from memory; what is durable now. A stream that was never appended to has {0, 0}.
  virtual StreamBounds stream_bounds(std::string_view stream) const = 0;
  // Forgets records before `until`. Not transactional; repeating is harmless.
  virtual Task<Status> trim_stream(std::string stream, SequenceNumber until) = 0;
  // Forgets the stream altogether; a later append begins with 0 again.
  virtual Task<Status> drop_stream(std::string stream) = 0;

  // Observers hear of every commit after the call returns; the version of the last commit they will
  // NOT hear of is returned, so snapshot + observation has no gap. `observer` must outlive the
  // store or be removed.
  virtual CommitVersion add_observer(Observer& observer) = 0;
  virtual void remove_observer(Observer& observer) = 0;

  // Copies a consistent state to the empty or absent folder `directory`, while running.
  virtual Task<Status> backup(std::string directory) = 0;

  // Refuses new commits, finishes the accepted ones, closes. Blocking; call once, from no executor
  // of ours.
  virtual void stop() = 0;

  // commit() as a task.
  Task<Result<Committed>> commit(WriteSet changes);
};

// Keys and stream names: parts joined so that they sort part by part and a prefix of parts is a
// prefix of bytes. Each part is its text with 0x00 written as 0x00 0xFF, ended by 0x00 0x01.
std::string key(std::initializer_list<std::string_view> parts);
// The parts of a key made by key(); nothing if it is not one.
std::optional<std::vector<std::string>> split_key(std::string_view key);
// The smallest key greater than every key that begins with `prefix`.
std::string after_prefix(std::string_view prefix);
// An integer as a key part that sorts as a number.
std::string number_part(std::uint64_t value);

}  // namespace doppel::store
