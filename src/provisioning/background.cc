#include "provisioning/background.h"

namespace doppel::provisioning {

void Background::start(Executor& home, Pass pass) {
  pass_ = std::move(pass);
  {
    const std::scoped_lock lock(mutex_);
    is_running_ = true;
  }
  home.post([this] {
    spawn(passes(), [this] {
      std::move_only_function<void(bool)> stopped;
      {
        const std::scoped_lock lock(mutex_);
        is_running_ = false;
        stopped = std::move(stopped_);
      }
      if (stopped) stopped(true);
    });
  });
}

Task<void> Background::passes() {
  while (!stop_.stop_requested()) {
    std::stop_token woken;
    {
      const std::scoped_lock lock(mutex_);
      if (wake_.stop_requested()) wake_ = std::stop_source();
      woken = wake_.get_token();
    }
    // Whoever wakes us from here on causes another pass, even if this one saw what it is about.
    const Duration next = co_await pass_(stop_.get_token());
    if (!stop_.stop_requested()) co_await sleep_for(next, woken);
  }
}

void Background::wake() {
  std::stop_source wake;
  {
    const std::scoped_lock lock(mutex_);
    wake = wake_;
  }
  wake.request_stop();
}

Task<void> Background::stop() {
  stop_.request_stop();
  wake();
  std::move_only_function<void(std::move_only_function<void(bool)>)> wait =
      [this](std::move_only_function<void(bool)> done) {
        {
          const std::scoped_lock lock(mutex_);
          if (is_running_) {
            stopped_ = std::move(done);
            return;
          }
        }
        done(true);
      };
  co_await from_callback<bool>(std::move(wait));
}

}  // namespace doppel::provisioning
