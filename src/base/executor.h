// Where work runs. A network loop is an executor, so is a worker thread, so is the hand-cranked one
// of the tests; services know only this interface and so need no Asio.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace doppel {

using Job = std::move_only_function<void()>;

class Executor {
 public:
  using TimerId = std::uint64_t;  // never 0

  virtual ~Executor() = default;

  // Runs `job` later on this executor, in the order of the calls of one thread. Any thread may
  // call. After the executor has stopped jobs are destroyed without running.
  virtual void post(Job job) = 0;

  // Runs `job` on this executor once `delay` has passed, or soon after. Any thread may call.
  virtual TimerId post_after(Duration delay, Job job) = 0;

  // Forgets a timer; a job that has already begun, or is about to, is not held up. Any thread may
  // call.
  virtual void cancel(TimerId timer) = 0;

  // The executor whose job is running on this thread. Must not be called from elsewhere.
  static Executor& current();
  static Executor* current_or_null();

  // Every implementation holds one of these around each job it runs.
  class Running {
   public:
    explicit Running(Executor& executor);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Executor* previous_;
  };
};

}  // namespace doppel
