#include "store/rocksdb/database.h"

#include <algorithm>

#include <fmt/core.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_manager.h>
#include <rocksdb/table.h>

#include "store/rocksdb/layout.h"

namespace doppel::store {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

// The share of DatabaseOptions::buffer_bytes that one write buffer of the streams takes. The other
// families are flushed when all buffers, or the log, reach their bound, and never because of their
// own size: RocksDB 7.8 built with assertions was seen to stop the process on closing, which is how
// we recover (ColumnFamilySet::~ColumnFamilySet, last_ref), after a new log could not be made. The
// reason appears to be DBImpl::ScheduleFlushes: where two families have filled up in one write, it
// gives up at the first and keeps its reference to the second. Nothing acknowledged is lost even
// then: the process ends, and the next start replays the log.
constexpr std::size_t kStreamsShare = 3;
constexpr std::size_t kNeverByItself = 4;
// Buffers grow in blocks of this share, of which each family holds a part-filled one.
constexpr std::size_t kBlockShare = 64;
constexpr int kStreamFilesMerged = 8;
constexpr int kOpenFilesMax = 512;
constexpr int kBackgroundJobs = 2;
constexpr double kBloomBitsPerKey = 10;  // 1 % of lookups of absent keys read a block in vain

rocksdb::BlockBasedTableOptions table_options(std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.format_version = 5;
  // Counted in the cache, so that memory stays bounded however many files there are.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return table;
}

rocksdb::ColumnFamilyOptions keys_options(std::shared_ptr<rocksdb::Cache> cache,
                                          std::size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions family;
  auto table = table_options(std::move(cache));
  table.block_size = 8 * 1024;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.write_buffer_size = buffer_bytes * kNeverByItself;
  family.arena_block_size = std::min(buffer_bytes / kBlockShare, kMiB);
  family.compression = rocksdb::kLZ4Compression;
  family.level_compaction_dynamic_level_bytes = true;
  return family;
}

// Tells RocksDB that records come in key order within a stream, so that it keeps its place in the
// buffer instead of searching for it. Range deletes must not be in the domain: RocksDB 7.8 keeps
// their places in the same table as those of records, and gets lost (see layout::removal_begin).
class RecordStream final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "doppel.RecordStream"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), sizeof(StreamNumber)};
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    return key.size() == layout::kRecordKeySize;
  }
};

// Records arrive in key order within a stream and leave by range deletes.
rocksdb::ColumnFamilyOptions streams_options(std::shared_ptr<rocksdb::Cache> cache,
                                             std::size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions family;
  auto table = table_options(std::move(cache));
  table.block_size = 32 * 1024;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.write_buffer_size = buffer_bytes / kStreamsShare;
  family.arena_block_size = std::min(buffer_bytes / kBlockShare, kMiB);
  family.max_write_buffer_number = 3;
  family.memtable_insert_with_hint_prefix_extractor = std::make_shared<RecordStream>();
  // Every record is written again by each compaction that it goes through: merging many files of
  // about one size at once makes those few. Measured: with the defaults compaction took more CPU
  // than the committer.
  family.compaction_style = rocksdb::kCompactionStyleUniversal;
  family.compaction_options_universal.min_merge_width = kStreamFilesMerged;
  // Trimmed records leave the disk when everything is merged: once as much was added as there was.
  family.compaction_options_universal.max_size_amplification_percent = 100;
  family.level0_file_num_compaction_trigger = 2 * kStreamFilesMerged;
  family.level0_slowdown_writes_trigger = 4 * kStreamFilesMerged;
  family.level0_stop_writes_trigger = 6 * kStreamFilesMerged;
  // Most records are read while they are new, and many are trimmed before they are merged.
  family.compression_per_level = {rocksdb::kNoCompression, rocksdb::kLZ4Compression};
  return family;
}

rocksdb::ColumnFamilyOptions meta_options(std::shared_ptr<rocksdb::Cache> cache,
                                          std::size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions family;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(std::move(cache))));
  family.write_buffer_size = buffer_bytes * kNeverByItself;
  family.arena_block_size = std::min(buffer_bytes / kBlockShare, kMiB);
  return family;
}

rocksdb::DBOptions database_options(const DatabaseOptions& options) {
  rocksdb::DBOptions db;
  if (options.env != nullptr) db.env = options.env;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  // A torn tail is what a power cut leaves; everything acknowledged lies before it.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // What a failed flush left behind in the page cache is written to a table file before we rely on
  // it: the kernel may call a page clean that never reached the disk.
  db.avoid_flush_during_recovery = false;
  // The log is replayed at start, at some 200 MB/s; without a bound it is kept until the quietest
  // family flushes.
  db.max_total_wal_size = options.buffer_bytes;
  db.db_write_buffer_size = options.buffer_bytes;
  db.max_open_files = kOpenFilesMax;
  db.max_background_jobs = kBackgroundJobs;
  db.max_file_opening_threads = kBackgroundJobs;
  db.allow_concurrent_memtable_write = false;  // one writer
  // Puts off compactions that the disk has no room for, and goes on when there is room again.
  db.sst_file_manager.reset(rocksdb::NewSstFileManager(db.env));
  db.max_bgerror_resume_count = 0;  // recovery is ours: reopen and replay
  db.bytes_per_sync = kMiB;         // spreads the writing of table files
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.keep_log_file_num = 4;
  db.max_log_file_size = 4 * kMiB;
  db.db_host_id.clear();  // table files, and so backups, do not name the machine
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

}  // namespace

Result<std::shared_ptr<Database>> Database::open(const DatabaseOptions& options) {
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {layout::kKeysFamily, keys_options(cache, options.buffer_bytes)},
      {layout::kStreamsFamily, streams_options(cache, options.buffer_bytes)},
      {layout::kMetaFamily, meta_options(cache, options.buffer_bytes)}};
  std::shared_ptr<Database> database(new Database);
  rocksdb::DB* db = nullptr;
  const auto opened = rocksdb::DB::Open(database_options(options), options.path, families,
                                        &database->families_, &db);
  if (!opened.ok())
    return fail(Code::unavailable, fmt::format("cannot open the database \"{}\": {}", options.path,
                                               opened.ToString()));
  database->db_.reset(db);
  return database;
}

Database::~Database() { close(); }

const rocksdb::Snapshot* Database::acquire_snapshot() {
  const Use db(*this);
  if (!db) return nullptr;
  const auto* const snapshot = db->GetSnapshot();
  const std::lock_guard lock(snapshots_mutex_);
  snapshots_.insert(snapshot);
  return snapshot;
}

void Database::release_snapshot(const rocksdb::Snapshot* snapshot) {
  const Use db(*this);
  if (!db) return;
  {
    const std::lock_guard lock(snapshots_mutex_);
    snapshots_.erase(snapshot);
  }
  db->ReleaseSnapshot(snapshot);
}

void Database::close() {
  is_closing_ = true;
  const std::unique_lock lock(mutex_);
  if (db_ == nullptr) return;
  for (const auto* const snapshot : snapshots_) db_->ReleaseSnapshot(snapshot);
  snapshots_.clear();
  for (auto* const family : families_) db_->DestroyColumnFamilyHandle(family);
  db_->Close();  // an error here changes nothing: what was acknowledged is in the log
  db_.reset();
}

}  // namespace doppel::store
