#include "store/committer.h"

#include <algorithm>
#include <utility>

#include <pthread.h>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/write_set.h"

namespace doppel::store {
namespace {

// Tests open many stores and write little to each.
constexpr std::size_t kInlineRecentWritesMax = 16 * 1024;

// Vectors that grew in a burst are given back when they hold more than this many operations.
constexpr std::size_t kIdleOperationsMax = 16 * 1024;

struct Metrics {
  metrics::Counter& commits =
      metrics::counter("doppel_store_commits_total", "Commits made durable");
  metrics::Counter& conflicts =
      metrics::counter("doppel_store_conflicts_total", "Commits refused because another one won");
  metrics::Counter& failures =
      metrics::counter("doppel_store_flush_failures_total", "Flushes with an unknown outcome");
  metrics::Histogram& flush_seconds =
      metrics::histogram("doppel_store_flush_seconds", "Making one batch of commits durable");
};
Metrics& counters() {
  static Metrics all;
  return all;
}

void refuse(Operation operation, Error error) {
  auto& home = *operation.home;
  home.post([done = std::move(operation.done), error = std::move(error)]() mutable {
    done(std::unexpected(std::move(error)));
  });
}

}  // namespace

Committer::Committer(Engine& engine, const Clock& clock, Threading threading)
    : engine_(engine),
      clock_(clock),
      threading_(threading),
      refusal_(Error{.code = Code::unavailable, .message = "the store is not open"}),
      recent_(threading == Threading::inline_commits ? kInlineRecentWritesMax : kRecentWritesMax) {}

Committer::~Committer() { stop(); }

Status Committer::start() {
  if (auto opened = open_engine(); !opened) return opened;
  {
    const std::lock_guard lock(queue_mutex_);
    refusal_.reset();
  }
  engine_.set_pump([this] { pump(); });
  if (threading_ == Threading::committer_thread) thread_ = std::jthread([this] { run(); });
  return {};
}

void Committer::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    is_stopping_ = true;
    if (!refusal_) refusal_ = Error{.code = Code::unavailable, .message = "the store has stopped"};
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  pump();
  if (std::exchange(is_stopped_, true)) return;
  engine_.set_pump({});
  std::vector<Operation> held;
  {
    const std::lock_guard lock(queue_mutex_);
    held.swap(queue_);
  }
  for (auto& operation : held) operation.outcome = fail(Code::unavailable, "the store has stopped");
  complete(held);
  engine_.close();
}

void Committer::submit(Operation operation) {
  if (operation.kind == BatchStep::Kind::commit) {
    auto measured = measure(operation.changes);
    if (!measured) return refuse(std::move(operation), std::move(measured.error()));
    operation.bytes = *measured + sizeof(Operation);
  }
  std::optional<Error> error;
  bool must_wake = false;
  {
    const std::lock_guard lock(queue_mutex_);
    if (refusal_) {
      error = refusal_;
    } else if (queued_bytes_ + operation.bytes > kQueuedCommitBytesMax) {
      error = Error{.code = Code::throttled, .message = "too many commits wait for the disk"};
    } else {
      queued_bytes_ += operation.bytes;
      queue_.push_back(std::move(operation));
      must_wake = wake_at_ != 0 && queue_.size() >= wake_at_;
      if (must_wake) wake_at_ = 0;
    }
  }
  if (error) return refuse(std::move(operation), std::move(*error));
  if (must_wake) wake_.notify_one();
  pump();
}

void Committer::pump() {
  if (threading_ != Threading::inline_commits) return;
  const std::lock_guard work_lock(work_mutex_);
  while (!engine_.is_held()) {
    {
      const std::lock_guard lock(queue_mutex_);
      if (queue_.empty()) return;
      taken_.swap(queue_);
    }
    work(taken_);
  }
}

void Committer::run() {
  ::pthread_setname_np(::pthread_self(), "committer");
  std::unique_lock lock(queue_mutex_);
  while (true) {
    if (queue_.empty()) {
      if (is_stopping_) return;
      wake_at_ = 1;
      wake_.wait(lock);
      wake_at_ = 0;
      continue;
    }
    gather(lock);
    taken_.swap(queue_);
    lock.unlock();
    const auto began = std::chrono::steady_clock::now();
    taken_last_ = taken_.size();
    work(taken_);
    const auto ended = std::chrono::steady_clock::now();
    gather_until_ = ended + std::min<Duration>((ended - began) / 2, kGatherMax);
    lock.lock();
  }
}

void Committer::gather(std::unique_lock<std::mutex>& lock) {
  if (taken_last_ < kGatherFrom) return;
  wake_at_ = taken_last_;
  wake_.wait_until(lock, gather_until_,
                   [this] { return is_stopping_ || queue_.size() >= taken_last_; });
  wake_at_ = 0;
}

void Committer::work(std::vector<Operation>& operations) {
  std::span<Operation> rest(operations);
  while (!rest.empty()) {
    std::size_t count = 1;
    for (auto bytes = rest[0].bytes; count < rest.size(); ++count) {
      bytes += rest[count].bytes;
      if (bytes > kFlushBytesMax) break;
    }
    auto flushed = flush(rest.first(count));
    if (!flushed) {
      for (auto& unwritten : rest.subspan(count)) unwritten.outcome = fail(flushed.error());
      complete(rest);
      reopen(flushed.error());
      break;
    }
    complete(rest.first(count));
    rest = rest.subspan(count);
  }
  operations.clear();
  if (operations.capacity() > kIdleOperationsMax) operations.shrink_to_fit();
}

// Decides and writes; an error means that the outcome of those not yet refused is unknown.
Status Committer::flush(std::span<Operation> operations) {
  steps_.clear();
  appends_.clear();
  append_streams_.clear();
  append_heads_.clear();
  batch_bytes_ = 0;
  time_ = std::max(time_, clock_.now());
  const auto admitted = engine_.admit();
  for (auto& operation : operations) stage(operation, admitted);
  if (steps_.empty()) return {};

  const auto& heads = streams_.touched_heads();
  const Batch batch{.steps = steps_,
                    .appends = appends_,
                    .append_streams = append_streams_,
                    .append_heads = append_heads_,
                    .heads = heads,
                    .version = version_,
                    .time = time_,
                    .next_stream = next_stream_,
                    .bytes = batch_bytes_};
  const auto began = clock_.steady();
  auto written = engine_.write(batch);
  if (!written) {
    counters().failures.add();
    Error error{.code = Code::unavailable,
                .message = "the outcome is unknown: " + written.error().message};
    for (auto& operation : operations)
      if (operation.outcome) operation.outcome = fail(error);
    return fail(std::move(error));
  }
  counters().flush_seconds.observe_seconds(
      std::chrono::duration<double>(clock_.steady() - began).count());
  publish();
  return {};
}

void Committer::stage(Operation& operation, const Status& admitted) {
  if (operation.kind != BatchStep::Kind::commit) return stage_removal(operation);
  if (!admitted) {
    operation.outcome = fail(admitted.error());
    return;
  }
  if (auto staged = stage_commit(operation); !staged)
    operation.outcome = fail(std::move(staged.error()));
}

Status Committer::stage_commit(Operation& operation) {
  const auto& changes = operation.changes;
  for (const auto& required : changes.required) {
    if (!recent_.written_since(required, changes.read_version)) continue;
    counters().conflicts.add();
    return fail(Code::conflict, "another commit changed what this one was decided on");
  }
  version_ = version_.next();
  for (const auto& put : changes.puts) recent_.note(put.key, version_);
  for (const auto& erased : changes.erases) recent_.note(erased, version_);

  operation.outcome->version = version_;
  operation.outcome->time = time_;
  steps_.push_back({.kind = BatchStep::Kind::commit,
                    .changes = &changes,
                    .version = version_,
                    .append_first = appends_.size(),
                    .append_count = 0});
  auto& appended = operation.outcome->appended;
  for (const auto& append : changes.appends) {
    appended.reserve(appended.size() + append.streams.all().size());
    for (const auto name : append.streams.all())
      appended.push_back(stage_append(name, append.record));
  }
  steps_.back().append_count = appends_.size() - steps_.back().append_first;
  batch_bytes_ += operation.bytes;
  return {};
}

SequenceNumber Committer::stage_append(StreamName name, std::string_view record) {
  auto& stream = streams_.find_or_add(name);
  if (stream.number == 0) stream.number = next_stream_++;
  streams_.touch(stream);
  const auto sequence = stream.staged.next;
  stream.staged.next = sequence.next();
  stream.staged.last_enqueued = time_;
  appends_.push_back({.stream = stream.name, .sequence = sequence, .record = record});
  append_streams_.push_back(stream.number);
  append_heads_.push_back(stream.head);
  return sequence;
}

void Committer::stage_removal(Operation& operation) {
  auto* const stream = streams_.find(operation.stream);
  if (stream == nullptr || stream->number == 0) return;  // nothing to forget
  const bool is_drop = operation.kind == BatchStep::Kind::drop;
  const auto until = is_drop ? stream->staged.next : std::min(operation.until, stream->staged.next);
  if (!is_drop && until <= stream->staged.first) return;
  steps_.push_back({.kind = operation.kind,
                    .stream = stream->number,
                    .from = stream->staged.first,
                    .until = until});
  streams_.touch(*stream);
  stream->staged.first = until;
  if (is_drop) {
    stream->number = 0;
    stream->staged = {};
  }
}

// Heads and the snapshot go first: what an observer wakes may read at once, and must not find the
// state of before and go back to sleep.
void Committer::publish() {
  const std::lock_guard observing(observers_mutex_);
  moves_.clear();
  for (const auto& head : streams_.touched_heads())
    moves_.push_back({.stream = head.name, .bounds = head.bounds});
  streams_.publish();
  auto snapshot = engine_.snapshot(version_);
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_.swap(snapshot);
  }
  notify_observers();
  published_ = version_;
  streams_.forget_dropped();
}

void Committer::notify_observers() {
  std::size_t commits = 0;
  for (const auto& step : steps_) {
    if (step.kind != BatchStep::Kind::commit) continue;
    ++commits;
    if (observers_.empty()) continue;
    const CommitView view{
        .version = step.version,
        .time = time_,
        .puts = step.changes->puts,
        .erases = step.changes->erases,
        .appends = std::span(appends_).subspan(step.append_first, step.append_count)};
    for (auto* const observer : observers_) observer->on_commit(view);
  }
  if (!moves_.empty())
    for (auto* const observer : observers_) observer->on_streams(moves_);
  counters().commits.add(commits);
}

// One post for each executor, so that a thousand acknowledgements wake a loop once.
void Committer::complete(std::span<Operation> operations) {
  struct Completion {
    Store::CommitDone done;
    Result<Committed> outcome;
  };
  struct Group {
    Executor* home;
    std::vector<Completion> completions;
  };
  std::vector<Group> groups;  // as many as there are cores, so a linear search is right
  std::size_t bytes = 0;
  for (auto& operation : operations) {
    bytes += operation.bytes;
    auto group = std::ranges::find(groups, operation.home, &Group::home);
    if (group == groups.end()) {
      group = groups.insert(groups.end(), Group{.home = operation.home, .completions = {}});
      group->completions.reserve(operations.size());
    }
    group->completions.push_back(
        {.done = std::move(operation.done), .outcome = std::move(operation.outcome)});
  }
  {
    const std::lock_guard lock(queue_mutex_);
    queued_bytes_ -= bytes;
  }
  for (auto& group : groups) {
    group.home->post([completions = std::move(group.completions)]() mutable {
      for (auto& completion : completions) completion.done(std::move(completion.outcome));
    });
  }
}

void Committer::reopen(const Error& cause) {
  log::error("store.flush_failed", {{"reason", std::string_view(cause.message)}});
  std::vector<Operation> waiting;
  {
    const std::lock_guard lock(queue_mutex_);
    if (!refusal_)
      refusal_ = Error{.code = Code::unavailable,
                       .message = "the store is recovering from a failed write"};
    waiting.swap(queue_);
  }
  for (auto& operation : waiting) operation.outcome = fail(cause);
  complete(waiting);

  Duration delay = kReopenDelayFirst;
  while (true) {
    auto opened = open_engine();
    if (opened) break;
    log::error("store.reopen_failed", {{"reason", std::string_view(opened.error().message)}});
    std::unique_lock lock(queue_mutex_);
    if (threading_ == Threading::inline_commits) return;  // nobody may wait here
    wake_.wait_for(lock, delay, [this] { return is_stopping_; });
    if (is_stopping_) return;
    delay = std::min(delay * 2, kReopenDelayMax);
  }
  const std::lock_guard lock(queue_mutex_);
  if (!is_stopping_) refusal_.reset();
  log::info("store.reopened", {{"version", version_.value}});
}

Status Committer::open_engine() {
  auto recovered = engine_.open();
  if (!recovered) return fail(std::move(recovered.error()));
  version_ = recovered->version;
  time_ = std::max(time_, recovered->time);
  next_stream_ = recovered->next_stream;
  recent_.reset(version_);

  const std::lock_guard observing(observers_mutex_);
  streams_.reset(std::move(recovered->streams));
  auto snapshot = engine_.snapshot(version_);
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_.swap(snapshot);
  }
  published_ = version_;
  for (auto* const observer : observers_) observer->on_reopened(version_);
  return {};
}

std::shared_ptr<const Snapshot> Committer::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

CommitVersion Committer::add_observer(Observer& observer) {
  const std::lock_guard lock(observers_mutex_);
  observers_.push_back(&observer);
  return published_;
}

void Committer::remove_observer(Observer& observer) {
  const std::lock_guard lock(observers_mutex_);
  std::erase(observers_, &observer);
}

}  // namespace doppel::store
