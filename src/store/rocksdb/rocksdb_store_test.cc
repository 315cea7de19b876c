// What only the engine on disk promises: surviving restarts, locks, formats, room, backups.
#include "store/rocksdb/rocksdb_store.h"

#include <atomic>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/file_system.h>
#include <sys/stat.h>

#include "base/testing.h"
#include "store/contract_testing.h"

namespace doppel::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using testing::RecordingObserver;
using testing::run_on;
using testing::TemporaryFolder;

// Fails writes to the log of the database while told to, like a disk that goes away and comes back.
class FailingFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FailingFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::atomic<int>& failures)
      : FSWritableFileOwnerWrapper(std::move(file)), failures_(failures) {}
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    if (failures_.load() > 0) {
      --failures_;
      return rocksdb::IOStatus::IOError("injected");
    }
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }

 private:
  std::atomic<int>& failures_;
};

class FailingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FailingFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FailingFileSystem"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    if (name.ends_with(".log") && log_creation_failures.load() > 0) {
      --log_creation_failures;
      return rocksdb::IOStatus::IOError("injected");
    }
    auto made = FileSystemWrapper::NewWritableFile(name, options, result, debug);
    if (made.ok() && name.ends_with(".log"))
      *result = std::make_unique<FailingFile>(std::move(*result), log_sync_failures);
    return made;
  }

  std::atomic<int> log_sync_failures = 0;
  std::atomic<int> log_creation_failures = 0;
};

class RocksDbStoreTest : public ::testing::Test {
 protected:
  RocksDbOptions options() { return {.directory = folder.path() + "/data", .clock = &clock}; }
  Result<std::unique_ptr<Store>> try_open() { return open_rocksdb(options()); }
  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store = std::move(*opened);
  }
  void reopen() {
    store->stop();
    store.reset();
    open();
  }
  Result<Committed> commit(WriteSet set) { return run_on(worker, store->commit(std::move(set))); }
  std::optional<std::string> get(std::string key) {
    const auto snapshot = store->snapshot();
    return run_on(worker, snapshot->get(std::move(key))).value();
  }
  std::vector<std::string> records(std::string stream) {
    std::vector<std::string> lines;
    for (const auto& record :
         run_on(worker, store->read_stream(std::move(stream), {0}, 1000, 1'000'000)).value())
      lines.push_back(std::to_string(record.sequence.value) + "=" + record.record);
    return lines;
  }

  doppel::testing::ManualClock clock;
  TemporaryFolder folder;
  Worker worker{"test"};
  std::unique_ptr<Store> store;
};

TEST_F(RocksDbStoreTest, EverythingIsThereAfterARestart) {
  open();
  const auto first = commit({.puts = {{"a", "1"}}, .appends = {{"s", "x"}, {"t", "y"}}}).value();
  ASSERT_TRUE(commit({.appends = {{"s", "z"}}}).has_value());
  ASSERT_TRUE(run_on(worker, store->trim_stream("s", {1})).has_value());
  ASSERT_TRUE(run_on(worker, store->drop_stream("t")).has_value());
  reopen();
  EXPECT_THAT(get("a"), Optional(std::string("1")));
  EXPECT_THAT(records("s"), ElementsAre("1=z"));
  EXPECT_EQ(store->stream_bounds("s").first, SequenceNumber{1});
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{2});
  EXPECT_EQ(store->stream_bounds("t").next, SequenceNumber{0});
  EXPECT_EQ(store->snapshot()->version(), CommitVersion{2});
  const auto later = commit({.appends = {{"s", "w"}, {"t", "v"}}}).value();
  EXPECT_GT(later.version, first.version);
  EXPECT_THAT(later.appended, ElementsAre(SequenceNumber{2}, SequenceNumber{0}));
}

TEST_F(RocksDbStoreTest, TimeDoesNotGoBackOverARestart) {
  open();
  const auto before = commit({.appends = {{"s", "x"}}}).value();
  clock.set(clock.now() - std::chrono::hours(24));
  reopen();
  EXPECT_EQ(store->stream_bounds("s").last_enqueued, before.time);
  EXPECT_GE(commit({.appends = {{"s", "y"}}}).value().time, before.time);
}

// A decision made before a restart knows nothing of what was written meanwhile.
TEST_F(RocksDbStoreTest, ADecisionFromBeforeTheRestartIsAConflictOnlyIfOlder) {
  open();
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}}).has_value());
  ASSERT_TRUE(commit({.puts = {{"b", "1"}}}).has_value());
  reopen();
  EXPECT_EQ(commit({.read_version = {1}, .required = {"c"}}).error().code, Code::conflict);
  EXPECT_TRUE(commit({.read_version = {2}, .required = {"a"}, .puts = {{"a", "2"}}}).has_value());
}

TEST_F(RocksDbStoreTest, TwoServersCannotShareADirectory) {
  open();
  const auto second = try_open();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_THAT(second.error().message, HasSubstr("\"" + options().directory + "\""));
  EXPECT_THAT(second.error().message, HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_THAT(second.error().message, HasSubstr("stop it first"));
  EXPECT_TRUE(commit({.puts = {{"a", "1"}}}).has_value());
}

TEST_F(RocksDbStoreTest, RefusesWhatANewerServerWroteAndLeavesItAlone) {
  open();
  store->stop();
  store.reset();
  const auto file = options().directory + "/format";
  std::ofstream(file) << "doppel-store " << kStoreFormat + 1 << "\n";
  const auto newer = try_open();
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().code, Code::unsupported);
  EXPECT_THAT(newer.error().message, HasSubstr("newer server (store format 3, this one knows 2)"));
  std::ofstream(file) << "doppel-store " << kStoreFormat << "\n";
  open();
}

TEST_F(RocksDbStoreTest, RefusesAFolderThatIsNoStore) {
  open();
  store->stop();
  store.reset();
  for (const auto* text : {"", "something else\n", "doppel-store \n", "doppel-store 1x\n"}) {
    std::ofstream(options().directory + "/format") << text;
    const auto refused = try_open();
    ASSERT_FALSE(refused.has_value()) << text;
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
  }
  std::filesystem::remove(options().directory + "/format");
  EXPECT_THAT(try_open().error().message, HasSubstr("a backup that was not finished?"));
}

TEST_F(RocksDbStoreTest, KeepsOthersOutOfItsFolder) {
  open();
  struct ::stat state{};
  ASSERT_EQ(::stat(options().directory.c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0700u);
}

TEST_F(RocksDbStoreTest, ABackupMadeWhileRunningStartsAsItWas) {
  open();
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}, .appends = {{"s", "x"}}}).has_value());
  const auto target = folder.path() + "/backup/of today";
  const auto made = run_on(worker, store->backup(target));
  ASSERT_TRUE(made.has_value()) << made.error().message;
  ASSERT_TRUE(commit({.puts = {{"a", "2"}}, .appends = {{"s", "y"}}}).has_value());

  const auto again = run_on(worker, store->backup(target));
  ASSERT_FALSE(again.has_value());
  EXPECT_THAT(again.error().message, HasSubstr("not empty"));

  store->stop();
  auto from_backup = open_rocksdb({.directory = target, .clock = &clock});
  ASSERT_TRUE(from_backup.has_value()) << from_backup.error().message;
  store = std::move(*from_backup);
  EXPECT_THAT(get("a"), Optional(std::string("1")));
  EXPECT_THAT(records("s"), ElementsAre("0=x"));
}

TEST_F(RocksDbStoreTest, RefusesCommitsBeforeTheDiskIsFullButStillMakesRoom) {
  open();
  ASSERT_TRUE(commit({.appends = {{"s", "x"}}}).has_value());
  store->stop();
  store.reset();
  auto full = options();
  full.free_bytes_min = std::numeric_limits<std::uint64_t>::max();
  store = open_rocksdb(std::move(full)).value();
  const auto refused = commit({.puts = {{"a", "1"}}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("nothing is accepted until there is room"));
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_TRUE(run_on(worker, store->trim_stream("s", {1})).has_value());
  EXPECT_THAT(records("s"), IsEmpty());
}

// Waits for the committer to have reopened: its observers hear of it before it accepts again.
class ReopenedObserver final : public Observer {
 public:
  void on_commit(const CommitView&) override {}
  void on_reopened(CommitVersion version) override { reopened.set_value(version); }
  std::promise<CommitVersion> reopened;
};

TEST_F(RocksDbStoreTest, AfterAFailedFlushItReopensAndGoesOn) {
  auto failing = std::make_shared<FailingFileSystem>();
  auto with_faults = options();
  with_faults.file_system = failing;
  store = open_rocksdb(std::move(with_faults)).value();
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}, .appends = {{"s", "x"}}}).has_value());
  ReopenedObserver observer;
  store->add_observer(observer);
  const auto old_snapshot = store->snapshot();

  failing->log_sync_failures = 1;
  const auto failed = commit({.puts = {{"a", "2"}}, .appends = {{"s", "y"}}});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, Code::unavailable);
  EXPECT_THAT(failed.error().message, HasSubstr("the outcome is unknown"));

  const auto version = observer.reopened.get_future().get();
  // The outcome is known now: all of it, or nothing.
  const bool took_effect = version == CommitVersion{2};
  EXPECT_THAT(get("a"), Optional(std::string(took_effect ? "2" : "1")));
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{took_effect ? 2u : 1u});
  EXPECT_EQ(run_on(worker, old_snapshot->get("a")).error().code, Code::unavailable);

  auto next = commit({.appends = {{"s", "z"}}});
  while (!next.has_value()) next = commit({.appends = {{"s", "z"}}});  // not yet accepting
  EXPECT_EQ(next->appended[0], SequenceNumber{took_effect ? 2u : 1u});
  store->remove_observer(observer);
}

// RocksDB begins a new log when a buffer is full. Keys and records fill theirs alike here, which is
// when a careless choice of buffers makes RocksDB stop the process (see database.cc).
TEST_F(RocksDbStoreTest, ANewLogThatCannotBeMadeCostsOneCommit) {
  auto failing = std::make_shared<FailingFileSystem>();
  auto with_faults = options();
  with_faults.file_system = failing;
  with_faults.buffer_bytes = 1024 * 1024;
  store = open_rocksdb(std::move(with_faults)).value();
  ReopenedObserver observer;
  store->add_observer(observer);

  failing->log_creation_failures = 1;
  const std::string large(100'000, 'x');
  std::size_t acknowledged = 0;
  bool has_failed = false;
  for (; acknowledged < 100 && !has_failed; acknowledged += has_failed ? 0 : 1)
    has_failed =
        !commit({.puts = {{"k" + std::to_string(acknowledged), large}}, .appends = {{"s", large}}})
             .has_value();
  ASSERT_TRUE(has_failed) << "no buffer was ever full";

  const auto version = observer.reopened.get_future().get();
  EXPECT_GE(version.value, acknowledged);
  EXPECT_LE(version.value, acknowledged + 1);
  EXPECT_EQ(store->stream_bounds("s").next, SequenceNumber{version.value});
  for (std::size_t i = 0; i < acknowledged; ++i)
    EXPECT_THAT(get("k" + std::to_string(i)), Optional(large)) << i;
  store->remove_observer(observer);
}

TEST_F(RocksDbStoreTest, ReadsOfASnapshotThatOutlivesItsStoreAreRefused) {
  open();
  ASSERT_TRUE(commit({.puts = {{"a", "1"}}}).has_value());
  const auto snapshot = store->snapshot();
  store->stop();
  store.reset();
  EXPECT_EQ(run_on(worker, snapshot->get("a")).error().code, Code::unavailable);
  EXPECT_EQ(run_on(worker, snapshot->scan("", "", 10)).error().code, Code::unavailable);
}

// One directory of each released format is kept, and must stay readable. A new format adds its own:
// raise kStoreFormat, then run the disabled test below and keep what it writes.
const std::string kStoredDirectory = "src/store/rocksdb/testdata/format-";

class StoredDirectoryTest : public RocksDbStoreTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Formats, StoredDirectoryTest, ::testing::Values(1, 2));

TEST_P(StoredDirectoryTest, IsReadAndGoneOnWith) {
  std::filesystem::copy(kStoredDirectory + std::to_string(GetParam()), options().directory,
                        std::filesystem::copy_options::recursive);
  open();
  EXPECT_EQ(store->snapshot()->version(), CommitVersion{5});
  EXPECT_THAT(get(key({"kept"})), Optional(std::string("value of 2")));
  EXPECT_EQ(get(key({"erased"})), std::nullopt);
  EXPECT_THAT(records(key({"stream"})), ElementsAre("1=b", "2=c", "3=d"));
  EXPECT_EQ(store->stream_bounds(key({"dropped"})).next, SequenceNumber{0});
  EXPECT_EQ(commit({.appends = {{key({"stream"}), "e"}}}).value().appended[0], SequenceNumber{4});
  reopen();
  EXPECT_THAT(records(key({"stream"})), ElementsAre("1=b", "2=c", "3=d", "4=e"));
  std::string format;
  std::getline(std::ifstream(options().directory + "/format"), format);
  EXPECT_EQ(format, "doppel-store " + std::to_string(kStoreFormat));
}

TEST_F(RocksDbStoreTest, DISABLED_WritesTheStoredDirectory) {
  open();
  ASSERT_TRUE(commit({.puts = {{key({"kept"}), "value of 1"}, {key({"erased"}), "1"}}}));
  ASSERT_TRUE(commit({.puts = {{key({"kept"}), "value of 2"}}, .erases = {key({"erased"})}}));
  ASSERT_TRUE(commit({.appends = {{key({"stream"}), "a"}, {key({"stream"}), "b"}}}));
  ASSERT_TRUE(commit({.appends = {{key({"stream"}), "c"}, {key({"dropped"}), "x"}}}));
  ASSERT_TRUE(run_on(worker, store->trim_stream(key({"stream"}), {1})));
  ASSERT_TRUE(run_on(worker, store->drop_stream(key({"dropped"}))));
  reopen();  // so that there are table files, and a log beside them
  ASSERT_TRUE(commit({.appends = {{key({"stream"}), "d"}}}));
  store->stop();
  std::filesystem::remove(options().directory + "/lock");
  std::vector<std::filesystem::path> unneeded;  // name this machine, or only what can be seen
  for (const auto& file : std::filesystem::directory_iterator(options().directory + "/db"))
    if (const auto name = file.path().filename().string();
        name.starts_with("LO") || name.starts_with("OPTIONS"))
      unneeded.push_back(file.path());
  for (const auto& file : unneeded) std::filesystem::remove(file);
  std::filesystem::copy(options().directory, kStoredDirectory + std::to_string(kStoreFormat),
                        std::filesystem::copy_options::recursive);
}

// Many streams, as many devices make: each must have its head after a restart, however it ended.
TEST_F(RocksDbStoreTest, FindsTheHeadsOfManyStreams) {
  open();
  for (int round = 0; round < 3; ++round) {
    WriteSet set;
    for (int i = 0; i < 5000; ++i)
      if (i % (round + 1) == 0)
        set.appends.push_back({.streams = key({"stream", std::to_string(i)}), .record = "r"});
    ASSERT_TRUE(commit(std::move(set)).has_value());
  }
  reopen();
  for (int i = 0; i < 5000; ++i) {
    const auto expected = 1u + (i % 2 == 0 ? 1u : 0u) + (i % 3 == 0 ? 1u : 0u);
    ASSERT_EQ(store->stream_bounds(key({"stream", std::to_string(i)})).next,
              SequenceNumber{expected});
  }
}

}  // namespace
}  // namespace doppel::store
