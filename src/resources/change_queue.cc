#include "resources/change_queue.h"

#include "errors/arm.h"

namespace doppel::resources {

Task<Result<ChangeQueue::Turn>> ChangeQueue::enter() {
  auto turn = from_callback<bool>([this](Wake wake) { wait(std::move(wake)); });
  const bool is_mine = co_await turn;
  if (!is_mine) co_return fail(errors::arm::kTooManyRequests);
  co_return Turn(*this);
}

void ChangeQueue::wait(Wake wake) {
  bool is_mine = false;
  {
    const std::lock_guard lock(mutex_);
    is_mine = !is_taken_;
    is_taken_ = true;
    if (!is_mine && waiting_.size() < kWaitingChangesMax) {
      waiting_.push_back(std::move(wake));
      return;
    }
  }
  wake(is_mine);
}

void ChangeQueue::leave() {
  Wake next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      is_taken_ = false;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  next(true);  // the turn passes on without ever being free
}

}  // namespace doppel::resources
