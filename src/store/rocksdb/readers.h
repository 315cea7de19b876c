// The threads that reads wait on when a block is not in memory.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <utility>

#include "base/task.h"
#include "base/worker.h"

namespace doppel::store {

inline constexpr std::size_t kReaderThreads = 2;

// Any thread.
class Readers {
 public:
  void post(Job job) { workers_[next_.fetch_add(1) % workers_.size()].post(std::move(job)); }

  // Runs `read` on a reader thread; the awaiter resumes on its own executor.
  template <class T>
  Task<T> run(std::function<T()> read) {
    auto reading = from_callback<T>([&](std::move_only_function<void(T)> done) {
      post([read = std::move(read), done = std::move(done)]() mutable { done(read()); });
    });
    co_return co_await reading;
  }

  // Waits until what was posted before has run, so that no waiting coroutine is left behind.
  void drain() {
    for (auto& worker : workers_) {
      std::promise<void> reached;
      worker.post([&] { reached.set_value(); });
      reached.get_future().wait();
    }
  }

 private:
  std::atomic<std::size_t> next_ = 0;
  std::array<Worker, kReaderThreads> workers_{Worker("store-reader-0"), Worker("store-reader-1")};
};

}  // namespace doppel::store
