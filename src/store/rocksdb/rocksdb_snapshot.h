// A RocksDB snapshot as ours: reads finish on the calling thread when the blocks are in memory, and
// move to a reader thread when they are not.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/rocksdb/database.h"
#include "store/rocksdb/readers.h"
#include "store/store.h"

namespace doppel::store {

// Scans of more entries than this go to a reader thread at once, so that a loop is not held up.
inline constexpr std::size_t kInlineScanMax = 256;

class RocksDbSnapshot final : public Snapshot {
 public:
  RocksDbSnapshot(std::shared_ptr<Database> database, std::shared_ptr<Readers> readers,
                  CommitVersion version);
  ~RocksDbSnapshot() override;

  CommitVersion version() const override { return version_; }
  Task<Result<std::optional<std::string>>> get(std::string key) const override;
  Task<Result<std::vector<Entry>>> scan(std::string first, std::string last,
                                        std::size_t limit) const override;

 private:
  // Nothing: the answer is not in memory.
  std::optional<Result<std::optional<std::string>>> read(const std::string& key,
                                                         rocksdb::ReadTier tier) const;
  std::optional<Result<std::vector<Entry>>> read_range(const std::string& first,
                                                       const std::string& last, std::size_t limit,
                                                       rocksdb::ReadTier tier) const;

  std::shared_ptr<Database> database_;
  std::shared_ptr<Readers> readers_;
  CommitVersion version_;
  const rocksdb::Snapshot* snapshot_;
};

// What reads answer after the database was closed under them.
std::unexpected<Error> closed_error();
std::unexpected<Error> read_error(const rocksdb::Status& status);

}  // namespace doppel::store
