// The promises of store.h about keys, snapshots, commits, observers and transactions, held against
// every engine. Those about streams: stream_contract_test.cc.
#include <atomic>
#include <deque>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/rocksdb/contract_fixture.h"
#include "store/transaction.h"

namespace doppel::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::RecordingObserver;
using ::testing::SizeIs;

using StoreContract = testing::ContractFixture;
INSTANTIATE_TEST_SUITE_P(Engines, StoreContract, testing::every_engine(), testing::engine_name);

TEST_P(StoreContract, CommitsKeysAndAppendsTogether) {
  auto committed =
      commit({.puts = {{"a", "1"}, {"b", "2"}}, .appends = {{"s", "x"}, {"t", "y"}, {"s", "z"}}});
  ASSERT_TRUE(committed.has_value());
  EXPECT_EQ(committed->version, CommitVersion{1});
  EXPECT_THAT(committed->appended,
              ElementsAre(SequenceNumber{0}, SequenceNumber{0}, SequenceNumber{1}));
  EXPECT_THAT(get("a"), Optional(std::string("1")));
  EXPECT_THAT(records("s"), ElementsAre("0=x", "1=z"));
  const auto bounds = store->stream_bounds("s");
  EXPECT_EQ(bounds.first, SequenceNumber{0});
  EXPECT_EQ(bounds.next, SequenceNumber{2});
  EXPECT_EQ(bounds.last_enqueued, committed->time);
}

TEST_P(StoreContract, ASnapshotStaysWhatItWas) {
  ASSERT_TRUE(commit({.puts = {{"a", "old"}, {"gone", "here"}}}).has_value());
  const auto before = store->snapshot();
  ASSERT_TRUE(commit({.puts = {{"a", "new"}, {"b", "1"}}, .erases = {"gone"}}).has_value());
  EXPECT_THAT(run(before->get("a")).value(), Optional(std::string("old")));
  EXPECT_THAT(texts(run(before->scan("", "", 10)).value()), ElementsAre("a=old", "gone=here"));
  EXPECT_EQ(before->version(), CommitVersion{1});
  const auto after = store->snapshot();
  EXPECT_EQ(after->version(), CommitVersion{2});
  EXPECT_THAT(texts(run(after->scan("", "", 10)).value()), ElementsAre("a=new", "b=1"));
}

TEST_P(StoreContract, AConflictChangesNothing) {
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}}).has_value());
  const auto decided_on = store->snapshot()->version();
  ASSERT_TRUE(commit({.puts = {{"a", "2"}}}).has_value());
  const auto late = commit({.read_version = decided_on,
                            .required = {"a"},
                            .puts = {{"a", "3"}, {"b", "3"}},
                            .appends = {{"s", "3"}}});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_THAT(get("a"), Optional(std::string("2")));
  EXPECT_EQ(get("b"), std::nullopt);
  EXPECT_THAT(records("s"), IsEmpty());
}

// "It was not there" is a decision too: two creates of one name must not both succeed.
TEST_P(StoreContract, AnAbsentKeyIsAPreconditionToo) {
  const auto decided_on = store->snapshot()->version();
  ASSERT_TRUE(
      commit({.read_version = decided_on, .required = {"a"}, .puts = {{"a", "1"}}}).has_value());
  const auto second = commit({.read_version = decided_on, .required = {"a"}, .puts = {{"a", "2"}}});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::conflict);
}

TEST_P(StoreContract, ErasingIsAWriteThatOthersConflictWith) {
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}}).has_value());
  const auto decided_on = store->snapshot()->version();
  ASSERT_TRUE(commit({.erases = {"a"}}).has_value());
  EXPECT_FALSE(commit({.read_version = decided_on, .required = {"a"}}).has_value());
}

TEST_P(StoreContract, ScansInOrderWithinBoundsAndLimit) {
  WriteSet set;
  for (int i = 0; i < 600; ++i)
    set.puts.push_back({.key = "k" + number_part(static_cast<std::uint64_t>(i)), .value = "v"});
  ASSERT_TRUE(commit(std::move(set)).has_value());
  const auto snapshot = store->snapshot();
  EXPECT_THAT(run(snapshot->scan("k", "l", 1000)).value(), SizeIs(600));
  EXPECT_THAT(run(snapshot->scan("k", "l", 7)).value(), SizeIs(7));
  EXPECT_THAT(run(snapshot->scan("k" + number_part(5), "k" + number_part(8), 100)).value(),
              SizeIs(3));
  EXPECT_THAT(run(snapshot->scan("l", "k", 100)).value(), IsEmpty());
  EXPECT_THAT(run(snapshot->scan("k", "", 0)).value(), IsEmpty());
}

TEST_P(StoreContract, ObserversHearEveryCommitInOrderBeforeTheCommitterDoes) {
  ASSERT_TRUE(commit({.puts = {{"before", "1"}}}).has_value());
  RecordingObserver observer;
  EXPECT_EQ(store->add_observer(observer), CommitVersion{1});
  std::vector<std::size_t> heard_when_told;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(commit({.puts = {{"a", std::to_string(i)}}, .appends = {{"s", "r"}}}));
    heard_when_told.push_back(observer.lines().size());
  }
  ASSERT_TRUE(commit({.erases = {"a"}}).has_value());
  store->remove_observer(observer);
  ASSERT_TRUE(commit({.puts = {{"after", "1"}}}).has_value());
  EXPECT_THAT(heard_when_told, ElementsAre(1u, 2u, 3u));
  EXPECT_THAT(observer.lines(),
              ElementsAre("2: +a=0 s[0]=r", "3: +a=1 s[1]=r", "4: +a=2 s[2]=r", "5: -a"));
}

// Whoever begins to observe while others commit builds on a snapshot and what it hears afterwards;
// a commit in neither would be missing from its index for ever.
TEST_P(StoreContract, SnapshotPlusObservationHasNoGap) {
  constexpr int kCommits = 400;
  std::promise<void> all_done;
  std::atomic<int> left = kCommits;
  std::jthread committing([&] {
    for (int i = 0; i < kCommits; ++i)
      store->commit({.appends = {{"s", "r"}}}, worker, [&](Result<Committed> committed) {
        EXPECT_TRUE(committed.has_value());
        if (--left == 0) all_done.set_value();
      });
  });
  std::deque<RecordingObserver> observers;
  std::vector<CommitVersion> unheard;
  while (left > 0 && observers.size() < 50) {
    unheard.push_back(store->add_observer(observers.emplace_back()));
    EXPECT_GE(store->snapshot()->version(), unheard.back());
  }
  all_done.get_future().wait();
  for (std::size_t i = 0; i < observers.size(); ++i) {
    store->remove_observer(observers[i]);
    const auto lines = observers[i].lines();
    ASSERT_EQ(lines.size(), kCommits - unheard[i].value);
    if (!lines.empty())
      EXPECT_THAT(lines[0], ::testing::StartsWith(std::to_string(unheard[i].value + 1) + ":"));
  }
}

TEST_P(StoreContract, ALongQueueIsFlushedInPiecesAndInOrder) {
  std::vector<std::uint64_t> versions;
  std::promise<void> all_done;
  constexpr std::size_t kCommits = 6;
  for (std::size_t i = 0; i < kCommits; ++i)
    store->commit({.puts = {{"a", std::string(5'000'000, 'v')}}}, worker,
                  [&](Result<Committed> committed) {
                    versions.push_back(committed.value().version.value);
                    if (versions.size() == kCommits) all_done.set_value();
                  });
  all_done.get_future().wait();
  EXPECT_THAT(versions, ElementsAre(1u, 2u, 3u, 4u, 5u, 6u));
}

TEST_P(StoreContract, RefusesWhatIsTooLarge) {
  const auto code = [&](WriteSet set) { return commit(std::move(set)).error().code; };
  const std::string long_key(kKeySizeMax + 1, 'k');
  const std::string big(kValueSizeMax + 1, 'v');
  EXPECT_EQ(code({.puts = {{long_key, ""}}}), Code::too_large);
  EXPECT_EQ(code({.erases = {long_key}}), Code::too_large);
  EXPECT_EQ(code({.puts = {{"a", big}}}), Code::too_large);
  EXPECT_EQ(code({.appends = {{"s", big}}}), Code::too_large);
  EXPECT_EQ(code({.appends = {{long_key, ""}}}), Code::too_large);
  WriteSet all;
  for (std::size_t i = 0; i <= kWriteSetSizeMax / kValueSizeMax; ++i)
    all.puts.push_back({.key = std::to_string(i), .value = std::string(kValueSizeMax, 'v')});
  EXPECT_EQ(code(std::move(all)), Code::too_large);
  EXPECT_THAT(run(store->snapshot()->scan("", "", 10)).value(), IsEmpty());
}

TEST_P(StoreContract, ATransactionReadsItsOwnWrites) {
  ASSERT_TRUE(commit({.puts = {{"a", "1"}, {"b", "2"}, {"d", "4"}}}).has_value());
  Transaction tx(*store);
  tx.put("c", "3");
  tx.put("b", "20");
  tx.erase("a");
  EXPECT_EQ(run(tx.get("a")).value(), std::nullopt);
  EXPECT_THAT(run(tx.get("b")).value(), Optional(std::string("20")));
  EXPECT_THAT(texts(run(tx.scan("", "", 10)).value()), ElementsAre("b=20", "c=3", "d=4"));
  EXPECT_THAT(texts(run(tx.scan("", "", 2)).value()), ElementsAre("b=20", "c=3"));
  EXPECT_THAT(texts(run(tx.scan("b", "d", 10)).value()), ElementsAre("b=20", "c=3"));
  EXPECT_THAT(texts(run(tx.scan_prefix("d", 10)).value()), ElementsAre("d=4"));
  ASSERT_TRUE(run(tx.commit()).has_value());
  EXPECT_THAT(texts(run(store->snapshot()->scan("", "", 10)).value()),
              ElementsAre("b=20", "c=3", "d=4"));
}

TEST_P(StoreContract, ATransactionDependsOnWhatItGotButNotOnWhatItPeekedAt) {
  ASSERT_TRUE(commit({.puts = {{"a", "1"}, {"b", "1"}}}).has_value());
  Transaction peeked(*store);
  Transaction got(*store);
  ASSERT_TRUE(run(peeked.peek("a")).has_value());
  ASSERT_TRUE(run(got.get("a")).has_value());
  ASSERT_TRUE(commit({.puts = {{"a", "2"}}}).has_value());
  peeked.put("b", "2");
  got.put("b", "3");
  EXPECT_TRUE(run(peeked.commit()).has_value());
  const auto refused = run(got.commit());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TEST_P(StoreContract, FinishesWhatItAcceptedBeforeItStops) {
  std::promise<Result<Committed>> told;
  store->commit({.appends = {{"s", "r"}}}, worker,
                [&](Result<Committed> committed) { told.set_value(std::move(committed)); });
  store->stop();
  EXPECT_TRUE(told.get_future().get().has_value());
  EXPECT_EQ(commit({.puts = {{"a", "1"}}}).error().code, Code::unavailable);
}

}  // namespace
}  // namespace doppel::store
