#include "power_cut.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/core.h>

#include "life.h"
#include "store/contract_testing.h"

namespace doppel::crash {
namespace {

using store::key;
using store::number_part;
using store::SequenceNumber;
using store::Store;
using store::testing::run_on;

constexpr std::uint64_t kCommitsBetweenCuts = 1500;
constexpr std::uint64_t kWindowMax = 64;  // commits waiting at once
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
  set.appends.push_back({.streams = kStreams[stream_of(i)], .record = text});
  if (i % 5 == 0) set.appends.push_back({.streams = kStreams[3], .record = text});
  return set;
}

// What the parent has to know of a life. Plain data: it comes through a pipe.
struct Outcome {
  std::uint64_t verified = 0;  // commits that were there on opening
  std::uint64_t made = 0;      // commits there may be now
  std::uint64_t required = 0;  // of those, how many must be there
  std::uint64_t trim_asked = 0;
  std::uint64_t trim_done = 0;
  std::uint64_t acknowledged = 0;
  bool is_opened = false;
  char violation[512] = {};
};

class StoreLife final : public Life {
 public:
  StoreLife(std::string directory, std::uint64_t seed, store::Durability durability,
            std::uint64_t life, std::vector<std::uint64_t> lives, const Outcome& before)
      : Life(std::move(directory), seed, durability),
        life_(life),
        lives_(std::move(lives)),
        outcome_{.made = before.made,
                 .required = before.required,
                 .trim_asked = before.trim_asked,
                 .trim_done = before.trim_done} {}

  Outcome outcome_now() {
    const std::lock_guard lock(mutex_);
    copy_violation(outcome_.violation);
    return outcome_;
  }

 private:
  void look(Store& store) override { verify(store); }

  void write(Store& store) override {
    const auto window = 1 + random_.next() % kWindowMax;
    const auto first = lives_.size();
    for (auto i = first; i < first + kCommitsBetweenCuts; ++i) {
      if (i % kTrimEvery == kTrimEvery - 1) trim(store, i);
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ < window; });
        if (has_failed()) return;
        ++waiting_;
        outcome_.made = i + 1;
      }
      store.commit(make_commit(i, life_), worker_, [this, i](Result<store::Committed> committed) {
        const std::lock_guard lock(mutex_);
        --waiting_;
        if (committed) {
          outcome_.required = std::max(outcome_.required, i + 1);
          ++outcome_.acknowledged;
        } else {
          violation("a commit failed: " + committed.error().message);
        }
        changed_.notify_one();
      });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
  }

  void trim(Store& store, std::uint64_t i) {
    const SequenceNumber until{i / 6};  // a third of the commits append to it; half of those go
    {
      const std::lock_guard lock(mutex_);
      outcome_.trim_asked = std::max(outcome_.trim_asked, until.value);
    }
    const auto trimmed = run_on(worker_, store.trim_stream(kStreams[kTrimmedStream], until));
    const std::lock_guard lock(mutex_);
    if (trimmed) outcome_.trim_done = std::max(outcome_.trim_done, until.value);
  }

  // The store must be the first `version` commits of those made, no less than acknowledged.
  void verify(Store& store) {
    const auto snapshot = store.snapshot();
    const auto count = snapshot->version().value;
    const auto acknowledged = outcome_.required;
    if (count < acknowledged)
      return violation(
          fmt::format("{} commits are there, {} were acknowledged", count, acknowledged));
    if (count > lives_.size())
      return violation(
          fmt::format("{} commits are there, only {} were made", count, lives_.size()));
    lives_.resize(count);
    {
      const std::lock_guard lock(mutex_);
      outcome_.is_opened = true;
      outcome_.verified = count;
      outcome_.made = count;
      // Whoever reads sees them from now on, so the next cut must not take them away.
      outcome_.required = count;
    }
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
    const auto trim_done =
        std::min<std::uint64_t>(is_trimmed ? outcome_.trim_done : 0, expected.size());
    if (bounds.first.value < trim_done ||
        bounds.first.value > (is_trimmed ? outcome_.trim_asked : 0))
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

  const std::uint64_t life_;
  std::vector<std::uint64_t> lives_;  // of each commit made: in which life
  std::mutex mutex_;                  // over the following three
  std::condition_variable changed_;
  Outcome outcome_;
  std::uint64_t waiting_ = 0;
};
}  // namespace

void run_power_cuts(const std::string& directory, std::uint64_t seed, store::Durability durability,
                    Report& report) {
  SeededRandom random(seed);
  std::vector<std::uint64_t> lives;
  Outcome before;
  for (std::uint64_t life = 1; life <= kCutsInARun + 1; ++life) {
    const bool is_cut = life <= kCutsInARun;
    const auto life_seed = random.next();
    const auto outcome = in_child([&] {
      auto* const one = new StoreLife(directory, life_seed, durability, life, lives, before);
      Outcome at_cut;
      one->run(is_cut, [&] { at_cut = one->outcome_now(); });
      return at_cut;
    });
    const std::string_view violation =
        outcome ? outcome->violation : "the process died before the power did";
    if (!violation.empty()) {
      report.violations.push_back(fmt::format("seed {}, life {}: {}", seed, life, violation));
      return;
    }
    if (is_cut) ++report.cuts;
    if (outcome->is_opened) {
      report.unacknowledged_but_kept += outcome->verified - before.required;
      report.lost += lives.size() - outcome->verified;
      lives.resize(outcome->verified);
    } else {
      ++report.cuts_while_opening;
    }
    lives.resize(outcome->made, life);
    report.acknowledged += outcome->acknowledged;
    before = *outcome;
  }
}

}  // namespace doppel::crash
