#include "events/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/memory/memory_store.h"

namespace doppel::events {
namespace {

using std::chrono::hours;

class RetentionTest : public ::testing::Test {
 protected:
  void append(std::string body) {
    store::WriteSet changes;
    stage(changes, lifecycle, Event{.body = std::move(body)});
    EXPECT_TRUE(run(store->commit(std::move(changes))));
  }
  std::vector<std::string> bodies_from(std::uint64_t from) {
    const auto events = run(log.read(lifecycle, SequenceNumber{from}, 100));
    std::vector<std::string> bodies;
    for (const auto& event : *events) bodies.push_back(event.event.body);
    return bodies;
  }
  void checkpoint(std::string_view consumer, std::uint64_t next) {
    store::Transaction tx(*store);
    stage_checkpoint(tx, consumer, lifecycle, SequenceNumber{next});
    EXPECT_TRUE(run(tx.commit()));
  }
  template <class T>
  T run(Task<T> task) {
    return testing::run(executor, std::move(task));
  }

  testing::ManualClock clock;
  testing::ManualExecutor executor{clock};
  std::unique_ptr<store::Store> store = store::open_memory(clock, {});
  EventLog log{*store, clock};
  RetentionKeeper keeper{log};
  const Partition lifecycle{.log = {.space = "ns", .name = "lifecycleevents"}, .index = 1};
};

TEST_F(RetentionTest, KeepsTheNewestBytesOfAPartition) {
  const Retention retention{.keep = hours(24),
                            .bytes_max = 10 * encode(Event{.body = "00"}).size()};
  for (int i = 10; i < 25; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 5u);
  for (int i = 25; i < 28; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 8u);
  EXPECT_EQ(bodies_from(0).size(), 10u);
}

// Whichever of the two keeps less.
TEST_F(RetentionTest, RetentionByTimeAndBySizeHoldTogether) {
  const Retention retention{.keep = hours(1), .bytes_max = 3 * encode(Event{.body = "0"}).size()};
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("2", "3", "4"));
  clock.advance(hours(2));
  append("5");
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("5"));
  for (int i = 6; i < 9; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("6", "7", "8"));
}

// After a restart nothing is known of sizes.
TEST_F(RetentionTest, MeasuresWhatWasThereBefore) {
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  RetentionKeeper again(log);
  ASSERT_TRUE(run(again.apply(
      lifecycle, {.keep = hours(1), .bytes_max = 2 * encode(Event{.body = "0"}).size()})));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("3", "4"));
}

TEST_F(RetentionTest, ASmallerLimitIsMeasuredAnew) {
  const auto event_bytes = encode(Event{.body = "0"}).size();
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, {.keep = hours(1), .bytes_max = 1'000'000})));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 0u);
  ASSERT_TRUE(run(keeper.apply(lifecycle, {.keep = hours(1), .bytes_max = 2 * event_bytes})));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("3", "4"));
}

TEST_F(RetentionTest, RetentionBySizeNeverPassesACheckpoint) {
  const auto event_bytes = encode(Event{.body = "0"}).size();
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  checkpoint("slow", 1);
  ASSERT_TRUE(run(keeper.apply(
      lifecycle, {.keep = hours(1), .bytes_max = event_bytes, .protected_by = {"slow"}})));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 1u);
  checkpoint("slow", 5);
  ASSERT_TRUE(run(keeper.apply(
      lifecycle, {.keep = hours(1), .bytes_max = event_bytes, .protected_by = {"slow"}})));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 4u);
}

TEST_F(RetentionTest, SizesOfALogThatWasMadeAgainAreForgotten) {
  Retention retention{.keep = hours(1), .bytes_max = 2 * encode(Event{.body = "0"}).size()};
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  ASSERT_TRUE(run(log.drop(lifecycle.log, 4)));
  ++retention.generation;
  for (int i = 0; i < 6; ++i) append(std::to_string(i));
  ASSERT_TRUE(run(keeper.apply(lifecycle, retention)));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("4", "5"));
}

TEST_F(RetentionTest, AMeasuringThatIsStoppedForgetsNothing) {
  std::stop_source stop;
  stop.request_stop();
  for (int i = 0; i < 5; ++i) append(std::to_string(i));
  ASSERT_TRUE(
      run(keeper.apply(lifecycle, {.keep = hours(1), .bytes_max = 1, .stop = stop.get_token()})));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 0u);
}

}  // namespace
}  // namespace doppel::events
