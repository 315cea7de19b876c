#include "store/memory/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/contract_testing.h"
#include "store/transaction.h"

namespace doppel::store {
namespace {

using doppel::testing::ManualClock;
using doppel::testing::ManualExecutor;
using doppel::testing::run;
using ::testing::ElementsAre;
using ::testing::Optional;
using Fault = FaultInjection::Fault;

class MemoryStoreTest : public ::testing::Test {
 protected:
  WriteSet put(std::string key, std::string value) {
    WriteSet set;
    set.puts.push_back({.key = std::move(key), .value = std::move(value)});
    return set;
  }
  WriteSet append(std::string stream, std::string record) {
    WriteSet set;
    set.appends.push_back({.streams = stream, .record = std::move(record)});
    return set;
  }
  std::optional<std::string> get(std::string key) {
    const auto snapshot = store->snapshot();
    return run(executor, snapshot->get(std::move(key))).value();
  }
  std::vector<std::string> records(std::string stream) {
    std::vector<std::string> texts;
    for (auto& record : run(executor, store->read_stream(std::move(stream), {}, 100, 1000)).value())
      texts.push_back(record.record);
    return texts;
  }

  ManualClock clock;
  ManualExecutor executor{clock};
  FaultInjection faults;
  std::unique_ptr<Store> store = open_memory(clock, {.faults = &faults});
};

TEST_F(MemoryStoreTest, KeepsWhatWasCommitted) {
  const auto committed = run(executor, store->commit(put("a", "1")));
  ASSERT_TRUE(committed.has_value());
  EXPECT_EQ(committed->time, clock.now());
  EXPECT_THAT(get("a"), Optional(std::string("1")));
}

TEST_F(MemoryStoreTest, ALostWriteLeavesNothingBehindAndTheStoreGoesOn) {
  testing::RecordingObserver observer;
  store->add_observer(observer);
  faults.fail_next_flush(Fault::lose_write);
  const auto first = run(executor, store->commit(append("s", "lost")));
  const auto second = run(executor, store->commit(append("s", "kept")));
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code, Code::unavailable);
  ASSERT_TRUE(second.has_value());
  EXPECT_THAT(records("s"), ElementsAre("kept"));
  EXPECT_THAT(observer.lines(), ElementsAre("reopened at 0", "1: s[0]=kept"));
}

TEST_F(MemoryStoreTest, ALostAnswerMayHideAWriteThatTookEffect) {
  testing::RecordingObserver observer;
  store->add_observer(observer);
  faults.fail_next_flush(Fault::lose_answer);
  const auto first = run(executor, store->commit(append("s", "kept after all")));
  EXPECT_EQ(first.error().code, Code::unavailable);
  EXPECT_THAT(records("s"), ElementsAre("kept after all"));
  EXPECT_THAT(observer.lines(), ElementsAre("reopened at 1"));
}

TEST_F(MemoryStoreTest, ARefusedCommitChangesNothing) {
  faults.fail_next_flush(Fault::refuse);
  const auto refused = run(executor, store->commit(put("a", "1")));
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_TRUE(run(executor, store->commit(put("a", "2"))).has_value());
}

TEST_F(MemoryStoreTest, HeldCommitsAreFlushedTogetherAndInvisibleBefore) {
  faults.hold();
  std::vector<std::uint64_t> order;
  for (std::uint64_t i = 0; i < 3; ++i) {
    store->commit(append("s", std::to_string(i)), executor, [&](Result<Committed> committed) {
      order.push_back(committed.value().appended.at(0).value);
    });
  }
  executor.run_until_idle();
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{0});
  faults.release();
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{3});
  executor.run_until_idle();
  EXPECT_THAT(order, ElementsAre(0u, 1u, 2u));
}

// Two decisions on the same state in one flush: only the first may win.
TEST_F(MemoryStoreTest, ChecksPreconditionsAgainstEarlierCommitsOfTheSameFlush) {
  faults.hold();
  std::vector<bool> won;
  for (int i = 0; i < 2; ++i) {
    auto set = put("a", std::to_string(i));
    set.required = {"a"};
    store->commit(std::move(set), executor,
                  [&](Result<Committed> committed) { won.push_back(committed.has_value()); });
  }
  faults.release();
  executor.run_until_idle();
  EXPECT_THAT(won, ElementsAre(true, false));
  EXPECT_THAT(get("a"), Optional(std::string("0")));
}

TEST_F(MemoryStoreTest, RefusesMoreThanMayWait) {
  faults.hold();
  // With their keys, one of these too many.
  const std::string big(kValueSizeMax, 'x');
  std::optional<Error> last;
  int done = 0;
  for (std::size_t i = 0; i < kQueuedCommitBytesMax / kValueSizeMax; ++i) {
    store->commit(put("a", big), executor, [&](Result<Committed> committed) {
      ++done;
      if (!committed) last = committed.error();
    });
  }
  executor.run_until_idle();
  EXPECT_EQ(done, 1);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->code, Code::throttled);
  faults.release();
  executor.run_until_idle();
  EXPECT_TRUE(run(executor, store->commit(put("a", "small"))).has_value());
}

TEST_F(MemoryStoreTest, StampsNeverGoBackWhenTheClockDoes) {
  const auto first = run(executor, store->commit(append("s", "a"))).value();
  clock.set(clock.now() - std::chrono::hours(1));
  const auto second = run(executor, store->commit(append("s", "b"))).value();
  EXPECT_EQ(second.time, first.time);
}

TEST_F(MemoryStoreTest, RefusesAfterStop) {
  store->stop();
  const auto refused = run(executor, store->commit(put("a", "1")));
  EXPECT_EQ(refused.error().code, Code::unavailable);
}

TEST_F(MemoryStoreTest, TransactTriesAgainUntilItWins) {
  int attempts = 0;
  std::function<Task<Result<int>>(Transaction&)> body = [&](Transaction& tx) -> Task<Result<int>> {
    ++attempts;
    auto seen = co_await tx.get("counter");
    if (!seen) co_return fail(seen.error());
    if (attempts == 1) {
      auto other = co_await store->commit(put("counter", "7"));
      if (!other) co_return fail(other.error());
    }
    const int next = (seen->has_value() ? std::stoi(**seen) : 0) + 1;
    tx.put("counter", std::to_string(next));
    co_return next;
  };
  const auto made = run(executor, transact<int>(*store, body));
  EXPECT_EQ(made.value(), 8);
  EXPECT_EQ(attempts, 2);
}

}  // namespace
}  // namespace doppel::store
