// Work that is done again and again beside the registrations, one pass at a time.
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>

#include "base/clock.h"
#include "base/executor.h"
#include "base/task.h"

namespace doppel::provisioning {

class Background {
 public:
  // One pass; says how long to wait for the next. It watches `stop` where it waits itself.
  using Pass = std::function<Task<Duration>(std::stop_token stop)>;

  // The first pass begins soon, on `home`. Call once.
  void start(Executor& home, Pass pass);
  // The next pass begins soon. Any thread.
  void wake();
  // Cancels the wait, and ends when no pass runs any more. Without start() at once.
  Task<void> stop();
  std::stop_token token() const { return stop_.get_token(); }

 private:
  Task<void> passes();

  Pass pass_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::stop_source wake_;  // of the wait between two passes
  bool is_running_ = false;
  std::move_only_function<void(bool)> stopped_;  // whoever waits in stop()
};

}  // namespace doppel::provisioning
