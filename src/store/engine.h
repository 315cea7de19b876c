// What a storage engine does for the shared committer: make one batch durable, show a snapshot of
// it, read streams back. Everything that the promises of store.h have in common (order, versions,
// preconditions, sequence numbers, observers, completions) is the committer's, so an engine knows
// bytes only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "store/store.h"

namespace doppel::store {

// Streams are numbered when they are first appended to, so that record keys stay short. A dropped
// stream gets a new number when it is appended to again; numbers are never used twice. 0: none.
using StreamNumber = std::uint32_t;

// One operation of a batch, in the order of the commits.
struct BatchStep {
  enum class Kind : std::uint8_t { commit, trim, drop };
  Kind kind = Kind::commit;
  // commit
  const WriteSet* changes = nullptr;
  CommitVersion version = {};
  std::size_t append_first = 0;  // where its appends begin in Batch::appends
  std::size_t append_count = 0;
  // trim and drop: forget the records [from, until) of this stream
  StreamNumber stream = 0;
  SequenceNumber from = {};
  SequenceNumber until = {};
};

// Where a stream stands after the batch. `number` 0: it was dropped.
struct StreamHead {
  std::string_view name;
  StreamNumber number = 0;
  StreamBounds bounds;
};

// What one flush makes durable, whole or not at all. Views are valid during Engine::write.
struct Batch {
  std::span<const BatchStep> steps;
  std::span<const CommitView::Appended> appends;  // of all steps
  std::span<const StreamNumber> append_streams;   // parallel to `appends`
  std::span<const std::uint32_t> append_heads;    // parallel to `appends`: places in `heads`
  std::span<const StreamHead> heads;              // each stream that the batch touched, once
  CommitVersion version;                          // of the last commit so far
  TimePoint time;                                 // of every commit in the batch
  StreamNumber next_stream = 1;                   // the number the next new stream will get
  std::size_t bytes = 0;                          // about, of keys, values and records
};

// What the engine found on opening.
struct Recovered {
  struct Stream {
    std::string name;
    StreamNumber number = 0;
    StreamBounds bounds;
  };
  CommitVersion version;
  TimePoint time;
  StreamNumber next_stream = 1;
  std::vector<Stream> streams;
};

// open, admit, write, snapshot and close are called by one thread at a time (the committer); the
// rest by any.
class Engine {
 public:
  virtual ~Engine() = default;

  // Opens, or opens again after a failed write; snapshots of before may answer `unavailable` from
  // then on.
  virtual Result<Recovered> open() = 0;
  // Whether commits may be written now. An error is their answer; nothing has been changed.
  virtual Status admit() = 0;
  // Durable when it succeeds. When it fails the outcome is unknown until open().
  virtual Status write(const Batch& batch) = 0;
  // The state after the last write (or open).
  virtual std::shared_ptr<const Snapshot> snapshot(CommitVersion version) = 0;
  // Blocking; later calls of any kind answer `unavailable`.
  virtual void close() = 0;
  // For tests: with inline commits the queue is left alone while the engine is held, until it calls
  // `pump` (see FaultInjection).
  virtual bool is_held() const { return false; }
  virtual void set_pump(std::function<void()> /*pump*/) {}

  // Records [from, until), all of them durable, within the bounds (at least one).
  virtual Task<Result<std::vector<StreamRecord>>> read_stream(StreamNumber stream,
                                                              SequenceNumber from,
                                                              SequenceNumber until,
                                                              std::size_t count_max,
                                                              std::size_t bytes_max) = 0;
  // The first of [from, until) enqueued at or after `time`, or `until`.
  virtual Task<Result<SequenceNumber>> find_by_time(StreamNumber stream, SequenceNumber from,
                                                    SequenceNumber until, TimePoint time) = 0;
  virtual Task<Status> backup(std::string directory) = 0;
};

enum class Threading : std::uint8_t {
  inline_commits,    // commit() writes before it returns; for deterministic tests
  committer_thread,  // commits are written in groups by a thread of the store's own
};

// Opens `engine` and puts the committer before it. `clock` must outlive the store.
Result<std::unique_ptr<Store>> open_engine_store(std::unique_ptr<Engine> engine, const Clock& clock,
                                                 Threading threading);

}  // namespace doppel::store
