// Time is passed in: nothing calls now() on its own, which is what makes tests fast and repeatable.
#pragma once

#include <chrono>

namespace doppel {

using TimePoint = std::chrono::sys_time<std::chrono::nanoseconds>;  // wall clock, UTC
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual SteadyTime steady() const = 0;
};

// The machine's clocks. Any thread.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  SteadyTime steady() const override;
};

}  // namespace doppel
