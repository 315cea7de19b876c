#include "store/rocksdb/rocksdb_snapshot.h"

#include <algorithm>
#include <utility>

namespace doppel::store {
namespace {

// Beyond this a scan reads most of the data once (an index being rebuilt): it would only push what
// is hot out of the cache.
constexpr std::size_t kCachedScanMax = 16 * 1024;

}  // namespace

std::unexpected<Error> closed_error() {
  return fail(Code::unavailable, "the store has been closed or reopened meanwhile; read again");
}

std::unexpected<Error> read_error(const rocksdb::Status& status) {
  return fail(Code::unavailable, "cannot read the database: " + status.ToString());
}

RocksDbSnapshot::RocksDbSnapshot(std::shared_ptr<Database> database,
                                 std::shared_ptr<Readers> readers, CommitVersion version)
    : database_(std::move(database)),
      readers_(std::move(readers)),
      version_(version),
      snapshot_(database_->acquire_snapshot()) {}

RocksDbSnapshot::~RocksDbSnapshot() {
  if (snapshot_ != nullptr) database_->release_snapshot(snapshot_);
}

std::optional<Result<std::optional<std::string>>> RocksDbSnapshot::read(
    const std::string& key, rocksdb::ReadTier tier) const {
  const Database::Use db(*database_);
  if (!db) return closed_error();
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  options.read_tier = tier;
  rocksdb::PinnableSlice value;
  const auto status = db->Get(options, database_->keys(), key, &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (status.IsIncomplete()) return std::nullopt;
  if (!status.ok()) return read_error(status);
  return std::optional<std::string>(std::in_place, value.data(), value.size());
}

Task<Result<std::optional<std::string>>> RocksDbSnapshot::get(std::string key) const {
  if (auto at_once = read(key, rocksdb::kBlockCacheTier)) co_return std::move(*at_once);
  std::function<Result<std::optional<std::string>>()> from_disk = [this, &key] {
    return *read(key, rocksdb::kReadAllTier);
  };
  co_return co_await readers_->run(std::move(from_disk));
}

std::optional<Result<std::vector<Entry>>> RocksDbSnapshot::read_range(
    const std::string& first, const std::string& last, std::size_t limit,
    rocksdb::ReadTier tier) const {
  const Database::Use db(*database_);
  if (!db) return closed_error();
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  options.read_tier = tier;
  options.fill_cache = limit <= kCachedScanMax;
  const rocksdb::Slice end(last);
  if (!last.empty()) options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(options, database_->keys()));
  std::vector<Entry> entries;
  for (at->Seek(first); at->Valid() && entries.size() < limit; at->Next())
    entries.push_back({.key = at->key().ToString(), .value = at->value().ToString()});
  if (at->status().IsIncomplete()) return std::nullopt;
  if (!at->status().ok()) return read_error(at->status());
  return entries;
}

Task<Result<std::vector<Entry>>> RocksDbSnapshot::scan(std::string first, std::string last,
                                                       std::size_t limit) const {
  if (limit == 0 || (!last.empty() && last <= first)) co_return std::vector<Entry>{};
  if (limit <= kInlineScanMax) {
    if (auto at_once = read_range(first, last, limit, rocksdb::kBlockCacheTier))
      co_return std::move(*at_once);
  }
  std::function<Result<std::vector<Entry>>()> from_disk = [this, &first, &last, limit] {
    return *read_range(first, last, limit, rocksdb::kReadAllTier);
  };
  co_return co_await readers_->run(std::move(from_disk));
}

}  // namespace doppel::store
