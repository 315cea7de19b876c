#include "base/task.h"

#include <atomic>

#include "base/log.h"
#include "base/metrics.h"

namespace doppel {
namespace {

// Shared by the timer and the stop callback, of which exactly one completes the wait.
struct Sleep {
  std::move_only_function<void(bool)> done;
  std::atomic<bool> finished = false;
  std::atomic<Executor::TimerId> timer = 0;

  void finish(bool slept) {
    if (!finished.exchange(true)) done(slept);
  }
};

}  // namespace

void task_detail::report_failure() noexcept {
  static auto& failed = metrics::counter("doppel_tasks_failed_total",
                                         "Tasks that an exception ended and nobody waited for");
  failed.add();
  try {
    throw;
  } catch (const std::exception& error) {
    log::error("base.task_failed", {{"reason", error.what()}});
  } catch (...) {
    log::error("base.task_failed", {{"reason", "an exception of an unknown type"}});
  }
}

Task<bool> sleep_for(Duration delay, std::stop_token stop) {
  auto state = std::make_shared<Sleep>();
  Executor& home = Executor::current();
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  std::move_only_function<void(std::move_only_function<void(bool)>)> start =
      [&](std::move_only_function<void(bool)> done) {
        state->done = std::move(done);
        state->timer = home.post_after(delay, [state] { state->finish(true); });
        on_stop.emplace(stop, [state, &home] {
          home.cancel(state->timer);
          state->finish(false);
        });
      };
  co_return co_await from_callback<bool>(std::move(start));
}

Task<void> yield_once() {
  std::move_only_function<void(std::move_only_function<void(bool)>)> start =
      [](std::move_only_function<void(bool)> done) { done(true); };
  co_await from_callback<bool>(std::move(start));
}

}  // namespace doppel
