// The promises of store.h about event streams, held against every engine.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/rocksdb/contract_fixture.h"

namespace doppel::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using StreamContract = testing::ContractFixture;
INSTANTIATE_TEST_SUITE_P(Engines, StreamContract, testing::every_engine(), testing::engine_name);

TEST_P(StreamContract, ReadsStreamsWithinCountAndBytesButAtLeastOneRecord) {
  WriteSet set;
  for (int i = 0; i < 10; ++i)
    set.appends.push_back({.streams = "s", .record = std::string(100, 'x')});
  ASSERT_TRUE(commit(std::move(set)).has_value());
  const auto read = [&](std::uint64_t from, std::size_t count, std::size_t bytes) {
    return run(store->read_stream("s", {from}, count, bytes)).value().size();
  };
  EXPECT_EQ(read(0, 3, 10'000), 3u);
  EXPECT_EQ(read(0, 100, 250), 2u);
  EXPECT_EQ(read(0, 100, 1), 1u);
  EXPECT_EQ(read(8, 100, 10'000), 2u);
  EXPECT_EQ(read(10, 100, 10'000), 0u);
  EXPECT_EQ(read(0, 0, 10'000), 0u);
}

// Streams whose names begin alike must not run into each other.
TEST_P(StreamContract, KeepsStreamsApart) {
  ASSERT_TRUE(commit({.appends = {{key({"a"}), "1"},
                                  {key({"a", ""}), "2"},
                                  {key({"a", "b"}), "3"},
                                  {key({"a"}), "4"}}})
                  .has_value());
  EXPECT_THAT(records(key({"a"})), ElementsAre("0=1", "1=4"));
  EXPECT_THAT(records(key({"a", ""})), ElementsAre("0=2"));
  ASSERT_TRUE(run(store->drop_stream(key({"a"}))).has_value());
  EXPECT_THAT(records(key({"a", "b"})), ElementsAre("0=3"));
}

TEST_P(StreamContract, TrimsUpToANumberAndGoesOnCounting) {
  ASSERT_TRUE(commit({.appends = {{"s", "a"}, {"s", "b"}, {"s", "c"}}}).has_value());
  ASSERT_TRUE(run(store->trim_stream("s", {2})).has_value());
  ASSERT_TRUE(run(store->trim_stream("s", {1})).has_value());
  EXPECT_THAT(records("s"), ElementsAre("2=c"));
  EXPECT_EQ(store->stream_bounds("s").first, SequenceNumber{2});
  // Further than there is anything: everything goes, nothing is promised away.
  ASSERT_TRUE(run(store->trim_stream("s", {100})).has_value());
  EXPECT_EQ(store->stream_bounds("s").first, SequenceNumber{3});
  ASSERT_TRUE(commit({.appends = {{"s", "d"}}}).has_value());
  EXPECT_THAT(records("s"), ElementsAre("3=d"));
}

TEST_P(StreamContract, ADroppedStreamBeginsAgainWithZero) {
  ASSERT_TRUE(commit({.appends = {{"s", "a"}, {"s", "b"}}}).has_value());
  ASSERT_TRUE(run(store->drop_stream("s")).has_value());
  ASSERT_TRUE(run(store->drop_stream("never")).has_value());
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{0});
  EXPECT_EQ(store->stream_bounds("s").last_enqueued, TimePoint{});
  EXPECT_THAT(records("s"), IsEmpty());
  ASSERT_TRUE(commit({.appends = {{"s", "c"}}}).has_value());
  EXPECT_THAT(records("s"), ElementsAre("0=c"));
}

TEST_P(StreamContract, FindsTheFirstRecordAtOrAfterATime) {
  std::vector<TimePoint> times;
  for (int i = 0; i < 20; ++i) times.push_back(commit({.appends = {{"s", "x"}}}).value().time);
  const auto find = [&](TimePoint time) {
    return run(store->find_by_time("s", time)).value().value;
  };
  EXPECT_EQ(find(TimePoint{}), 0u);
  EXPECT_EQ(find(times[7]), 7u);
  EXPECT_EQ(find(times[7] + Duration(1)), 8u);
  EXPECT_EQ(find(times[19] + Duration(1)), 20u);
  ASSERT_TRUE(run(store->trim_stream("s", {5})).has_value());
  EXPECT_EQ(find(times[2]), 5u);
  EXPECT_EQ(run(store->find_by_time("never", times[2])).value().value, 0u);
}

// What is committed together may lie together, but each record is an entry of its own to everybody.
TEST_P(StreamContract, ReadsTrimsAndFindsInTheMiddleOfWhatWasAppendedTogether) {
  const auto first = commit({.appends = {{"s", "a"}, {"s", "b"}, {"t", "x"}, {"s", "c"}}});
  const auto second = commit({.appends = {{"s", "d"}, {"s", "e"}, {"s", "f"}}});
  EXPECT_THAT(records("s", 1), ElementsAre("1=b", "2=c", "3=d", "4=e", "5=f"));
  const auto two = run(store->read_stream("s", {2}, 2, 1000)).value();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].enqueued, first->time);
  EXPECT_EQ(two[1].enqueued, second->time);
  const auto find = [&](TimePoint time) {
    return run(store->find_by_time("s", time)).value().value;
  };
  EXPECT_EQ(find(first->time), 0u);
  EXPECT_EQ(find(first->time + Duration(1)), 3u);

  ASSERT_TRUE(run(store->trim_stream("s", {1})).has_value());
  EXPECT_THAT(records("s"), ElementsAre("1=b", "2=c", "3=d", "4=e", "5=f"));
  EXPECT_EQ(find(first->time), 1u);
  ASSERT_TRUE(run(store->trim_stream("s", {4})).has_value());
  EXPECT_THAT(records("s"), ElementsAre("4=e", "5=f"));
  EXPECT_EQ(find(first->time), 4u);
  ASSERT_TRUE(run(store->trim_stream("s", {6})).has_value());
  EXPECT_THAT(records("s"), IsEmpty());
  EXPECT_THAT(records("t"), ElementsAre("0=x"));
}

TEST_P(StreamContract, LargeAndSmallRecordsAppendedTogetherComeBackAsTheyWere) {
  WriteSet set;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 200; ++i) {
    std::string record(i % 40 == 7 ? 50'000 : i, static_cast<char>('a' + i % 26));
    expected.push_back(std::to_string(i) + "=" + record);
    set.appends.push_back({.streams = "s", .record = std::move(record)});
  }
  ASSERT_TRUE(commit(std::move(set)).has_value());
  EXPECT_EQ(records("s"), expected);
  EXPECT_EQ(records("s", 108).size(), 92u);
}

TEST_P(StreamContract, OneRecordForSeveralStreamsIsInEach) {
  StreamNames both = "s";
  both.add("t");
  const auto committed = commit({.appends = {{"t", "first"}, {both, "shared"}, {"s", "last"}}});
  ASSERT_TRUE(committed.has_value());
  EXPECT_THAT(committed->appended, ElementsAre(SequenceNumber{0}, SequenceNumber{0},
                                               SequenceNumber{1}, SequenceNumber{1}));
  EXPECT_THAT(records("s"), ElementsAre("0=shared", "1=last"));
  EXPECT_THAT(records("t"), ElementsAre("0=first", "1=shared"));
}

TEST_P(StreamContract, ObserversHearOfAStreamOnceForEachFlush) {
  struct Moves final : Observer {
    void on_commit(const CommitView& /*commit*/) override {}
    void on_streams(std::span<const StreamMove> moves) override {
      for (const auto& move : moves)
        lines.push_back(std::string(move.stream) + ":" + std::to_string(move.bounds.first.value) +
                        "-" + std::to_string(move.bounds.next.value));
    }
    void on_reopened(CommitVersion /*version*/) override {}
    std::vector<std::string> lines;
  } moves;
  store->add_observer(moves);
  ASSERT_TRUE(commit({.appends = {{"s", "a"}, {"s", "b"}, {"t", "x"}}}).has_value());
  ASSERT_TRUE(run(store->trim_stream("s", {1})).has_value());
  ASSERT_TRUE(run(store->drop_stream("t")).has_value());
  EXPECT_THAT(moves.lines, ElementsAre("s:0-2", "t:0-1", "s:1-2", "t:0-0"));
  store->remove_observer(moves);
}

// From many threads at once: every number once, none missing, and every acknowledged record there.
TEST_P(StreamContract, SequencesAreDenseUnderConcurrentAppends) {
  constexpr int kThreads = 4;
  constexpr int kEach = 200;
  std::mutex mutex;
  std::condition_variable all_done;
  std::vector<std::uint64_t> numbers;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i)
          store->commit({.appends = {{"s", "r"}}}, worker, [&](Result<Committed> committed) {
            const std::lock_guard lock(mutex);
            numbers.push_back(committed.value().appended[0].value);
            all_done.notify_one();
          });
      });
  }
  std::unique_lock lock(mutex);
  all_done.wait(lock, [&] { return numbers.size() == kThreads * kEach; });
  std::ranges::sort(numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], i);
  EXPECT_THAT(records("s"), SizeIs(kThreads * kEach));
}

}  // namespace
}  // namespace doppel::store
