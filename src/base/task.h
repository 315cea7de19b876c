// Task<T>: a lazily started coroutine that yields one T. Small and ours, so that services need no
// Asio.
//
// A task runs on the executor of whoever awaits it and resumes there after every wait, wherever the
// awaited thing was completed. Tasks are moved, never copied; a task that is never awaited never
// starts. A task must be awaited or spawned at most once. Exceptions that escape (broken library,
// no memory) reach the awaiter.
//
//   Task<Result<Device>> Registry::get(DeviceId id) {
//     auto entry = co_await store_.get(key(id));
//     ...
//   }
//
// Coroutines take their arguments by value, or the caller keeps the referenced object alive until
// the task is done. No lock, iterator or view is held across co_await. No capturing lambda is a
// coroutine.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/check.h"
#include "base/executor.h"

namespace doppel {

template <class T>
class Task;

namespace task_detail {

struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
    return done.promise().continuation;
  }
  void await_resume() noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr error;

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;

  Task<T> get_return_object();
  template <class U>
    requires std::convertible_to<U, T>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() noexcept {}
  void take() {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace task_detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        handle.promise().continuation = awaiting;
        return handle;
      }
      T await_resume() { return handle.promise().take(); }
    };
    return Awaiter{handle_};
  }

 private:
  Handle handle_;
};

namespace task_detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Logs (base.task_failed) and counts the exception that is being handled: nobody else will see it.
void report_failure() noexcept;

// A coroutine nobody waits for; it frees itself when it ends.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { report_failure(); }
  };
};

template <class T, class Done>
Detached drive(Task<T> task, Done done) {
  if constexpr (std::is_void_v<T>) {
    try {
      co_await std::move(task);
    } catch (...) {
      report_failure();
    }
    done();
  } else {
    done(co_await std::move(task));
  }
}

}  // namespace task_detail

// Starts `task` on the calling thread, which must be running an executor, and calls `done` with its
// value on the same executor. The owner of the work (a connection, a consumer) counts what it
// started and waits for every `done` before it goes away.
//
// An exception that escapes the task is logged and counted and ends that task alone. The `done` of
// a Task<void> is called all the same; there is no value to call another one with, so it is
// destroyed without a call, and whoever counts on it catches inside.
template <class T, class Done>
void spawn(Task<T> task, Done done) {
  task_detail::drive(std::move(task), std::move(done));
}

// Turns a callback interface into something to await:
//
//   T value = co_await from_callback<T>([&](std::move_only_function<void(T)> done) { ... });
//
// `start` runs at once; `done` must be called exactly once, from any thread, or destroyed never: a
// callback that is dropped leaks the waiting coroutine. The coroutine resumes on the executor it
// waited on.
template <class T>
class CallbackAwaiter {
 public:
  using Done = std::move_only_function<void(T)>;
  explicit CallbackAwaiter(std::move_only_function<void(Done)> start) : start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    Executor& home = Executor::current();
    // The frame, and this awaiter in it, may be gone before start_ returns: it runs from the stack.
    auto start = std::move(start_);
    start([this, &home, waiting](T value) {
      value_.emplace(std::move(value));
      home.post([waiting] { waiting.resume(); });
    });
  }
  T await_resume() { return std::move(*value_); }

 private:
  std::move_only_function<void(Done)> start_;
  std::optional<T> value_;
};

template <class T>
CallbackAwaiter<T> from_callback(
    std::move_only_function<void(std::move_only_function<void(T)>)> start) {
  return CallbackAwaiter<T>(std::move(start));
}

// Waits on the current executor. Ends early, with false, when `stop` is requested.
Task<bool> sleep_for(Duration delay, std::stop_token stop = {});

// Lets everything else that is queued on the current executor run first.
Task<void> yield_once();

}  // namespace doppel
