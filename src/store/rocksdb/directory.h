// The data directory around RocksDB's own folder: who uses it, which format it has, how much room
// is left.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace doppel::store {

// Holds the directory's lock while it lives.
class Directory {
 public:
  // Makes the directory and its format file if they are not there; refuses what open_rocksdb()
  // says.
  static Result<Directory> open(const std::string& path);
  ~Directory();
  Directory(Directory&& other) noexcept;
  Directory& operator=(Directory&&) = delete;

  const std::string& path() const { return path_; }
  std::string database_path() const { return path_ + "/db"; }

  // Bytes that we may still write; as much as can be when the system does not tell.
  std::uint64_t free_bytes() const;

 private:
  Directory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_;  // descriptor of the lock file
};

// Makes `path` fit to receive a backup: absent or empty before, there and empty afterwards.
Status prepare_backup(const std::string& path);
// Marks a directory as a whole store, durably. Last step of a backup.
Status write_format(const std::string& path);

}  // namespace doppel::store
