#include "base/task.h"

#include <atomic>

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
