// What tests crank by hand: time, and the executor that everything runs on. Nothing here sleeps.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/task.h"

namespace doppel::testing {

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  SteadyTime steady() const override { return SteadyTime(now_.time_since_epoch()); }
  void advance(Duration by) { now_ += by; }
  void set(TimePoint to) { now_ = to; }

 private:
  TimePoint now_ = TimePoint(std::chrono::seconds(1'800'000'000));  // 2027-01-15T08:00:00Z
};

// Runs posted jobs when told to. One thread, except that post() may come from any.
class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(ManualClock& clock) : clock_(clock) {}

  void post(Job job) override;
  TimerId post_after(Duration delay, Job job) override;
  void cancel(TimerId timer) override;

  // Runs jobs until none is left; true if any ran. Timers that are due count as jobs.
  bool run_until_idle();
  // Moves time forward, running each timer at its moment.
  void advance(Duration by);
  std::size_t pending_timers() const { return timers_.size(); }
  ManualClock& clock() { return clock_; }

 private:
  bool run_one();

  ManualClock& clock_;
  std::deque<Job> jobs_;
  std::map<std::pair<SteadyTime, TimerId>, Job> timers_;
  TimerId last_timer_ = 0;
};

// Drives `task` to its end and returns what it yields; fails the test run if it waits for something
// that nobody here completes.
template <class T>
T run(ManualExecutor& executor, Task<T> task) {
  std::optional<T> value;
  executor.post(
      [&] { spawn(std::move(task), [&](T result) { value.emplace(std::move(result)); }); });
  executor.run_until_idle();
  check(value.has_value(), "the task ended without waiting for time or for another thread");
  return std::move(*value);
}

}  // namespace doppel::testing
