#include "base/testing.h"

namespace doppel::testing {

void ManualExecutor::post(Job job) { jobs_.push_back(std::move(job)); }

Executor::TimerId ManualExecutor::post_after(Duration delay, Job job) {
  const auto id = ++last_timer_;
  timers_.emplace(std::pair(clock_.steady() + delay, id), std::move(job));
  return id;
}

void ManualExecutor::cancel(TimerId timer) {
  for (auto at = timers_.begin(); at != timers_.end(); ++at) {
    if (at->first.second != timer) continue;
    timers_.erase(at);
    return;
  }
}

bool ManualExecutor::run_one() {
  if (!timers_.empty() && timers_.begin()->first.first <= clock_.steady()) {
    jobs_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  if (jobs_.empty()) return false;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  const Running running(*this);
  job();
  return true;
}

bool ManualExecutor::run_until_idle() {
  bool any = false;
  while (run_one()) any = true;
  return any;
}

void ManualExecutor::advance(Duration by) {
  run_until_idle();
  const auto end = clock_.steady() + by;
  while (!timers_.empty() && timers_.begin()->first.first <= end) {
    const auto due = timers_.begin()->first.first;
    if (due > clock_.steady()) clock_.advance(due - clock_.steady());
    run_until_idle();
  }
  clock_.advance(end - clock_.steady());
}

}  // namespace doppel::testing
