// An executor with a thread of its own, for work that may block: disk reads, slow parsing.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/executor.h"

namespace doppel {

// The thread ends in the destructor, after the job that runs; queued jobs and timers are dropped.
class Worker final : public Executor {
 public:
  explicit Worker(std::string name);
  ~Worker() override;

  void post(Job job) override;
  TimerId post_after(Duration delay, Job job) override;
  void cancel(TimerId timer) override;

 private:
  using Timers = std::map<std::pair<SteadyTime, TimerId>, Job>;

  void run(const std::stop_token& stop);

  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> jobs_;
  Timers timers_;
  std::map<TimerId, SteadyTime> due_;
  TimerId last_timer_ = 0;
  std::string name_;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace doppel
