#include "net/wheel.h"

#include <algorithm>

namespace doppel::net {

WheelTimer::~WheelTimer() {
  if (wheel_ != nullptr) wheel_->clear(*this);
}

void WheelTimer::unlink() {
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
  wheel_ = nullptr;
}

Wheel::Wheel(Duration tick) : tick_(tick) {
  for (auto& slot : slots_) slot.next_ = slot.previous_ = &slot;
}

Wheel::~Wheel() {
  for (auto& slot : slots_) {
    while (slot.next_ != &slot) slot.next_->unlink();
  }
}

void Wheel::set(WheelTimer& timer, Duration delay) {
  clear(timer);
  // One more than the whole ticks: the current one has already begun.
  const auto ticks = static_cast<std::uint64_t>(std::max(Duration::zero(), delay) / tick_) + 1;
  timer.due_tick_ = now_tick_ + ticks;
  auto& slot = slots_[timer.due_tick_ % kSlots];
  timer.next_ = &slot;
  timer.previous_ = slot.previous_;
  slot.previous_->next_ = &timer;
  slot.previous_ = &timer;
  timer.wheel_ = this;
  ++count_;
}

void Wheel::clear(WheelTimer& timer) {
  if (timer.wheel_ == nullptr) return;
  timer.unlink();
  --count_;
}

void Wheel::fire(std::size_t index) {
  // What is due moves to a list of its own first: callbacks set and clear timers of any slot.
  Slot due;
  due.next_ = due.previous_ = &due;
  auto& slot = slots_[index];
  for (WheelTimer* at = slot.next_; at != &slot;) {
    WheelTimer* const next = at->next_;
    if (at->due_tick_ <= now_tick_) {
      at->unlink();
      at->wheel_ = this;
      at->next_ = &due;
      at->previous_ = due.previous_;
      due.previous_->next_ = at;
      due.previous_ = at;
    }
    at = next;
  }
  while (due.next_ != &due) {
    WheelTimer& timer = *due.next_;
    clear(timer);
    timer.on_timer();
  }
  due.next_ = due.previous_ = nullptr;
}

void Wheel::advance(SteadyTime now) {
  const auto target = static_cast<std::uint64_t>(now.time_since_epoch() / tick_);
  if (target <= now_tick_) return;
  if (count_ == 0) {
    now_tick_ = target;
    return;
  }
  // After a long pause (a suspended laptop) one round visits every slot.
  if (target - now_tick_ >= kSlots) now_tick_ = target - kSlots;
  while (now_tick_ < target) {
    ++now_tick_;
    fire(now_tick_ % kSlots);
  }
}

}  // namespace doppel::net
