#include "server/housekeeping.h"

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/memory/memory_store.h"

namespace doppel::server {
namespace {

class HousekeepingTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kPartitions = 4;

  HousekeepingTest() {
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
      store::Transaction tx(*store);
      tx.append(events::stream_name({.log = name, .index = p}),
                events::encode(events::Event{.body = "old"}));
      EXPECT_TRUE(testing::run(executor, tx.commit()));
    }
    executor.advance(std::chrono::hours(2));
  }
  void trim(std::stop_token stop) { testing::run(executor, trimmed(std::move(stop))); }
  std::size_t partitions_with_events() {
    std::size_t count = 0;
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
      const auto bounds = log.bounds({.log = name, .index = p});
      if (bounds.first < bounds.next) ++count;
    }
    return count;
  }

  testing::ManualClock clock;
  testing::ManualExecutor executor{clock};
  std::unique_ptr<store::Store> store = store::open_memory(clock, {});
  events::EventLog log{*store, clock};
  const events::LogName name{"space", "log"};

 private:
  Task<bool> trimmed(std::stop_token stop) {
    co_await trim_log(log, name, kPartitions, std::chrono::hours(1), {}, std::move(stop));
    co_return true;
  }
};

TEST_F(HousekeepingTest, WhatIsOldLeavesEveryPartition) {
  ASSERT_EQ(partitions_with_events(), kPartitions);
  trim({});
  EXPECT_EQ(partitions_with_events(), 0u);
}

// A server with thousands of partitions must not keep whoever stops it waiting.
TEST_F(HousekeepingTest, AStopEndsTheRoundBetweenTwoPartitions) {
  std::stop_source stop;
  stop.request_stop();
  trim(stop.get_token());
  EXPECT_EQ(partitions_with_events(), kPartitions);
}

}  // namespace
}  // namespace doppel::server
