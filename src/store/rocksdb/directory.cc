#include "store/rocksdb/directory.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb_store.h"

namespace doppel::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatFirstWord = "doppel-store ";

std::unexpected<Error> system_failure(std::string_view what, const std::string& path, int error) {
  return fail(Code::unavailable, fmt::format("cannot {} \"{}\": {}", what, path,
                                             std::system_category().message(error)));
}

// A descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

Status sync_folder(const std::string& path) {
  const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0)
    return system_failure("flush the folder", path, errno);
  return {};
}

// Makes the folder and those above it, so that they are still there after a power cut.
Status make_folder(const std::string& path) {
  std::error_code error;
  const auto absolute = fs::absolute(path, error);
  if (error) return system_failure("find", path, error.value());
  fs::path made;
  for (const auto& part : absolute) {
    const auto parent = made;
    made /= part;
    if (part.empty() || !fs::create_directory(made, error)) {
      if (error) return system_failure("make the folder", made.string(), error.value());
      continue;
    }
    fs::permissions(made, fs::perms::owner_all, error);
    if (auto synced = sync_folder(parent.string()); !synced) return synced;
  }
  return {};
}

Result<int> lock_folder(const std::string& path) {
  const auto name = path + "/lock";
  File file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0) return system_failure("open the lock file", name, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_failure("lock", name, errno);
    char holder[32] = {};
    const auto size = ::pread(file.get(), holder, sizeof(holder) - 1, 0);
    const std::string_view process(holder, size > 0 ? std::strcspn(holder, "\n") : 0);
    return fail(Code::unavailable,
                fmt::format("another server (process {}) uses the data directory \"{}\"; stop it "
                            "first, or give this one a directory of its own",
                            process.empty() ? "unknown" : process, path));
  }
  const auto mine = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file.get(), 0) != 0 ||
      ::pwrite(file.get(), mine.data(), mine.size(), 0) != static_cast<ssize_t>(mine.size()))
    return system_failure("write the lock file", name, errno);
  return file.release();
}

// Nothing when there is no format file.
Result<std::optional<std::uint64_t>> read_format(const std::string& path) {
  const auto name = path + "/format";
  std::ifstream file(name);
  if (!file) {
    if (!fs::exists(name)) return std::nullopt;
    return system_failure("read", name, errno);
  }
  std::string line;
  std::getline(file, line);
  std::uint64_t number = 0;
  const auto* const end = line.data() + line.size();
  if (line.starts_with(kFormatFirstWord)) {
    const auto [stopped, error] =
        std::from_chars(line.data() + kFormatFirstWord.size(), end, number);
    if (error == std::errc{} && stopped == end) return number;
  }
  return fail(Code::invalid_argument,
              fmt::format("\"{}\" is not the format file of a store; is \"{}\" the right data "
                          "directory?",
                          name, path));
}

Status ensure_format(const std::string& path) {
  auto format = read_format(path);
  if (!format) return fail(std::move(format.error()));
  if (!*format) {
    // The format file is written before the database is made, and last in a backup.
    if (fs::exists(path + "/db"))
      return fail(
          Code::invalid_argument,
          fmt::format("\"{}\" holds a database without a format file: a backup that was not "
                      "finished? Use another data directory or a whole backup",
                      path));
    return write_format(path);
  }
  if (**format > kStoreFormat)
    return fail(Code::unsupported,
                fmt::format("\"{}\" was written by a newer server (store format {}, this one knows "
                            "{}); start that version or a later one, or use another data directory",
                            path, **format, kStoreFormat));
  // Older formats are read as they are; what is written from now on, older servers cannot read.
  if (**format < kStoreFormat) return write_format(path);
  return {};
}

}  // namespace

Result<Directory> Directory::open(const std::string& path) {
  if (auto made = make_folder(path); !made) return fail(std::move(made.error()));
  auto lock = lock_folder(path);
  if (!lock) return fail(std::move(lock.error()));
  Directory directory(path, *lock);
  if (auto known = ensure_format(path); !known) return fail(std::move(known.error()));
  if (auto made = make_folder(directory.database_path()); !made)
    return fail(std::move(made.error()));
  return directory;
}

Directory::Directory(Directory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

Directory::~Directory() {
  if (lock_ >= 0) ::close(lock_);
}

std::uint64_t Directory::free_bytes() const {
  struct ::statvfs stats{};
  if (::statvfs(path_.c_str(), &stats) != 0) return std::numeric_limits<std::uint64_t>::max();
  return std::uint64_t{stats.f_bavail} * stats.f_frsize;
}

Status prepare_backup(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_empty(path, error))
    return fail(Code::invalid_argument,
                fmt::format("the folder \"{}\" is not empty; a backup needs one of its own", path));
  return make_folder(path);
}

Status write_format(const std::string& path) {
  const auto name = path + "/format";
  const auto unfinished = name + ".new";
  const auto text = fmt::format("{}{}\n", kFormatFirstWord, kStoreFormat);
  {
    const File file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0 ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get()) != 0)
      return system_failure("write", unfinished, errno);
  }
  if (::rename(unfinished.c_str(), name.c_str()) != 0) return system_failure("name", name, errno);
  return sync_folder(path);
}

}  // namespace doppel::store
