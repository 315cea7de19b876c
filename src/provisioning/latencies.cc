#include "provisioning/latencies.h"

#include <set>

namespace doppel::provisioning {
namespace {

constexpr int kWeightOfOld = 3;  // of four: one odd measurement moves the average by a quarter

Duration rounded(Duration latency) {
  return (latency + kLatencyStep / 2) / kLatencyStep * kLatencyStep;
}

}  // namespace

std::optional<Duration> Latencies::of(const resources::LinkedHub& hub) const {
  const std::scoped_lock lock(mutex_);
  const auto at = known_.find(hub.authority);
  return at == known_.end() ? std::nullopt : std::optional(at->second.told);
}

void Latencies::observe(const std::string& authority, Duration measured) {
  const std::scoped_lock lock(mutex_);
  const auto [at, is_first] = known_.try_emplace(authority);
  Known& known = at->second;
  if (is_first) {
    known = {.average = measured, .told = rounded(measured)};
    return;
  }
  known.average = (known.average * kWeightOfOld + measured) / (kWeightOfOld + 1);
  const Duration off =
      known.average > known.told ? known.average - known.told : known.told - known.average;
  if (off > kLatencyTolerance) known.told = rounded(known.average);
}

Task<Duration> Latencies::measure(std::stop_token stop) {
  std::set<std::string> authorities;
  {
    const auto catalog = catalog_();
    for (const resources::Dps& instance : catalog->dps) {
      for (const resources::LinkedHub& hub : instance.linked_hubs) {
        if (!hub.hub && !hub.latency_ms && is_usable(hub)) authorities.insert(hub.authority);
      }
    }
  }
  Duration next = kLatencyEvery;
  for (const std::string& authority : authorities) {
    auto measured = co_await transport_.connect_time(authority, kRemoteTimeouts, stop);
    if (stop.stop_requested()) break;
    if (measured) {
      observe(authority, *measured);
    } else {
      next = kLatencyEveryUnknown;
    }
  }
  // A hub that is linked later should not have to wait for long.
  co_return authorities.empty() ? kLatencyEveryUnknown : next;
}

void Latencies::start(Executor& home) {
  background_.start(home, [this](std::stop_token stop) { return measure(std::move(stop)); });
}

}  // namespace doppel::provisioning
