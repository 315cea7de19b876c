// One opening of RocksDB, which ends while others may still hold snapshots of it: they then learn
// that it is closed instead of touching freed memory.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include <rocksdb/db.h>

#include "base/result.h"

namespace doppel::store {

struct DatabaseOptions {
  std::string path;
  std::size_t cache_bytes = 0;
  std::size_t buffer_bytes = 0;
  rocksdb::Env* env = nullptr;  // null: the machine's; must outlive the database
};

// Any thread.
class Database {
 public:
  static Result<std::shared_ptr<Database>> open(const DatabaseOptions& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Keeps the database open while it lives; false when it has been closed.
  class Use {
   public:
    explicit Use(Database& database) {
      if (database.is_closing_) return;  // readers must not hold up who wants to close
      lock_ = std::shared_lock(database.mutex_);
      db_ = database.db_.get();
    }
    explicit operator bool() const { return db_ != nullptr; }
    rocksdb::DB* operator->() const { return db_; }
    rocksdb::DB* get() const { return db_; }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    rocksdb::DB* db_ = nullptr;
  };

  // Valid during a Use.
  rocksdb::ColumnFamilyHandle* keys() const { return families_[0]; }
  rocksdb::ColumnFamilyHandle* streams() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* meta() const { return families_[2]; }

  // Null when closed. Give every one back.
  const rocksdb::Snapshot* acquire_snapshot();
  void release_snapshot(const rocksdb::Snapshot* snapshot);

  // Waits for the uses that run, then closes. Repeatable.
  void close();

 private:
  Database() = default;

  std::atomic<bool> is_closing_ = false;
  std::shared_mutex mutex_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::mutex snapshots_mutex_;
  std::unordered_set<const rocksdb::Snapshot*> snapshots_;
};

}  // namespace doppel::store
