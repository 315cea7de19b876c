// A coarse timing wheel for the many long timers of connections (handshake, idle, keep-alive):
// setting and clearing one is a few pointer writes and no allocation. Fires up to one tick late,
// never early. One thread: the loop's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace doppel::net {

class Wheel;

// A timer that lives inside what it watches; leaves the wheel when destroyed.
class WheelTimer {
 public:
  WheelTimer() = default;
  virtual ~WheelTimer();
  WheelTimer(const WheelTimer&) = delete;
  WheelTimer& operator=(const WheelTimer&) = delete;

  bool is_set() const { return next_ != nullptr; }

 protected:
  // Called once, with the timer out of the wheel; may set it again or destroy it.
  virtual void on_timer() = 0;

 private:
  friend class Wheel;
  void unlink();

  WheelTimer* next_ = nullptr;
  WheelTimer* previous_ = nullptr;
  Wheel* wheel_ = nullptr;
  std::uint64_t due_tick_ = 0;
};

class Wheel {
 public:
  explicit Wheel(Duration tick);
  ~Wheel();
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  // (Re)starts `timer`; it fires `delay` from now, or up to a tick later.
  void set(WheelTimer& timer, Duration delay);
  void clear(WheelTimer& timer);

  // Moves time on to `now` and fires what is due. The owner calls it once a tick while the wheel is
  // not empty, and before the first timer enters an empty wheel.
  void advance(SteadyTime now);

  bool empty() const { return count_ == 0; }
  Duration tick() const { return tick_; }
  std::uint64_t now_tick() const { return now_tick_; }

 private:
  friend class WheelTimer;
  // Timers further away than this many ticks stay in their slot for more rounds.
  static constexpr std::size_t kSlots = 512;

  // Heads of circular lists.
  struct Slot final : WheelTimer {
    Slot() = default;
    void on_timer() override {}
  };

  void fire(std::size_t slot);

  const Duration tick_;
  std::uint64_t now_tick_ = 0;
  std::size_t count_ = 0;
  std::array<Slot, kSlots> slots_;
};

}  // namespace doppel::net
