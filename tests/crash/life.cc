#include "life.h"

#include <thread>
#include <utility>

namespace doppel::crash {
namespace {

constexpr std::uint64_t kOperationsMax = 500;  // until the power goes off
constexpr std::uint64_t kLogsMax = 5;          // the same, in logs begun
// So small that buffers are flushed and tables compacted between the cuts.
constexpr std::size_t kBufferBytes = std::size_t{512} * 1024;
constexpr std::size_t kCacheBytes = std::size_t{1024} * 1024;

}  // namespace

Life::Life(std::string directory, std::uint64_t seed, store::Durability durability)
    : random_(seed), directory_(std::move(directory)), durability_(durability) {}

void Life::run(bool is_cut, const std::function<void()>& at_cut) {
  disk_ = std::make_shared<ForgetfulFileSystem>(random_.next(),
                                                is_cut ? choose_cut() : ForgetfulFileSystem::Cut{});
  std::thread([this, is_cut] {
    live(is_cut);
    disk_->cut_now();
  }).detach();
  disk_->wait_until_cut();
  at_cut();
  // Only now: what still runs may read what has been forgotten.
  if (is_cut) disk_->forget();
}

ForgetfulFileSystem::Cut Life::choose_cut() {
  if (random_.next() % 4 == 0) return {.at_new_log = 1 + random_.next() % kLogsMax};
  return {.at_operation = 1 + random_.next() % kOperationsMax};
}

void Life::live(bool is_cut) {
  auto opened = store::open_rocksdb({.directory = directory_,
                                     .clock = &clock_,
                                     .durability = durability_,
                                     .cache_bytes = kCacheBytes,
                                     .buffer_bytes = kBufferBytes,
                                     .free_bytes_min = 0,
                                     .file_system = disk_});
  if (!opened) return violation("it does not open: " + opened.error().message);
  look(**opened);
  if (is_cut && !has_failed()) write(**opened);
  static_cast<void>(opened->release());  // the process ends before anything is closed
}

void Life::violation(std::string_view what) {
  const std::lock_guard lock(violation_mutex_);
  if (!has_failed_.exchange(true)) violation_ = what;
}

}  // namespace doppel::crash
