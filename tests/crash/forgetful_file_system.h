// A file system on which the power can go off: everything that was not flushed to the disk by then
// may be gone, in whole or in part.
//
// What it models: bytes after the last sync of a file (any prefix of them may survive, and the log
// of writes may end in zeros where blocks were allocated but not written); files and renames whose
// folder was not flushed since (undone from the last one backwards, as a journal would). What it
// does not: disks that lie about a sync, and deletions that come back.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/file_system.h>

#include "base/random.h"

namespace doppel::crash {

class ForgetfulFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // When the power goes off; 0: not by itself.
  struct Cut {
    std::uint64_t at_operation = 0;  // in the middle of that one of those that change the disk
    std::uint64_t at_new_log =
        0;  // when RocksDB begins its so many-th log of writes: a rare moment
  };
  ForgetfulFileSystem(std::uint64_t seed, Cut cut);

  const char* Name() const override { return "ForgetfulFileSystem"; }
  bool is_cut() const;
  std::uint64_t operations() const;
  void cut_now();
  void wait_until_cut();
  // Leaves on the disk what may be left. After the cut.
  void forget();

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Truncate(const std::string& name, std::size_t size,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;

 private:
  friend class ForgetfulFile;
  friend class ForgetfulFolder;

  enum class Power : std::uint8_t {
    on,
    failing,  // the operation that asked is the one during which it goes off
    off,
  };
  struct FileState {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
  };
  // A change of a folder that is not flushed yet: a file made, or one renamed over another.
  struct FolderChange {
    std::string folder;
    std::string name;
    std::optional<std::string> renamed_from;
    std::optional<std::string> replaced_content;
  };

  // Whoever asks for the disk after the cut gets no answer any more, as in the real case.
  [[noreturn]] static void stand_still(std::unique_lock<std::mutex>& lock);
  Power take_operation();  // with mutex_ held
  void forget_folder_changes();
  void forget_bytes(const std::string& name, const FileState& state);

  mutable std::mutex mutex_;
  std::condition_variable cut_happened_;
  SeededRandom random_;
  const Cut cut_;
  std::uint64_t operations_ = 0;
  std::uint64_t logs_ = 0;
  bool is_cut_ = false;
  std::map<std::string, FileState> files_;  // those written since this object was made
  std::vector<FolderChange> folder_changes_;
};

}  // namespace doppel::crash
