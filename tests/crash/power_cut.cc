#include "power_cut.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <fmt/core.h>

#include "base/random.h"
#include "base/worker.h"
#include "forgetful_file_system.h"
#include "store/contract_testing.h"

namespace doppel::crash {
namespace {

using store::key;
using store::number_part;
using store::SequenceNumber;
using store::Store;
using store::testing::run_on;

constexpr int kCutsInARun = 4;
constexpr std::uint64_t kCommitsBetweenCuts = 1500;
constexpr std::uint64_t kWindowMax = 64;       // commits waiting at once
constexpr std::uint64_t kOperationsMax = 500;  // until the power goes off
// So small that buffers are flushed and tables compacted between the cuts.
constexpr std::size_t kBufferBytes = 512 * 1024;
constexpr std::size_t kCacheBytes = 1024 * 1024;
constexpr std::uint64_t kTrimEvery = 100;
const std::vector<std::string> kStreams = {key({"s", "0"}), key({"s", "1"}), key({"s", "2"}),
                                           key({"all"})};
constexpr std::size_t kTrimmedStream = 1;

// What commit number `i` contains when it is made in the life `life`.
std::string text_of(std::uint64_t i, std::uint64_t life) {
  return fmt::format("{}/{}/{}", i, life, std::string(i * 37 % 900, 'x'));
}
std::size_t stream_of(std::uint64_t i) { return i % 3; }

store::WriteSet make_commit(std::uint64_t i, std::uint64_t life) {
  const auto text = text_of(i, life);
  store::WriteSet set;
  set.puts.push_back({.key = key({"a", number_part(i)}), .value = text});
  set.puts.push_back({.key = key({"b", number_part(i)}), .value = text});
  if (i % 2 == 0) set.puts.push_back({.key = key({"until next", number_part(i)}), .value = text});
  if (i % 2 == 1) set.erases.push_back(key({"until next", number_part(i - 1)}));
  set.appends.push_back({.stream = kStreams[stream_of(i)], .record = text});
  if (i % 5 == 0) set.appends.push_back({.stream = kStreams[3], .record = text});
  return set;
}

class Run {
 public:
  Run(std::string directory, std::uint64_t seed, store::Durability durability, Report& report)
      : directory_(std::move(directory)),
        seed_(seed),
        random_(seed),
        durability_(durability),
        report_(report) {}

  void run() {
    for (int cut = 0; cut < kCutsInARun && !has_failed_; ++cut) live_until_cut();
    if (!has_failed_) open(0);
  }

 private:
  // Opens and checks; null if the power went off meanwhile or the store does not open.
  std::unique_ptr<Store> open(std::uint64_t cut_at) {
    disk_ = std::make_shared<ForgetfulFileSystem>(random_.next(), cut_at);
    auto opened = store::open_rocksdb({.directory = directory_,
                                       .clock = &clock_,
                                       .durability = durability_,
                                       .cache_bytes = kCacheBytes,
                                       .buffer_bytes = kBufferBytes,
                                       .free_bytes_min = 0,
                                       .file_system = disk_});
    if (!opened) {
      if (!disk_->is_cut()) violation("it does not open: " + opened.error().message);
      ++report_.cuts_while_opening;
      return nullptr;
    }
    verify(**opened);
    return std::move(*opened);
  }

  void live_until_cut() {
    ++life_;
    auto store = open(1 + random_.next() % kOperationsMax);
    if (store != nullptr) {
      if (!has_failed_) write(*store);
      disk_->cut_now();
      store->stop();
      store.reset();
    }
    ++report_.cuts;
    disk_->forget();
  }

  void write(Store& store) {
    const auto window = 1 + random_.next() % kWindowMax;
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t waiting = 0;
    bool is_over = false;
    const auto first = lives_.size();
    std::uint64_t acknowledged_here = 0;
    for (auto i = first; i < first + kCommitsBetweenCuts; ++i) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return waiting < window; });
        if (is_over) break;
        ++waiting;
      }
      lives_.push_back(life_);
      if (i % kTrimEvery == kTrimEvery - 1) trim(store, i);
      store.commit(make_commit(i, life_), worker_, [&, i](Result<store::Committed> committed) {
        const std::lock_guard lock(mutex);
        --waiting;
        if (committed) {
          acknowledged_ = std::max(acknowledged_, i + 1);
          ++acknowledged_here;
        } else {
          is_over = true;
        }
        changed.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == 0; });
    report_.acknowledged += acknowledged_here;
  }

  void trim(Store& store, std::uint64_t i) {
    const SequenceNumber until{i / 6};  // a third of the commits append to it; half of those go
    trim_asked_ = std::max(trim_asked_, until.value);
    const auto trimmed = run_on(worker_, store.trim_stream(kStreams[kTrimmedStream], until));
    if (trimmed) trim_done_ = std::max(trim_done_, until.value);
  }

  // The store must be the first `version` commits of those made, no less than acknowledged.
  void verify(Store& store) {
    const auto snapshot = store.snapshot();
    const auto count = snapshot->version().value;
    if (count < acknowledged_)
      return violation(
          fmt::format("{} commits are there, {} were acknowledged", count, acknowledged_));
    if (count > lives_.size())
      return violation(
          fmt::format("{} commits are there, only {} were made", count, lives_.size()));
    report_.unacknowledged_but_kept += count - acknowledged_;
    report_.lost += lives_.size() - count;
    lives_.resize(count);
    // Whoever reads sees them from now on, so the next cut must not take them away.
    acknowledged_ = count;
    verify_keys(*snapshot);
    for (std::size_t stream = 0; stream < kStreams.size(); ++stream) verify_stream(store, stream);
  }

  void verify_keys(const store::Snapshot& snapshot) {
    std::map<std::string, std::string> expected;
    for (std::uint64_t i = 0; i < lives_.size(); ++i) {
      const auto made = make_commit(i, lives_[i]);
      for (const auto& put : made.puts) expected[put.key] = put.value;
      for (const auto& erased : made.erases) expected.erase(erased);
    }
    const auto found = run_on(worker_, snapshot.scan("", "", lives_.size() * 4 + 10));
    if (!found) return violation("keys cannot be read: " + found.error().message);
    auto want = expected.begin();
    for (const auto& entry : *found) {
      if (want == expected.end() || want->first != entry.key || want->second != entry.value)
        return violation("a key is there that should not be, or has another value");
      ++want;
    }
    if (want != expected.end()) violation("a key is missing");
  }

  void verify_stream(Store& store, std::size_t stream) {
    std::vector<std::string> expected;
    for (std::uint64_t i = 0; i < lives_.size(); ++i)
      if (stream == 3 ? i % 5 == 0 : stream_of(i) == stream)
        expected.push_back(text_of(i, lives_[i]));
    const auto bounds = store.stream_bounds(kStreams[stream]);
    if (bounds.next.value != expected.size())
      return violation(
          fmt::format("stream {} ends at {}, not {}", stream, bounds.next.value, expected.size()));
    const bool is_trimmed = stream == kTrimmedStream;
    const auto trim_done = std::min<std::uint64_t>(is_trimmed ? trim_done_ : 0, expected.size());
    if (bounds.first.value < trim_done || bounds.first.value > (is_trimmed ? trim_asked_ : 0))
      return violation(fmt::format("stream {} begins at {}", stream, bounds.first.value));
    const auto read =
        run_on(worker_, store.read_stream(kStreams[stream], {0}, expected.size() + 10, 1U << 30U));
    if (!read) return violation("a stream cannot be read: " + read.error().message);
    auto next = bounds.first;
    for (const auto& record : *read) {
      if (record.sequence != next)
        return violation(fmt::format("stream {} has a hole at {}", stream, next.value));
      if (record.record != expected[next.value])
        return violation(fmt::format("stream {} has another record at {}", stream, next.value));
      next = next.next();
    }
    if (next != bounds.next)
      violation(fmt::format("stream {} has records up to {}, not {}", stream, next.value,
                            bounds.next.value));
  }

  void violation(std::string what) {
    has_failed_ = true;
    report_.violations.push_back(fmt::format("seed {}, life {}: {}", seed_, life_, what));
  }

  const std::string directory_;
  const std::uint64_t seed_;
  SeededRandom random_;
  const store::Durability durability_;
  Report& report_;
  SystemClock clock_;
  Worker worker_{"acknowledged"};
  std::shared_ptr<ForgetfulFileSystem> disk_;
  bool has_failed_ = false;
  std::uint64_t life_ = 0;
  std::vector<std::uint64_t> lives_;  // of each commit made: in which life
  std::uint64_t acknowledged_ = 0;    // this many from the first on must be there
  std::uint64_t trim_asked_ = 0;
  std::uint64_t trim_done_ = 0;
};

}  // namespace

void run_power_cuts(const std::string& directory, std::uint64_t seed, store::Durability durability,
                    Report& report) {
  Run(directory, seed, durability, report).run();
}

}  // namespace doppel::crash
