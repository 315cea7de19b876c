#include "store/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include "base/check.h"
#include "store/engine.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/directory.h"
#include "store/rocksdb/layout.h"
#include "store/rocksdb/readers.h"
#include "store/rocksdb/record_block.h"
#include "store/rocksdb/rocksdb_snapshot.h"

namespace doppel::store {
namespace {

// A batch buffer that grew beyond this is given back.
constexpr std::size_t kIdleBatchBytesMax = 16 * 1024 * 1024;
// The same for the blocks of a batch with very many streams.
constexpr std::size_t kIdleBlocksMax = 256;
// Free space is looked at again after so many bytes written, or so long.
constexpr std::size_t kSpaceCheckBytes = 4 * 1024 * 1024;
constexpr Duration kSpaceCheckInterval = std::chrono::seconds(1);
// Longer reads of streams go to a reader thread at once.
constexpr std::size_t kInlineRecordsMax = 256;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
rocksdb::Slice slice(const layout::RecordKey& key) { return slice(layout::view(key)); }

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Code::internal,
              fmt::format("the database is damaged: {} is not readable; restore a backup", what));
}

class RocksDbEngine final : public Engine {
 public:
  RocksDbEngine(RocksDbOptions options, Directory directory)
      : options_(std::move(options)), directory_(std::move(directory)) {
    if (options_.file_system != nullptr) env_ = rocksdb::NewCompositeEnv(options_.file_system);
  }
  ~RocksDbEngine() override { close(); }

  Result<Recovered> open() override;
  Status admit() override;
  Status write(const Batch& batch) override;
  std::shared_ptr<const Snapshot> snapshot(CommitVersion version) override {
    return std::make_shared<RocksDbSnapshot>(database(), readers_, version);
  }
  void close() override;

  Task<Result<std::vector<StreamRecord>>> read_stream(StreamNumber stream, SequenceNumber from,
                                                      SequenceNumber until, std::size_t count_max,
                                                      std::size_t bytes_max) override;
  Task<Result<SequenceNumber>> find_by_time(StreamNumber stream, SequenceNumber from,
                                            SequenceNumber until, TimePoint time) override;
  Task<Status> backup(std::string directory) override;

 private:
  // One scan over part of a stream.
  struct StreamRead {
    StreamNumber stream;
    SequenceNumber from;
    SequenceNumber until;
    std::size_t count_max;
    std::size_t bytes_max;
  };

  std::shared_ptr<Database> database() const {
    const std::lock_guard lock(database_mutex_);
    return database_;
  }
  void put_commit(const Batch& batch, const BatchStep& step);
  void put_block(BlockWriter& block, TimePoint time);
  void put_blocks(TimePoint time);
  void put_heads(const Batch& batch);

  // Nothing: the answer is not in memory.
  static std::optional<Result<std::vector<StreamRecord>>> read_records(Database& database,
                                                                       const StreamRead& what,
                                                                       rocksdb::ReadTier tier);
  static Result<SequenceNumber> search_time(Database& database, StreamNumber stream,
                                            SequenceNumber from, SequenceNumber until,
                                            TimePoint time);
  static Status copy_to(Database& database, const std::string& directory);

  const RocksDbOptions options_;
  const Directory directory_;
  std::unique_ptr<rocksdb::Env> env_;  // null: the machine's
  const std::shared_ptr<Readers> readers_ = std::make_shared<Readers>();

  mutable std::mutex database_mutex_;   // of the pointer only
  std::shared_ptr<Database> database_;  // replaced on reopening

  // The committer's.
  rocksdb::WriteBatch batch_;
  std::vector<BlockWriter> blocks_;  // of the batch's streams, by their place in Batch::heads
  std::size_t bytes_since_space_check_ = kSpaceCheckBytes;
  SteadyTime space_checked_{};
  bool has_space_ = false;
};

Result<Recovered> RocksDbEngine::open() {
  if (const auto before = database()) before->close();
  auto opened = Database::open({.path = directory_.database_path(),
                                .cache_bytes = options_.cache_bytes,
                                .buffer_bytes = options_.buffer_bytes,
                                .env = env_.get()});
  if (!opened) return fail(std::move(opened.error()));
  {
    const std::lock_guard lock(database_mutex_);
    database_ = std::move(*opened);
  }
  const auto current = database();
  const Database::Use db(*current);

  Recovered recovered;
  const std::unique_ptr<rocksdb::Iterator> at(
      db->NewIterator(rocksdb::ReadOptions(), current->meta()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const auto key = at->key().ToStringView();
    if (key == layout::kPositionKey) {
      const auto position = layout::decode_position(at->value().ToStringView());
      if (!position) return damaged("the position of the last commit");
      recovered.version = position->version;
      recovered.time = position->time;
      recovered.next_stream = position->next_stream;
    } else if (key.starts_with(layout::kHeadPrefix)) {
      const auto head = layout::decode_head(at->value().ToStringView());
      if (!head) return damaged("the head of a stream");
      recovered.streams.push_back(
          {.name = std::string(key.substr(1)), .number = head->number, .bounds = head->bounds});
    }
  }
  if (!at->status().ok()) return read_error(at->status());
  return recovered;
}

Status RocksDbEngine::admit() {
  const auto now = options_.clock->steady();
  const bool is_known = has_space_ && bytes_since_space_check_ < kSpaceCheckBytes &&
                        now - space_checked_ < kSpaceCheckInterval;
  if (!is_known) {
    has_space_ = directory_.free_bytes() >= options_.free_bytes_min;
    space_checked_ = now;
    bytes_since_space_check_ = 0;
  }
  if (has_space_) return {};
  return fail(Code::unavailable,
              fmt::format("the disk of \"{}\" has less than {} MiB left; nothing is accepted until "
                          "there is room",
                          directory_.path(), options_.free_bytes_min / (1024 * 1024)));
}

Status RocksDbEngine::write(const Batch& batch) {
  const auto current = database();
  const Database::Use db(*current);
  if (!db) return closed_error();
  if (batch_.GetDataSize() > kIdleBatchBytesMax) batch_ = rocksdb::WriteBatch();
  batch_.Clear();
  for (const auto& step : batch.steps) {
    if (step.kind == BatchStep::Kind::commit) {
      put_commit(batch, step);
      continue;
    }
    if (step.from == step.until) continue;
    const auto from = layout::removal_begin(step.stream, step.from);
    const auto until = layout::record_key(step.stream, step.until);
    put_blocks(batch.time);  // what was appended before may be what is removed
    batch_.DeleteRange(current->streams(), from, slice(until));
  }
  put_blocks(batch.time);
  put_heads(batch);
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);  // of this thread; nobody reads its counts
  rocksdb::WriteOptions options;
  options.sync = options_.durability == Durability::every_commit;
  bytes_since_space_check_ += batch_.GetDataSize();
  const auto status = db->Write(options, &batch_);
  if (!status.ok())
    return fail(Code::unavailable, "cannot write the database: " + status.ToString());
  return {};
}

void RocksDbEngine::put_commit(const Batch& batch, const BatchStep& step) {
  for (const auto& put : step.changes->puts) batch_.Put(put.key, put.value);
  for (const auto& erased : step.changes->erases) batch_.Delete(erased);
  for (std::size_t i = step.append_first; i < step.append_first + step.append_count; ++i) {
    const auto& append = batch.appends[i];
    const auto slot = batch.append_heads[i];
    if (slot >= blocks_.size()) blocks_.resize(slot + 1);
    auto& block = blocks_[slot];
    if (!block.takes(batch.append_streams[i], append.record)) put_block(block, batch.time);
    block.add(batch.append_streams[i], append.sequence, append.record);
  }
}

void RocksDbEngine::put_block(BlockWriter& block, TimePoint time) {
  const auto key = layout::record_key(block.stream(), block.last());
  const rocksdb::Slice keys[] = {slice(key)};
  const rocksdb::Slice values[] = {slice(block.head(time)), slice(block.records())};
  batch_.Put(database_->streams(), rocksdb::SliceParts(keys, 1), rocksdb::SliceParts(values, 2));
  block.clear();
}

void RocksDbEngine::put_blocks(TimePoint time) {
  for (auto& block : blocks_)
    if (!block.empty()) put_block(block, time);
  if (blocks_.size() > kIdleBlocksMax) blocks_ = {};
}

void RocksDbEngine::put_heads(const Batch& batch) {
  auto* const meta = database_->meta();
  std::string key;
  for (const auto& head : batch.heads) {
    key.assign(1, layout::kHeadPrefix).append(head.name);
    if (head.number == 0)
      batch_.Delete(meta, key);
    else
      batch_.Put(meta, key, layout::encode_head(head.number, head.bounds));
  }
  const auto position = layout::encode_position(
      {.version = batch.version, .time = batch.time, .next_stream = batch.next_stream});
  batch_.Put(meta, slice(layout::kPositionKey), position);
}

void RocksDbEngine::close() {
  if (const auto current = database()) current->close();
  readers_->drain();
}

std::optional<Result<std::vector<StreamRecord>>> RocksDbEngine::read_records(
    Database& database, const StreamRead& what, rocksdb::ReadTier tier) {
  const Database::Use db(database);
  if (!db) return closed_error();
  rocksdb::ReadOptions options;
  options.read_tier = tier;
  // Blocks do not lie across a flush, and what is read was durable when it was asked for.
  const auto end_key = layout::record_key(what.stream, what.until);
  const auto end = slice(end_key);
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(options, database.streams()));
  std::vector<StreamRecord> records;
  std::size_t bytes = 0;
  const auto first = layout::record_key(what.stream, what.from);
  for (at->Seek(slice(first)); at->Valid(); at->Next()) {
    const auto last = layout::sequence_of(at->key().ToStringView());
    if (!last) return damaged("the key of a stream record");
    auto block = BlockReader::open(at->value().ToStringView(), *last);
    if (!block) return damaged("a stream record");
    while (!block->at_end()) {
      const auto sequence = block->sequence();
      const auto record = block->next();
      if (!record) return damaged("a stream record");
      if (sequence < what.from) continue;
      bytes += record->size();
      const bool is_full = records.size() >= what.count_max || bytes > what.bytes_max;
      if (is_full && !records.empty()) return records;
      records.push_back(
          {.sequence = sequence, .enqueued = block->enqueued(), .record = std::string(*record)});
    }
  }
  if (at->status().IsIncomplete()) return std::nullopt;
  if (!at->status().ok()) return read_error(at->status());
  return records;
}

Task<Result<std::vector<StreamRecord>>> RocksDbEngine::read_stream(StreamNumber stream,
                                                                   SequenceNumber from,
                                                                   SequenceNumber until,
                                                                   std::size_t count_max,
                                                                   std::size_t bytes_max) {
  const StreamRead what{.stream = stream,
                        .from = from,
                        .until = until,
                        .count_max = count_max,
                        .bytes_max = bytes_max};
  const auto current = database();
  if (std::min<std::uint64_t>(count_max, until.value - from.value) <= kInlineRecordsMax) {
    if (auto at_once = read_records(*current, what, rocksdb::kBlockCacheTier))
      co_return std::move(*at_once);
  }
  std::function<Result<std::vector<StreamRecord>>()> from_disk = [current, what] {
    return *read_records(*current, what, rocksdb::kReadAllTier);
  };
  co_return co_await readers_->run(std::move(from_disk));
}

Result<SequenceNumber> RocksDbEngine::search_time(Database& database, StreamNumber stream,
                                                  SequenceNumber from, SequenceNumber until,
                                                  TimePoint time) {
  const Database::Use db(database);
  if (!db) return closed_error();
  rocksdb::ReadOptions options;
  const auto end_key = layout::record_key(stream, until);
  const auto end = slice(end_key);
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(options, database.streams()));
  while (from < until) {
    const SequenceNumber middle{from.value + (until.value - from.value) / 2};
    const auto key = layout::record_key(stream, middle);
    at->Seek(slice(key));
    if (!at->status().ok()) return read_error(at->status());
    if (!at->Valid()) return until;  // trimmed meanwhile, like all that are gone
    const auto last = layout::sequence_of(at->key().ToStringView());
    const auto block = last ? BlockReader::open(at->value().ToStringView(), *last) : std::nullopt;
    if (!block) return damaged("a stream record");
    const auto first = block->sequence();
    if (first > middle)
      from = std::min(first, until);  // older than all that are left, so nobody's answer
    else if (block->enqueued() < time)
      from = last->next();
    else
      until = std::max(from, first);
  }
  return from;
}

Task<Result<SequenceNumber>> RocksDbEngine::find_by_time(StreamNumber stream, SequenceNumber from,
                                                         SequenceNumber until, TimePoint time) {
  std::function<Result<SequenceNumber>()> search = [current = database(), stream, from, until,
                                                    time] {
    return search_time(*current, stream, from, until, time);
  };
  co_return co_await readers_->run(std::move(search));
}

Status RocksDbEngine::copy_to(Database& database, const std::string& directory) {
  const Database::Use db(database);
  if (!db) return closed_error();
  if (auto ready = prepare_backup(directory); !ready) return ready;
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(db.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory + "/db");
  if (!status.ok())
    return fail(Code::unavailable,
                fmt::format("cannot write the backup \"{}\": {}", directory, status.ToString()));
  return write_format(directory);
}

Task<Status> RocksDbEngine::backup(std::string directory) {
  std::function<Status()> copy = [current = database(), &directory] {
    return copy_to(*current, directory);
  };
  co_return co_await readers_->run(std::move(copy));
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocksdb(RocksDbOptions options) {
  check(options.clock != nullptr, "a store is given a clock");
  auto directory = Directory::open(options.directory);
  if (!directory) return fail(std::move(directory.error()));
  const auto& clock = *options.clock;
  auto engine = std::make_unique<RocksDbEngine>(std::move(options), std::move(*directory));
  return open_engine_store(std::move(engine), clock, Threading::committer_thread);
}

}  // namespace doppel::store
