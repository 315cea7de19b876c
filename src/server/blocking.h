// Runs a task on an executor from a thread that is none of ours, and waits for it: start and stop
// of the server, tests.
#pragma once

#include <future>
#include <utility>

#include "base/executor.h"
#include "base/task.h"

namespace doppel::server {

template <class T>
T run_blocking(Executor& executor, Task<T> task) {
  std::promise<T> promise;
  auto future = promise.get_future();
  executor.post(
      [&] { spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); }); });
  return future.get();
}

inline void run_blocking(Executor& executor, Task<void> task) {
  std::promise<void> promise;
  auto future = promise.get_future();
  executor.post([&] { spawn(std::move(task), [&] { promise.set_value(); }); });
  future.get();
}

}  // namespace doppel::server
