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
  void trim(events::Retention retention) { testing::run(executor, trimmed(std::move(retention))); }
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
  events::RetentionKeeper keeper{log};
  const events::LogName name{"space", "log"};

 private:
  Task<bool> trimmed(events::Retention retention) {
    co_await trim_log(keeper, name, kPartitions, std::move(retention));
    co_return true;
  }
};

TEST_F(HousekeepingTest, WhatIsOldLeavesEveryPartition) {
  ASSERT_EQ(partitions_with_events(), kPartitions);
  trim({.keep = std::chrono::hours(1)});
  EXPECT_EQ(partitions_with_events(), 0u);
}

// A server with thousands of partitions must not keep whoever stops it waiting.
TEST_F(HousekeepingTest, AStopEndsTheRoundBetweenTwoPartitions) {
  std::stop_source stop;
  stop.request_stop();
  trim({.keep = std::chrono::hours(1), .stop = stop.get_token()});
  EXPECT_EQ(partitions_with_events(), kPartitions);
}

}  // namespace
}  // namespace doppel::server
