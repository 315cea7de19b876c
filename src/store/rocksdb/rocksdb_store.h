// The store on disk: RocksDB behind one committer thread, one synced write for each group of
// commits (docs/decisions/003-store.md).
//
// The directory holds `format` (what wrote it), `lock` (who uses it) and `db/` (RocksDB's own). A
// backup is such a directory without the lock, and is started from like any other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace rocksdb {
class FileSystem;
}

namespace doppel::store {

// Of the data directory. Raised when an older server could not read what a newer one writes; every
// released number stays readable.
inline constexpr std::uint64_t kStoreFormat = 2;

inline constexpr std::size_t kCacheBytesDefault = 128 * 1024 * 1024;
inline constexpr std::size_t kBufferBytesDefault = 192 * 1024 * 1024;
// Commits are refused when the disk has less than this left: RocksDB needs room to flush what it
// has accepted (its buffers, see database.cc) and to compact, and an operator to clean up.
inline constexpr std::uint64_t kFreeBytesMinDefault = 512 * 1024 * 1024;

enum class Durability : std::uint8_t {
  every_commit,  // flushed to the disk before anybody is told
  none,          // for showing that the crash tests notice; never for data
};

struct RocksDbOptions {
  std::string directory;         // made if it is not there, with mode 0700
  const Clock* clock = nullptr;  // must outlive the store
  Durability durability = Durability::every_commit;
  std::size_t cache_bytes = kCacheBytesDefault;    // of blocks read
  std::size_t buffer_bytes = kBufferBytesDefault;  // of writes that are in the log only
  std::uint64_t free_bytes_min = kFreeBytesMinDefault;
  // For tests: what RocksDB does its I/O through; null: the machine's.
  std::shared_ptr<rocksdb::FileSystem> file_system = nullptr;
};

// Opens the directory, or begins a new store in it. Blocking. Errors: unavailable (another server
// uses it, or the disk fails), unsupported (written by a newer server), invalid_argument (not a
// store). Messages name the directory and what to do.
Result<std::unique_ptr<Store>> open_rocksdb(RocksDbOptions options);

}  // namespace doppel::store
