#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "events/api.h"
#include "store/memory/memory_store.h"

namespace doppel::events {
namespace {

using std::chrono::hours;

class EventLogTest : public ::testing::Test {
 protected:
  SequenceNumber append(std::string body, const Partition& partition) {
    store::WriteSet changes;
    stage(changes, partition, Event{.body = std::move(body)});
    const auto committed = run(store->commit(std::move(changes)));
    EXPECT_TRUE(committed);
    return committed->appended.at(0);
  }
  SequenceNumber append(std::string body) { return append(std::move(body), lifecycle); }

  std::vector<std::string> bodies_from(std::uint64_t from, const Partition& partition) {
    const auto events = run(log.read(partition, SequenceNumber{from}, 100));
    std::vector<std::string> bodies;
    for (const auto& event : *events) bodies.push_back(event.event.body);
    return bodies;
  }
  std::vector<std::string> bodies_from(std::uint64_t from) { return bodies_from(from, lifecycle); }

  void checkpoint(std::string_view consumer, std::uint64_t next) {
    store::Transaction tx(*store);
    stage_checkpoint(tx, consumer, lifecycle, SequenceNumber{next});
    EXPECT_TRUE(run(tx.commit()));
  }
  std::optional<SequenceNumber> checkpoint_of(std::string_view consumer) {
    store::Transaction tx(*store);
    return *run(read_checkpoint(tx, consumer, lifecycle));
  }

  template <class T>
  T run(Task<T> task) {
    return testing::run(executor, std::move(task));
  }

  testing::ManualClock clock;
  testing::ManualExecutor executor{clock};
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store = store::open_memory(clock, {.faults = &faults});
  EventLog log{*store, clock};
  const Partition lifecycle{.log = {.space = "ns", .name = "lifecycleevents"}, .index = 1};
  const Partition neighbour{.log = {.space = "ns", .name = "lifecycleevents"}, .index = 2};
};

TEST_F(EventLogTest, NumbersEventsFromZeroInEachPartition) {
  EXPECT_EQ(append("a").value, 0u);
  EXPECT_EQ(append("b").value, 1u);
  EXPECT_EQ(append("c", neighbour).value, 0u);
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(bodies_from(1), ::testing::ElementsAre("b"));
  EXPECT_THAT(bodies_from(2), ::testing::IsEmpty());
  EXPECT_EQ(log.bounds(lifecycle).next.value, 2u);
}

TEST_F(EventLogTest, FindsEventsByTheirTime) {
  append("a");
  clock.advance(hours(1));
  append("b");
  EXPECT_EQ(run(log.find_by_time(lifecycle, clock.now()))->value, 1u);
  EXPECT_EQ(run(log.find_by_time(lifecycle, clock.now() + hours(1)))->value, 2u);
}

TEST_F(EventLogTest, WakesAtOnceWhenTheEventIsThere) {
  append("a");
  int woken = 0;
  ASSERT_TRUE(log.wait(lifecycle, SequenceNumber{0}, executor, [&] { ++woken; }));
  executor.run_until_idle();
  EXPECT_EQ(woken, 1);
}

TEST_F(EventLogTest, WakesOnceAndOnlyForItsPartition) {
  int woken = 0;
  ASSERT_TRUE(log.wait(lifecycle, SequenceNumber{1}, executor, [&] { ++woken; }));
  append("other", neighbour);
  append("too early");
  executor.run_until_idle();
  EXPECT_EQ(woken, 0);
  append("this one");
  append("another");
  executor.run_until_idle();
  EXPECT_EQ(woken, 1);
}

TEST_F(EventLogTest, DoesNotWakeAfterCancelling) {
  int woken = 0;
  const auto ticket = log.wait(lifecycle, SequenceNumber{0}, executor, [&] { ++woken; });
  log.cancel_wait(*ticket);
  log.cancel_wait(*ticket);  // repeating is harmless
  append("a");
  executor.run_until_idle();
  EXPECT_EQ(woken, 0);
}

TEST_F(EventLogTest, RefusesMoreWaitersThanItsBound) {
  for (std::size_t i = 0; i < kWaitersMax; ++i)
    ASSERT_TRUE(log.wait(lifecycle, SequenceNumber{9}, executor, [] {}));
  const auto refused = log.wait(lifecycle, SequenceNumber{9}, executor, [] {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::throttled);
}

TEST_F(EventLogTest, WaitForEndsWithAnEventOrWithStop) {
  std::optional<bool> woken, stopped;
  std::stop_source stop;
  executor.post([&] {
    spawn(log.wait_for(lifecycle, SequenceNumber{0}, {}), [&](bool is) { woken = is; });
    spawn(log.wait_for(neighbour, SequenceNumber{0}, stop.get_token()),
          [&](bool is) { stopped = is; });
  });
  executor.run_until_idle();
  EXPECT_FALSE(woken || stopped);
  append("a");
  stop.request_stop();
  executor.run_until_idle();
  EXPECT_EQ(woken, true);
  EXPECT_EQ(stopped, false);
}

// A flush whose outcome was unknown may have kept events that no observer heard of.
TEST_F(EventLogTest, WakesEverybodyAfterTheStoreReopened) {
  int woken = 0;
  ASSERT_TRUE(log.wait(lifecycle, SequenceNumber{0}, executor, [&] { ++woken; }));
  faults.fail_next_flush(store::FaultInjection::Fault::lose_answer);
  store::WriteSet changes;
  stage(changes, lifecycle, Event{.body = "kept"});
  EXPECT_FALSE(run(store->commit(std::move(changes))));
  executor.run_until_idle();
  EXPECT_EQ(woken, 1);
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("kept"));
}

TEST_F(EventLogTest, CheckpointsAreKeptByConsumer) {
  EXPECT_EQ(checkpoint_of("f"), std::nullopt);
  checkpoint("f", 7);
  EXPECT_EQ(checkpoint_of("f"), SequenceNumber{7});
  EXPECT_EQ(checkpoint_of("g"), std::nullopt);
}

TEST_F(EventLogTest, ForgetsWhatIsOlderThanTheRetention) {
  append("old");
  clock.advance(hours(2));
  append("new");
  ASSERT_TRUE(run(log.apply_retention(lifecycle, hours(1), {})));
  EXPECT_EQ(log.bounds(lifecycle).first.value, 1u);
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("new"));
}

TEST_F(EventLogTest, RetentionNeverPassesACheckpoint) {
  append("a");
  append("b");
  append("c");
  clock.advance(hours(2));
  checkpoint("slow", 1);
  checkpoint("fast", 3);
  ASSERT_TRUE(run(log.apply_retention(lifecycle, hours(1), {"fast", "slow"})));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("b", "c"));
  ASSERT_TRUE(run(log.apply_retention(lifecycle, hours(1), {"fast", "never was here"})));
  EXPECT_THAT(bodies_from(0), ::testing::ElementsAre("b", "c"));
}

TEST_F(EventLogTest, ADroppedLogBeginsAnewWithoutCheckpoints) {
  append("a");
  checkpoint("f", 1);
  ASSERT_TRUE(run(log.drop(lifecycle.log, 4)));
  EXPECT_EQ(checkpoint_of("f"), std::nullopt);
  EXPECT_THAT(bodies_from(0), ::testing::IsEmpty());
  int woken = 0;
  ASSERT_TRUE(log.wait(lifecycle, SequenceNumber{0}, executor, [&] { ++woken; }));
  executor.run_until_idle();
  EXPECT_EQ(woken, 0) << "the heads of the dropped log are forgotten";
  EXPECT_EQ(append("b").value, 0u);
  executor.run_until_idle();
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace doppel::events
