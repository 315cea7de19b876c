// Durable commits of one 512-byte append each, N waiting at any time: the rate, and the CPU of the
// whole process (submitting, committing, background flushes) per commit. The disk decides the rate;
// compare the CPU.
#include <atomic>
#include <future>
#include <string>

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "base/worker.h"
#include "store/contract_testing.h"
#include "store/memory/memory_store.h"
#include "store/rocksdb/rocksdb_store.h"

namespace doppel::store {
namespace {

constexpr std::size_t kRecordSize = 512;
constexpr int kStreams = 4;

double process_cpu_seconds() {
  struct ::rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const ::timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Keeps `window` commits waiting until `count` are done. Everything but the store runs on `home`.
class ClosedLoop {
 public:
  ClosedLoop(Store& store, Worker& home, std::uint64_t count)
      : store_(store), home_(home), left_(count), unfinished_(count) {
    for (int i = 0; i < kStreams; ++i)
      streams_.push_back(key({"bench", "partition", std::to_string(i)}));
  }

  void run(std::uint64_t window) {
    home_.post([this, window] {
      for (std::uint64_t i = 0; i < window; ++i) submit();
    });
    finished_.get_future().wait();
  }

 private:
  void submit() {
    if (left_ == 0) return;
    --left_;
    WriteSet set;
    set.appends.push_back(
        {.streams = streams_[left_ % kStreams], .record = std::string(kRecordSize, 'x')});
    store_.commit(std::move(set), home_, [this](Result<Committed> committed) {
      check(committed.has_value(), "the benchmark's commits succeed");
      submit();
      if (--unfinished_ == 0) finished_.set_value();
    });
  }

  Store& store_;
  Worker& home_;
  std::uint64_t left_;
  std::uint64_t unfinished_;
  std::vector<std::string> streams_;
  std::promise<void> finished_;
};

void measure(benchmark::State& state, Store& store) {
  Worker home("home");
  const auto window = static_cast<std::uint64_t>(state.range(0));
  const auto each = window * 50;
  std::uint64_t commits = 0;
  const auto began = process_cpu_seconds();
  for (auto _ : state) {
    ClosedLoop loop(store, home, each);
    loop.run(window);
    commits += each;
  }
  const auto cpu = process_cpu_seconds() - began;
  state.SetItemsProcessed(static_cast<std::int64_t>(commits));
  state.counters["cpu_us_per_commit"] = cpu * 1e6 / static_cast<double>(commits);
}

void durable_appends(benchmark::State& state) {
  const testing::TemporaryFolder folder;
  const SystemClock clock;
  auto store = open_rocksdb({.directory = folder.path(), .clock = &clock, .free_bytes_min = 0});
  check(store.has_value(), "the benchmark's store opens");
  measure(state, **store);
  (*store)->stop();
}
BENCHMARK(durable_appends)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->UseRealTime();

// The share of the committer itself.
void appends_in_memory(benchmark::State& state) {
  const SystemClock clock;
  const auto store = open_memory(clock, {.threading = Threading::committer_thread});
  measure(state, *store);
}
BENCHMARK(appends_in_memory)->Arg(64)->Arg(1024)->UseRealTime()->Iterations(20);

}  // namespace
}  // namespace doppel::store
