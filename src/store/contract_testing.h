// What the tests of every engine share: an executor with a thread, tasks driven to their end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/task.h"
#include "base/worker.h"
#include "store/store.h"

namespace doppel::store::testing {

// Drives `task` on `worker` and waits for what it yields. Works with engines that complete from
// threads of their own; needs no time to pass.
template <class T>
T run_on(Worker& worker, Task<T> task) {
  std::promise<T> yielded;
  worker.post(
      [&] { spawn(std::move(task), [&](T value) { yielded.set_value(std::move(value)); }); });
  return yielded.get_future().get();
}

// A folder that goes when the test ends.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    auto name = (std::filesystem::temp_directory_path() / "doppel-store-XXXXXX").string();
    check(::mkdtemp(name.data()) != nullptr, "the temporary folder can be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Records what it is told, as text: "<version>: +key=value -key stream[sequence]=record".
class RecordingObserver final : public Observer {
 public:
  void on_commit(const CommitView& commit) override {
    std::string line = std::to_string(commit.version.value) + ":";
    for (const auto& put : commit.puts) line += " +" + put.key + "=" + put.value;
    for (const auto& erased : commit.erases) line += " -" + erased;
    for (const auto& append : commit.appends)
      line += " " + std::string(append.stream) + "[" + std::to_string(append.sequence.value) +
              "]=" + std::string(append.record);
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  void on_reopened(CommitVersion version) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back("reopened at " + std::to_string(version.value));
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace doppel::store::testing
