// The one writer of a store: takes everything queued, decides what may be committed, has the engine
// make it durable in one flush, and only then lets anybody know, in commit order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "store/engine.h"
#include "store/recent_writes.h"
#include "store/store.h"
#include "store/stream_table.h"

namespace doppel::store {

// What one flush takes at most, so that a long queue does not make the first in it wait for all.
inline constexpr std::size_t kFlushBytesMax = 8 * 1024 * 1024;
// Waits between attempts to reopen after a failed flush: doubling from the first to the last.
inline constexpr Duration kReopenDelayFirst = std::chrono::milliseconds(50);
inline constexpr Duration kReopenDelayMax = std::chrono::seconds(5);

// After a flush that at least so many operations shared, the next one waits a moment for the
// answers to bring about as many again: else the first to come back has a flush of its own, and the
// rest wait for it. At most half as long as the flush took, and never longer than this.
inline constexpr std::size_t kGatherFrom = 4;
inline constexpr Duration kGatherMax = std::chrono::microseconds(500);

// One thing to do, as it waits in the queue.
struct Operation {
  BatchStep::Kind kind = BatchStep::Kind::commit;
  WriteSet changes;      // of a commit
  std::string stream;    // of a trim or drop
  SequenceNumber until;  // of a trim
  Executor* home = nullptr;
  Store::CommitDone done;
  std::size_t bytes = 0;
  Result<Committed> outcome;
};

class Committer {
 public:
  // Both must outlive the committer.
  Committer(Engine& engine, const Clock& clock, Threading threading);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Opens the engine and begins to accept. Once, before anything else.
  Status start();
  // Refuses new operations, finishes the accepted ones, closes the engine. Blocking; repeatable.
  void stop();

  // Any thread. `operation.done` is called on its home, never before submit() has returned there.
  void submit(Operation operation);
  // Any thread: works on the queue now if commits are inline (and the engine is not held).
  void pump();

  // Any thread.
  std::shared_ptr<const Snapshot> snapshot() const;
  const StreamTable& streams() const { return streams_; }
  CommitVersion add_observer(Observer& observer);
  void remove_observer(Observer& observer);

 private:
  void run();
  void gather(std::unique_lock<std::mutex>& lock);
  void work(std::vector<Operation>& operations);
  Status flush(std::span<Operation> operations);
  void stage(Operation& operation, const Status& admitted);
  Status stage_commit(Operation& operation);
  SequenceNumber stage_append(StreamName name, std::string_view record);
  void stage_removal(Operation& operation);
  void publish();
  void notify_observers();
  void complete(std::span<Operation> operations);
  void reopen(const Error& cause);
  Status open_engine();

  Engine& engine_;
  const Clock& clock_;
  const Threading threading_;

  // The queue.
  std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::vector<Operation> queue_;
  std::size_t queued_bytes_ = 0;  // waiting, or taken and not yet answered
  std::size_t wake_at_ = 0;       // wakes the committer once so many wait; 0: it does not sleep
  bool is_stopping_ = false;
  std::optional<Error> refusal_;  // set while nothing is accepted

  // The committer's own; with inline commits whoever holds work_mutex_ is the committer.
  std::mutex work_mutex_;
  std::vector<Operation> taken_;
  std::size_t taken_last_ = 0;  // by the flush before
  std::chrono::steady_clock::time_point gather_until_;
  RecentWrites recent_;
  StreamTable streams_;  // its position() is for everybody
  CommitVersion version_;
  TimePoint time_;
  StreamNumber next_stream_ = 1;
  std::vector<BatchStep> steps_;
  std::vector<CommitView::Appended> appends_;
  std::vector<StreamNumber> append_streams_;
  std::vector<std::uint32_t> append_heads_;
  std::vector<StreamMove> moves_;
  std::size_t batch_bytes_ = 0;

  // Held while a batch becomes visible, so that whoever begins to observe misses nothing.
  std::mutex observers_mutex_;
  std::vector<Observer*> observers_;
  CommitVersion published_;

  mutable std::mutex snapshot_mutex_;
  std::shared_ptr<const Snapshot> snapshot_;

  bool is_stopped_ = false;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace doppel::store
