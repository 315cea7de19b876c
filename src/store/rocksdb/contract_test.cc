// The promises of store.h, held against every engine.
#include <atomic>
#include <deque>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/contract_testing.h"
#include "store/memory/memory_store.h"
#include "store/rocksdb/rocksdb_store.h"
#include "store/transaction.h"

namespace doppel::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::RecordingObserver;
using testing::run_on;
using ::testing::SizeIs;
using testing::TemporaryFolder;

struct InlineMemory {
  std::unique_ptr<Store> open(const Clock& clock) { return open_memory(clock); }
};
struct ThreadedMemory {
  std::unique_ptr<Store> open(const Clock& clock) {
    return open_memory(clock, {.threading = Threading::committer_thread});
  }
};
struct OnDisk {
  TemporaryFolder folder;
  std::unique_ptr<Store> open(const Clock& clock) {
    auto opened = open_rocksdb({.directory = folder.path(), .clock = &clock, .free_bytes_min = 0});
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return std::move(*opened);
  }
};

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

template <class Engine>
class StoreContract : public ::testing::Test {
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

  TickingClock clock;
  Worker worker{"test"};
  Engine engine;
  std::unique_ptr<Store> store = engine.open(clock);
};

using Engines = ::testing::Types<InlineMemory, ThreadedMemory, OnDisk>;
TYPED_TEST_SUITE(StoreContract, Engines);

TYPED_TEST(StoreContract, CommitsKeysAndAppendsTogether) {
  auto committed = this->commit(
      {.puts = {{"a", "1"}, {"b", "2"}}, .appends = {{"s", "x"}, {"t", "y"}, {"s", "z"}}});
  ASSERT_TRUE(committed.has_value());
  EXPECT_EQ(committed->version, CommitVersion{1});
  EXPECT_THAT(committed->appended,
              ElementsAre(SequenceNumber{0}, SequenceNumber{0}, SequenceNumber{1}));
  EXPECT_THAT(this->get("a"), Optional(std::string("1")));
  EXPECT_THAT(this->records("s"), ElementsAre("0=x", "1=z"));
  const auto bounds = this->store->stream_bounds("s");
  EXPECT_EQ(bounds.first, SequenceNumber{0});
  EXPECT_EQ(bounds.next, SequenceNumber{2});
  EXPECT_EQ(bounds.last_enqueued, committed->time);
}

TYPED_TEST(StoreContract, ASnapshotStaysWhatItWas) {
  ASSERT_TRUE(this->commit({.puts = {{"a", "old"}, {"gone", "here"}}}).has_value());
  const auto before = this->store->snapshot();
  ASSERT_TRUE(this->commit({.puts = {{"a", "new"}, {"b", "1"}}, .erases = {"gone"}}).has_value());
  EXPECT_THAT(this->run(before->get("a")).value(), Optional(std::string("old")));
  EXPECT_THAT(this->texts(this->run(before->scan("", "", 10)).value()),
              ElementsAre("a=old", "gone=here"));
  EXPECT_EQ(before->version(), CommitVersion{1});
  const auto after = this->store->snapshot();
  EXPECT_EQ(after->version(), CommitVersion{2});
  EXPECT_THAT(this->texts(this->run(after->scan("", "", 10)).value()), ElementsAre("a=new", "b=1"));
}

TYPED_TEST(StoreContract, AConflictChangesNothing) {
  ASSERT_TRUE(this->commit({.puts = {{"a", "1"}}}).has_value());
  const auto decided_on = this->store->snapshot()->version();
  ASSERT_TRUE(this->commit({.puts = {{"a", "2"}}}).has_value());
  const auto late = this->commit({.read_version = decided_on,
                                  .required = {"a"},
                                  .puts = {{"a", "3"}, {"b", "3"}},
                                  .appends = {{"s", "3"}}});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_THAT(this->get("a"), Optional(std::string("2")));
  EXPECT_EQ(this->get("b"), std::nullopt);
  EXPECT_THAT(this->records("s"), IsEmpty());
}

// "It was not there" is a decision too: two creates of one name must not both succeed.
TYPED_TEST(StoreContract, AnAbsentKeyIsAPreconditionToo) {
  const auto decided_on = this->store->snapshot()->version();
  ASSERT_TRUE(this->commit({.read_version = decided_on, .required = {"a"}, .puts = {{"a", "1"}}})
                  .has_value());
  const auto second =
      this->commit({.read_version = decided_on, .required = {"a"}, .puts = {{"a", "2"}}});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::conflict);
}

TYPED_TEST(StoreContract, ErasingIsAWriteThatOthersConflictWith) {
  ASSERT_TRUE(this->commit({.puts = {{"a", "1"}}}).has_value());
  const auto decided_on = this->store->snapshot()->version();
  ASSERT_TRUE(this->commit({.erases = {"a"}}).has_value());
  EXPECT_FALSE(this->commit({.read_version = decided_on, .required = {"a"}}).has_value());
}

TYPED_TEST(StoreContract, ScansInOrderWithinBoundsAndLimit) {
  WriteSet set;
  for (int i = 0; i < 600; ++i)
    set.puts.push_back({.key = "k" + number_part(static_cast<std::uint64_t>(i)), .value = "v"});
  ASSERT_TRUE(this->commit(std::move(set)).has_value());
  const auto snapshot = this->store->snapshot();
  EXPECT_THAT(this->run(snapshot->scan("k", "l", 1000)).value(), SizeIs(600));
  EXPECT_THAT(this->run(snapshot->scan("k", "l", 7)).value(), SizeIs(7));
  EXPECT_THAT(this->run(snapshot->scan("k" + number_part(5), "k" + number_part(8), 100)).value(),
              SizeIs(3));
  EXPECT_THAT(this->run(snapshot->scan("l", "k", 100)).value(), IsEmpty());
  EXPECT_THAT(this->run(snapshot->scan("k", "", 0)).value(), IsEmpty());
}

TYPED_TEST(StoreContract, ReadsStreamsWithinCountAndBytesButAtLeastOneRecord) {
  WriteSet set;
  for (int i = 0; i < 10; ++i)
    set.appends.push_back({.streams = "s", .record = std::string(100, 'x')});
  ASSERT_TRUE(this->commit(std::move(set)).has_value());
  const auto read = [&](std::uint64_t from, std::size_t count, std::size_t bytes) {
    return this->run(this->store->read_stream("s", {from}, count, bytes)).value().size();
  };
  EXPECT_EQ(read(0, 3, 10'000), 3u);
  EXPECT_EQ(read(0, 100, 250), 2u);
  EXPECT_EQ(read(0, 100, 1), 1u);
  EXPECT_EQ(read(8, 100, 10'000), 2u);
  EXPECT_EQ(read(10, 100, 10'000), 0u);
  EXPECT_EQ(read(0, 0, 10'000), 0u);
}

// Streams whose names begin alike must not run into each other.
TYPED_TEST(StoreContract, KeepsStreamsApart) {
  ASSERT_TRUE(this->commit({.appends = {{key({"a"}), "1"},
                                        {key({"a", ""}), "2"},
                                        {key({"a", "b"}), "3"},
                                        {key({"a"}), "4"}}})
                  .has_value());
  EXPECT_THAT(this->records(key({"a"})), ElementsAre("0=1", "1=4"));
  EXPECT_THAT(this->records(key({"a", ""})), ElementsAre("0=2"));
  ASSERT_TRUE(this->run(this->store->drop_stream(key({"a"}))).has_value());
  EXPECT_THAT(this->records(key({"a", "b"})), ElementsAre("0=3"));
}

TYPED_TEST(StoreContract, TrimsUpToANumberAndGoesOnCounting) {
  ASSERT_TRUE(this->commit({.appends = {{"s", "a"}, {"s", "b"}, {"s", "c"}}}).has_value());
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {2})).has_value());
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {1})).has_value());
  EXPECT_THAT(this->records("s"), ElementsAre("2=c"));
  EXPECT_EQ(this->store->stream_bounds("s").first, SequenceNumber{2});
  // Further than there is anything: everything goes, nothing is promised away.
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {100})).has_value());
  EXPECT_EQ(this->store->stream_bounds("s").first, SequenceNumber{3});
  ASSERT_TRUE(this->commit({.appends = {{"s", "d"}}}).has_value());
  EXPECT_THAT(this->records("s"), ElementsAre("3=d"));
}

TYPED_TEST(StoreContract, ADroppedStreamBeginsAgainWithZero) {
  ASSERT_TRUE(this->commit({.appends = {{"s", "a"}, {"s", "b"}}}).has_value());
  ASSERT_TRUE(this->run(this->store->drop_stream("s")).has_value());
  ASSERT_TRUE(this->run(this->store->drop_stream("never")).has_value());
  EXPECT_EQ(this->store->stream_bounds("s").next, SequenceNumber{0});
  EXPECT_EQ(this->store->stream_bounds("s").last_enqueued, TimePoint{});
  EXPECT_THAT(this->records("s"), IsEmpty());
  ASSERT_TRUE(this->commit({.appends = {{"s", "c"}}}).has_value());
  EXPECT_THAT(this->records("s"), ElementsAre("0=c"));
}

TYPED_TEST(StoreContract, FindsTheFirstRecordAtOrAfterATime) {
  std::vector<TimePoint> times;
  for (int i = 0; i < 20; ++i)
    times.push_back(this->commit({.appends = {{"s", "x"}}}).value().time);
  const auto find = [&](TimePoint time) {
    return this->run(this->store->find_by_time("s", time)).value().value;
  };
  EXPECT_EQ(find(TimePoint{}), 0u);
  EXPECT_EQ(find(times[7]), 7u);
  EXPECT_EQ(find(times[7] + Duration(1)), 8u);
  EXPECT_EQ(find(times[19] + Duration(1)), 20u);
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {5})).has_value());
  EXPECT_EQ(find(times[2]), 5u);
  EXPECT_EQ(this->run(this->store->find_by_time("never", times[2])).value().value, 0u);
}

// What is committed together may lie together, but each record is an entry of its own to everybody.
TYPED_TEST(StoreContract, ReadsTrimsAndFindsInTheMiddleOfWhatWasAppendedTogether) {
  const auto first = this->commit({.appends = {{"s", "a"}, {"s", "b"}, {"t", "x"}, {"s", "c"}}});
  const auto second = this->commit({.appends = {{"s", "d"}, {"s", "e"}, {"s", "f"}}});
  EXPECT_THAT(this->records("s", 1), ElementsAre("1=b", "2=c", "3=d", "4=e", "5=f"));
  const auto two = this->run(this->store->read_stream("s", {2}, 2, 1000)).value();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].enqueued, first->time);
  EXPECT_EQ(two[1].enqueued, second->time);
  const auto find = [&](TimePoint time) {
    return this->run(this->store->find_by_time("s", time)).value().value;
  };
  EXPECT_EQ(find(first->time), 0u);
  EXPECT_EQ(find(first->time + Duration(1)), 3u);

  ASSERT_TRUE(this->run(this->store->trim_stream("s", {1})).has_value());
  EXPECT_THAT(this->records("s"), ElementsAre("1=b", "2=c", "3=d", "4=e", "5=f"));
  EXPECT_EQ(find(first->time), 1u);
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {4})).has_value());
  EXPECT_THAT(this->records("s"), ElementsAre("4=e", "5=f"));
  EXPECT_EQ(find(first->time), 4u);
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {6})).has_value());
  EXPECT_THAT(this->records("s"), IsEmpty());
  EXPECT_THAT(this->records("t"), ElementsAre("0=x"));
}

TYPED_TEST(StoreContract, LargeAndSmallRecordsAppendedTogetherComeBackAsTheyWere) {
  WriteSet set;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 200; ++i) {
    std::string record(i % 40 == 7 ? 50'000 : i, static_cast<char>('a' + i % 26));
    expected.push_back(std::to_string(i) + "=" + record);
    set.appends.push_back({.streams = "s", .record = std::move(record)});
  }
  ASSERT_TRUE(this->commit(std::move(set)).has_value());
  EXPECT_EQ(this->records("s"), expected);
  EXPECT_EQ(this->records("s", 108).size(), 92u);
}

TYPED_TEST(StoreContract, OneRecordForSeveralStreamsIsInEach) {
  StreamNames both = "s";
  both.add("t");
  const auto committed =
      this->commit({.appends = {{"t", "first"}, {both, "shared"}, {"s", "last"}}});
  ASSERT_TRUE(committed.has_value());
  EXPECT_THAT(committed->appended, ElementsAre(SequenceNumber{0}, SequenceNumber{0},
                                               SequenceNumber{1}, SequenceNumber{1}));
  EXPECT_THAT(this->records("s"), ElementsAre("0=shared", "1=last"));
  EXPECT_THAT(this->records("t"), ElementsAre("0=first", "1=shared"));
}

TYPED_TEST(StoreContract, ObserversHearOfAStreamOnceForEachFlush) {
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
  this->store->add_observer(moves);
  ASSERT_TRUE(this->commit({.appends = {{"s", "a"}, {"s", "b"}, {"t", "x"}}}).has_value());
  ASSERT_TRUE(this->run(this->store->trim_stream("s", {1})).has_value());
  ASSERT_TRUE(this->run(this->store->drop_stream("t")).has_value());
  EXPECT_THAT(moves.lines, ElementsAre("s:0-2", "t:0-1", "s:1-2", "t:0-0"));
  this->store->remove_observer(moves);
}

TYPED_TEST(StoreContract, ObserversHearEveryCommitInOrderBeforeTheCommitterDoes) {
  ASSERT_TRUE(this->commit({.puts = {{"before", "1"}}}).has_value());
  RecordingObserver observer;
  EXPECT_EQ(this->store->add_observer(observer), CommitVersion{1});
  std::vector<std::size_t> heard_when_told;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(this->commit({.puts = {{"a", std::to_string(i)}}, .appends = {{"s", "r"}}}));
    heard_when_told.push_back(observer.lines().size());
  }
  ASSERT_TRUE(this->commit({.erases = {"a"}}).has_value());
  this->store->remove_observer(observer);
  ASSERT_TRUE(this->commit({.puts = {{"after", "1"}}}).has_value());
  EXPECT_THAT(heard_when_told, ElementsAre(1u, 2u, 3u));
  EXPECT_THAT(observer.lines(),
              ElementsAre("2: +a=0 s[0]=r", "3: +a=1 s[1]=r", "4: +a=2 s[2]=r", "5: -a"));
}

// Whoever begins to observe while others commit builds on a snapshot and what it hears afterwards;
// a commit in neither would be missing from its index for ever.
TYPED_TEST(StoreContract, SnapshotPlusObservationHasNoGap) {
  constexpr int kCommits = 400;
  std::promise<void> all_done;
  std::atomic<int> left = kCommits;
  std::jthread committing([&] {
    for (int i = 0; i < kCommits; ++i)
      this->store->commit({.appends = {{"s", "r"}}}, this->worker,
                          [&](Result<Committed> committed) {
                            EXPECT_TRUE(committed.has_value());
                            if (--left == 0) all_done.set_value();
                          });
  });
  std::deque<RecordingObserver> observers;
  std::vector<CommitVersion> unheard;
  while (left > 0 && observers.size() < 50) {
    unheard.push_back(this->store->add_observer(observers.emplace_back()));
    EXPECT_GE(this->store->snapshot()->version(), unheard.back());
  }
  all_done.get_future().wait();
  for (std::size_t i = 0; i < observers.size(); ++i) {
    this->store->remove_observer(observers[i]);
    const auto lines = observers[i].lines();
    ASSERT_EQ(lines.size(), kCommits - unheard[i].value);
    if (!lines.empty())
      EXPECT_THAT(lines[0], ::testing::StartsWith(std::to_string(unheard[i].value + 1) + ":"));
  }
}

TYPED_TEST(StoreContract, ALongQueueIsFlushedInPiecesAndInOrder) {
  std::vector<std::uint64_t> versions;
  std::promise<void> all_done;
  constexpr std::size_t kCommits = 6;
  for (std::size_t i = 0; i < kCommits; ++i)
    this->store->commit({.puts = {{"a", std::string(5'000'000, 'v')}}}, this->worker,
                        [&](Result<Committed> committed) {
                          versions.push_back(committed.value().version.value);
                          if (versions.size() == kCommits) all_done.set_value();
                        });
  all_done.get_future().wait();
  EXPECT_THAT(versions, ElementsAre(1u, 2u, 3u, 4u, 5u, 6u));
}

TYPED_TEST(StoreContract, RefusesWhatIsTooLarge) {
  const auto code = [&](WriteSet set) { return this->commit(std::move(set)).error().code; };
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
  EXPECT_THAT(this->run(this->store->snapshot()->scan("", "", 10)).value(), IsEmpty());
}

// From many threads at once: every number once, none missing, and every acknowledged record there.
TYPED_TEST(StoreContract, SequencesAreDenseUnderConcurrentAppends) {
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
          this->store->commit({.appends = {{"s", "r"}}}, this->worker,
                              [&](Result<Committed> committed) {
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
  EXPECT_THAT(this->records("s"), SizeIs(kThreads * kEach));
}

TYPED_TEST(StoreContract, ATransactionReadsItsOwnWrites) {
  ASSERT_TRUE(this->commit({.puts = {{"a", "1"}, {"b", "2"}, {"d", "4"}}}).has_value());
  Transaction tx(*this->store);
  tx.put("c", "3");
  tx.put("b", "20");
  tx.erase("a");
  EXPECT_EQ(this->run(tx.get("a")).value(), std::nullopt);
  EXPECT_THAT(this->run(tx.get("b")).value(), Optional(std::string("20")));
  EXPECT_THAT(this->texts(this->run(tx.scan("", "", 10)).value()),
              ElementsAre("b=20", "c=3", "d=4"));
  EXPECT_THAT(this->texts(this->run(tx.scan("", "", 2)).value()), ElementsAre("b=20", "c=3"));
  EXPECT_THAT(this->texts(this->run(tx.scan("b", "d", 10)).value()), ElementsAre("b=20", "c=3"));
  EXPECT_THAT(this->texts(this->run(tx.scan_prefix("d", 10)).value()), ElementsAre("d=4"));
  ASSERT_TRUE(this->run(tx.commit()).has_value());
  EXPECT_THAT(this->texts(this->run(this->store->snapshot()->scan("", "", 10)).value()),
              ElementsAre("b=20", "c=3", "d=4"));
}

TYPED_TEST(StoreContract, ATransactionDependsOnWhatItGotButNotOnWhatItPeekedAt) {
  ASSERT_TRUE(this->commit({.puts = {{"a", "1"}, {"b", "1"}}}).has_value());
  Transaction peeked(*this->store);
  Transaction got(*this->store);
  ASSERT_TRUE(this->run(peeked.peek("a")).has_value());
  ASSERT_TRUE(this->run(got.get("a")).has_value());
  ASSERT_TRUE(this->commit({.puts = {{"a", "2"}}}).has_value());
  peeked.put("b", "2");
  got.put("b", "3");
  EXPECT_TRUE(this->run(peeked.commit()).has_value());
  const auto refused = this->run(got.commit());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TYPED_TEST(StoreContract, FinishesWhatItAcceptedBeforeItStops) {
  std::promise<Result<Committed>> told;
  this->store->commit({.appends = {{"s", "r"}}}, this->worker,
                      [&](Result<Committed> committed) { told.set_value(std::move(committed)); });
  this->store->stop();
  EXPECT_TRUE(told.get_future().get().has_value());
  EXPECT_EQ(this->commit({.puts = {{"a", "1"}}}).error().code, Code::unavailable);
}

}  // namespace
}  // namespace doppel::store
