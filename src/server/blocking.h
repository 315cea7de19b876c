// Runs a task on an executor from a thread that is none of ours, and waits for it: start and stop
// of the server, tests.
#pragma once

#include <exception>
#include <future>
#include <type_traits>
#include <utility>

#include "base/executor.h"
#include "base/task.h"

namespace doppel::server {

namespace blocking_detail {

// The exception of a task reaches the thread that waits.
template <class T>
Task<void> fulfil(Task<T> task, std::promise<T>& promise) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      promise.set_value();
    } else {
      promise.set_value(co_await std::move(task));
    }
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
}

}  // namespace blocking_detail

template <class T>
T run_blocking(Executor& executor, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  executor.post([&] { spawn(blocking_detail::fulfil(std::move(task), promise), [] {}); });
  return future.get();
}

}  // namespace doppel::server
