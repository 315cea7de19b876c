#include "store/memory/memory_store.h"

namespace doppel::store {

void FaultInjection::fail_next_flush(Fault fault) {
  const std::lock_guard lock(mutex_);
  next_ = fault;
}

void FaultInjection::hold() {
  const std::lock_guard lock(mutex_);
  is_held_ = true;
}

void FaultInjection::release() {
  std::function<void()> pump;
  {
    const std::lock_guard lock(mutex_);
    is_held_ = false;
    pump = pump_;
  }
  released_.notify_all();
  if (pump) pump();
}

FaultInjection::Fault FaultInjection::next() const {
  const std::lock_guard lock(mutex_);
  return next_;
}

void FaultInjection::clear() {
  const std::lock_guard lock(mutex_);
  next_ = Fault::none;
}

bool FaultInjection::is_held() const {
  const std::lock_guard lock(mutex_);
  return is_held_;
}

void FaultInjection::wait_until_released() {
  std::unique_lock lock(mutex_);
  released_.wait(lock, [this] { return !is_held_; });
}

void FaultInjection::on_release(std::function<void()> pump) {
  const std::lock_guard lock(mutex_);
  pump_ = std::move(pump);
}

}  // namespace doppel::store
