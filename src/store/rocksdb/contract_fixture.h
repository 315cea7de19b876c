// What the contract tests share: a store of each engine, driven from a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "store/contract_testing.h"
#include "store/memory/memory_store.h"
#include "store/rocksdb/rocksdb_store.h"

namespace doppel::store::testing {

enum class EngineKind : std::uint8_t { inline_memory, threaded_memory, on_disk };

inline auto every_engine() {
  return ::testing::Values(EngineKind::inline_memory, EngineKind::threaded_memory,
                           EngineKind::on_disk);
}
inline std::string engine_name(const ::testing::TestParamInfo<EngineKind>& info) {
  switch (info.param) {
    case EngineKind::inline_memory:
      return "InlineMemory";
    case EngineKind::threaded_memory:
      return "ThreadedMemory";
    case EngineKind::on_disk:
      return "OnDisk";
  }
  return "Unknown";
}

// Each call a little later, from any thread.
class TickingClock final : public Clock {
 public:
  TimePoint now() const override {
    return TimePoint(std::chrono::seconds(1'800'000'000) + std::chrono::microseconds(++ticks_));
  }
  SteadyTime steady() const override { return SteadyTime(std::chrono::microseconds(++ticks_)); }

 private:
  mutable std::atomic<std::int64_t> ticks_ = 0;
};

class ContractFixture : public ::testing::TestWithParam<EngineKind> {
 protected:
  template <class T>
  T run(Task<T> task) {
    return run_on(worker, std::move(task));
  }
  Result<Committed> commit(WriteSet set) { return run(store->commit(std::move(set))); }
  std::optional<std::string> get(std::string key) {
    const auto snapshot = store->snapshot();
    return run(snapshot->get(std::move(key))).value();
  }
  std::vector<std::string> records(std::string stream, std::uint64_t from = 0) {
    std::vector<std::string> lines;
    auto read = run(store->read_stream(std::move(stream), {from}, 1000, 1'000'000));
    for (const auto& record : read.value())
      lines.push_back(std::to_string(record.sequence.value) + "=" + record.record);
    return lines;
  }
  static std::vector<std::string> texts(const std::vector<Entry>& entries) {
    std::vector<std::string> lines;
    for (const auto& entry : entries) lines.push_back(entry.key + "=" + entry.value);
    return lines;
  }

  std::unique_ptr<Store> open() {
    if (GetParam() == EngineKind::inline_memory) return open_memory(clock);
    if (GetParam() == EngineKind::threaded_memory)
      return open_memory(clock, {.threading = Threading::committer_thread});
    auto opened = open_rocksdb({.directory = folder.path(), .clock = &clock, .free_bytes_min = 0});
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return std::move(*opened);
  }

  TickingClock clock;
  Worker worker{"test"};
  TemporaryFolder folder;  // outlives the store
  std::unique_ptr<Store> store = open();
};

}  // namespace doppel::store::testing
