// Latencies of one kind of operation, with percentiles. One thread.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"

namespace doppel::simulator {

inline constexpr std::size_t kLatenciesKeptMax = 1'000'000;  // of each kind; later ones only count

class Latencies {
 public:
  void add(Duration taken) {
    ++count_;
    if (millis_.size() < kLatenciesKeptMax)
      millis_.push_back(
          static_cast<float>(std::chrono::duration<double, std::milli>(taken).count()));
  }
  std::size_t count() const { return count_; }

  // "p50 1.2 ms, p95 ..., max ..."
  std::string summary() {
    if (millis_.empty()) return "none";
    std::sort(millis_.begin(), millis_.end());
    const auto at = [&](double share) {
      return millis_[static_cast<std::size_t>(share * static_cast<double>(millis_.size() - 1))];
    };
    return fmt::format("p50 {:.1f} ms, p95 {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms", at(0.5),
                       at(0.95), at(0.99), millis_.back());
  }

 private:
  std::vector<float> millis_;
  std::size_t count_ = 0;
};

}  // namespace doppel::simulator
