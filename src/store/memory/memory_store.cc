#include "store/memory/memory_store.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <utility>

#include "base/check.h"
#include "store/memory/versioned_map.h"

namespace doppel::store {
namespace {

class MemorySnapshot final : public Snapshot {
 public:
  MemorySnapshot(std::shared_ptr<VersionedMap> keys, CommitVersion version)
      : keys_(std::move(keys)), version_(version) {
    keys_->acquire(version_);
  }
  ~MemorySnapshot() override { keys_->release(version_); }

  CommitVersion version() const override { return version_; }

  Task<Result<std::optional<std::string>>> get(std::string key) const override {
    co_return keys_->get(key, version_);
  }

  Task<Result<std::vector<Entry>>> scan(std::string first, std::string last,
                                        std::size_t limit) const override {
    co_return keys_->scan(first, last, limit, version_);
  }

 private:
  std::shared_ptr<VersionedMap> keys_;  // a snapshot may outlive its store
  CommitVersion version_;
};

class MemoryEngine final : public Engine {
 public:
  explicit MemoryEngine(MemoryOptions options) : options_(options) {}
  ~MemoryEngine() override {
    if (options_.faults != nullptr) options_.faults->on_release({});
  }

  Result<Recovered> open() override {
    Recovered recovered{
        .version = version_, .time = time_, .next_stream = next_stream_, .streams = {}};
    for (const auto& [name, head] : heads_)
      recovered.streams.push_back({.name = name, .number = head.number, .bounds = head.bounds});
    return recovered;
  }

  Status admit() override {
    if (options_.faults == nullptr || options_.faults->next() != FaultInjection::Fault::refuse)
      return {};
    options_.faults->clear();
    return fail(Code::unavailable, "refused by fault injection");
  }

  Status write(const Batch& batch) override {
    auto fault = FaultInjection::Fault::none;
    if (options_.faults != nullptr) {
      if (options_.threading == Threading::committer_thread) options_.faults->wait_until_released();
      fault = options_.faults->next();
      options_.faults->clear();
    }
    if (fault == FaultInjection::Fault::lose_write)
      return fail(Code::unavailable, "write lost by fault injection");
    apply(batch);
    if (fault == FaultInjection::Fault::lose_answer)
      return fail(Code::unavailable, "answer lost by fault injection");
    return {};
  }

  std::shared_ptr<const Snapshot> snapshot(CommitVersion version) override {
    return std::make_shared<MemorySnapshot>(keys_, version);
  }

  void close() override {}

  bool is_held() const override { return options_.faults != nullptr && options_.faults->is_held(); }

  void set_pump(std::function<void()> pump) override {
    if (options_.faults != nullptr) options_.faults->on_release(std::move(pump));
  }

  Task<Result<std::vector<StreamRecord>>> read_stream(StreamNumber stream, SequenceNumber from,
                                                      SequenceNumber until, std::size_t count_max,
                                                      std::size_t bytes_max) override {
    std::vector<StreamRecord> records;
    std::size_t bytes = 0;
    const std::shared_lock lock(streams_mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) co_return records;
    for (auto at = found->second.lower_bound(from);
         at != found->second.end() && at->first < until && records.size() < count_max; ++at) {
      bytes += at->second.record.size();
      if (!records.empty() && bytes > bytes_max) break;
      records.push_back(at->second);
    }
    co_return records;
  }

  Task<Result<SequenceNumber>> find_by_time(StreamNumber stream, SequenceNumber from,
                                            SequenceNumber until, TimePoint time) override {
    const std::shared_lock lock(streams_mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) co_return until;
    for (auto at = found->second.lower_bound(from); at != found->second.end() && at->first < until;
         ++at)
      if (at->second.enqueued >= time) co_return at->first;
    co_return until;
  }

  Task<Status> backup(std::string /*directory*/) override {
    co_return fail(Code::unsupported, "a store in memory has nothing to back up to");
  }

 private:
  struct Head {
    StreamNumber number;
    StreamBounds bounds;
  };

  void apply(const Batch& batch) {
    const std::unique_lock lock(streams_mutex_);
    for (const auto& step : batch.steps) {
      if (step.kind == BatchStep::Kind::commit) {
        apply_commit(batch, step);
      } else if (const auto at = streams_.find(step.stream); at != streams_.end()) {
        auto& records = at->second;
        records.erase(records.lower_bound(step.from), records.lower_bound(step.until));
        if (step.kind == BatchStep::Kind::drop) streams_.erase(at);
      }
    }
    for (const auto& head : batch.heads) {
      if (head.number == 0)
        heads_.erase(std::string(head.name));
      else
        heads_[std::string(head.name)] = {.number = head.number, .bounds = head.bounds};
    }
    version_ = batch.version;
    time_ = batch.time;
    next_stream_ = batch.next_stream;
  }

  void apply_commit(const Batch& batch, const BatchStep& step) {
    for (const auto& put : step.changes->puts) keys_->set(put.key, put.value, step.version);
    for (const auto& erased : step.changes->erases) keys_->set(erased, std::nullopt, step.version);
    for (std::size_t i = step.append_first; i < step.append_first + step.append_count; ++i) {
      const auto& append = batch.appends[i];
      streams_[batch.append_streams[i]].emplace(append.sequence,
                                                StreamRecord{.sequence = append.sequence,
                                                             .enqueued = batch.time,
                                                             .record = std::string(append.record)});
    }
  }

  const MemoryOptions options_;
  const std::shared_ptr<VersionedMap> keys_ = std::make_shared<VersionedMap>();
  mutable std::shared_mutex streams_mutex_;
  std::map<StreamNumber, std::map<SequenceNumber, StreamRecord>> streams_;
  std::map<std::string, Head> heads_;
  CommitVersion version_;
  TimePoint time_;
  StreamNumber next_stream_ = 1;
};

}  // namespace

std::unique_ptr<Store> open_memory(const Clock& clock, MemoryOptions options) {
  auto store = open_engine_store(std::make_unique<MemoryEngine>(options), clock, options.threading);
  check(store.has_value(), "a store in memory always opens");
  return std::move(*store);
}

}  // namespace doppel::store
