#include "forgetful_file_system.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <unistd.h>

namespace doppel::crash {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

std::string folder_of(const std::string& name) {
  return std::filesystem::path(name).lexically_normal().parent_path().string();
}

std::optional<std::string> content_of(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

class ForgetfulFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ForgetfulFile(ForgetfulFileSystem& system, std::string name,
                std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), system_(system), name_(std::move(name)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    std::unique_lock lock(system_.mutex_);
    const auto power = system_.take_operation();
    if (power == ForgetfulFileSystem::Power::off) ForgetfulFileSystem::stand_still(lock);
    const bool is_whole = power == ForgetfulFileSystem::Power::on;
    const auto size = is_whole ? data.size() : system_.random_.next() % (data.size() + 1);
    auto done = target()->Append(Slice(data.data(), size), options, debug);
    if (done.ok()) system_.files_[name_].size += size;
    if (!is_whole) ForgetfulFileSystem::stand_still(lock);
    return done;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    std::unique_lock lock(system_.mutex_);
    if (system_.is_cut_) ForgetfulFileSystem::stand_still(lock);
    auto done = target()->Truncate(size, options, debug);
    auto& state = system_.files_[name_];
    state.size = size;
    state.synced = std::min(state.synced, state.size);
    return done;
  }
  // Closing cuts off what was preallocated, so it must not come after forget().
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    std::unique_lock lock(system_.mutex_);
    if (system_.is_cut_) ForgetfulFileSystem::stand_still(lock);
    return target()->Close(options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();  // starts writing, promises nothing
  }

 private:
  // The real disk is left out of it: what matters is what we remember as flushed.
  IOStatus sync() {
    std::unique_lock lock(system_.mutex_);
    const auto power = system_.take_operation();
    if (power == ForgetfulFileSystem::Power::off) ForgetfulFileSystem::stand_still(lock);
    auto& state = system_.files_[name_];
    // Going off during a sync: it may have been finished, only nobody was told.
    if (power == ForgetfulFileSystem::Power::failing) {
      if (system_.random_.next() % 2 == 0) state.synced = state.size;
      ForgetfulFileSystem::stand_still(lock);
    }
    state.synced = state.size;
    return IOStatus::OK();
  }

  ForgetfulFileSystem& system_;
  const std::string name_;
};

class ForgetfulFolder final : public rocksdb::FSDirectoryWrapper {
 public:
  ForgetfulFolder(ForgetfulFileSystem& system, std::string name,
                  std::unique_ptr<rocksdb::FSDirectory> folder)
      : FSDirectoryWrapper(std::move(folder)), system_(system), name_(std::move(name)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return sync();
  }

 private:
  IOStatus sync() {
    std::unique_lock lock(system_.mutex_);
    if (system_.take_operation() != ForgetfulFileSystem::Power::on)
      ForgetfulFileSystem::stand_still(lock);
    std::erase_if(system_.folder_changes_,
                  [this](const auto& change) { return change.folder == name_; });
    return IOStatus::OK();
  }

  ForgetfulFileSystem& system_;
  const std::string name_;
};

ForgetfulFileSystem::ForgetfulFileSystem(std::uint64_t seed, Cut cut)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), random_(seed), cut_(cut) {}

void ForgetfulFileSystem::stand_still(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  while (true) ::pause();
}

ForgetfulFileSystem::Power ForgetfulFileSystem::take_operation() {
  if (is_cut_) return Power::off;
  if (++operations_ == cut_.at_operation) is_cut_ = true;
  if (is_cut_) cut_happened_.notify_all();
  return is_cut_ ? Power::failing : Power::on;
}

bool ForgetfulFileSystem::is_cut() const {
  const std::lock_guard lock(mutex_);
  return is_cut_;
}

std::uint64_t ForgetfulFileSystem::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

void ForgetfulFileSystem::cut_now() {
  const std::lock_guard lock(mutex_);
  is_cut_ = true;
  cut_happened_.notify_all();
}

void ForgetfulFileSystem::wait_until_cut() {
  std::unique_lock lock(mutex_);
  cut_happened_.wait(lock, [this] { return is_cut_; });
}

IOStatus ForgetfulFileSystem::NewWritableFile(const std::string& name,
                                              const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              IODebugContext* debug) {
  std::unique_lock lock(mutex_);
  if (name.ends_with(".log") && ++logs_ == cut_.at_new_log) {
    is_cut_ = true;
    cut_happened_.notify_all();
  }
  if (take_operation() != Power::on) stand_still(lock);
  const bool is_new = !std::filesystem::exists(name);
  auto made = FileSystemWrapper::NewWritableFile(name, options, file, debug);
  if (!made.ok()) return made;
  files_[name] = {};
  if (is_new)
    folder_changes_.push_back(
        {.folder = folder_of(name), .name = name, .renamed_from = {}, .replaced_content = {}});
  *file = std::make_unique<ForgetfulFile>(*this, name, std::move(*file));
  return made;
}

IOStatus ForgetfulFileSystem::ReopenWritableFile(const std::string& name,
                                                 const rocksdb::FileOptions& options,
                                                 std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                 IODebugContext* debug) {
  std::unique_lock lock(mutex_);
  if (take_operation() != Power::on) stand_still(lock);
  auto made = FileSystemWrapper::ReopenWritableFile(name, options, file, debug);
  if (!made.ok()) return made;
  const auto size = std::uint64_t{std::filesystem::file_size(name)};
  files_.try_emplace(name, FileState{.size = size, .synced = size});
  *file = std::make_unique<ForgetfulFile>(*this, name, std::move(*file));
  return made;
}

IOStatus ForgetfulFileSystem::ReuseWritableFile(const std::string&, const std::string&,
                                                const rocksdb::FileOptions&,
                                                std::unique_ptr<rocksdb::FSWritableFile>*,
                                                IODebugContext*) {
  return IOStatus::NotSupported("files are not reused");
}

IOStatus ForgetfulFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                           std::unique_ptr<rocksdb::FSDirectory>* folder,
                                           IODebugContext* debug) {
  auto made = FileSystemWrapper::NewDirectory(name, options, folder, debug);
  if (!made.ok()) return made;
  auto normal = std::filesystem::path(name).lexically_normal().string();
  if (normal.ends_with('/')) normal.pop_back();
  *folder = std::make_unique<ForgetfulFolder>(*this, std::move(normal), std::move(*folder));
  return made;
}

IOStatus ForgetfulFileSystem::RenameFile(const std::string& from, const std::string& to,
                                         const IOOptions& options, IODebugContext* debug) {
  std::unique_lock lock(mutex_);
  if (take_operation() != Power::on) stand_still(lock);
  FolderChange change{.folder = folder_of(to),
                      .name = to,
                      .renamed_from = from,
                      .replaced_content = content_of(to)};
  auto done = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (!done.ok()) return done;
  folder_changes_.push_back(std::move(change));
  if (const auto state = files_.find(from); state != files_.end()) {
    files_[to] = state->second;
    files_.erase(from);
  }
  return done;
}

IOStatus ForgetfulFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                         IODebugContext* debug) {
  std::unique_lock lock(mutex_);
  if (take_operation() != Power::on) stand_still(lock);
  files_.erase(name);
  return FileSystemWrapper::DeleteFile(name, options, debug);
}

IOStatus ForgetfulFileSystem::Truncate(const std::string& name, std::size_t size,
                                       const IOOptions& options, IODebugContext* debug) {
  std::unique_lock lock(mutex_);
  if (take_operation() != Power::on) stand_still(lock);
  auto done = FileSystemWrapper::Truncate(name, size, options, debug);
  if (const auto state = files_.find(name); state != files_.end()) {
    state->second.size = size;
    state->second.synced = std::min<std::uint64_t>(state->second.synced, size);
  }
  return done;
}

void ForgetfulFileSystem::forget() {
  std::unique_lock lock(mutex_);
  for (const auto& [name, state] : files_) forget_bytes(name, state);
  forget_folder_changes();
}

void ForgetfulFileSystem::forget_folder_changes() {
  const auto kept = random_.next() % (folder_changes_.size() + 1);
  while (folder_changes_.size() > kept) {
    const auto& change = folder_changes_.back();
    std::error_code ignored;  // it may have been deleted since
    if (change.renamed_from)
      std::filesystem::rename(change.name, *change.renamed_from, ignored);
    else
      std::filesystem::remove(change.name, ignored);
    if (change.replaced_content)
      std::ofstream(change.name, std::ios::binary) << *change.replaced_content;
    folder_changes_.pop_back();
  }
}

void ForgetfulFileSystem::forget_bytes(const std::string& name, const FileState& state) {
  std::error_code missing;
  if (!std::filesystem::exists(name, missing)) return;
  const auto unsynced = state.size - state.synced;
  auto left = state.synced;
  switch (random_.next() % 4) {
    case 0:
      break;  // all of it lost
    case 1:
      left = state.size;
      break;  // all of it had reached the disk by itself
    default:
      left += random_.next() % (unsynced + 1);
  }
  std::filesystem::resize_file(name, left);
  // Only the log is preallocated, so only there can the end be blocks that were never written.
  if (name.ends_with(".log") && random_.next() % 3 == 0) {
    const auto zeros_from = state.synced + random_.next() % (left - state.synced + 1);
    std::filesystem::resize_file(name, zeros_from);
    std::filesystem::resize_file(name, left);
  }
}

}  // namespace doppel::crash
