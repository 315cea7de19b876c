// How far linked hubs elsewhere are from this server, for the policy geoLatency: the time to
// connect, measured now and then where a link gives no latencyMs.
//
// An assignment should not change with every measurement, or devices would move about. So what is
// told is rounded, and changes only when the measurements have clearly left it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "provisioning/background.h"
#include "provisioning/remote_hub.h"
#include "resources/catalog.h"

namespace doppel::provisioning {

inline constexpr Duration kLatencyStep = std::chrono::milliseconds(10);
inline constexpr Duration kLatencyEvery = std::chrono::minutes(5);
inline constexpr Duration kLatencyEveryUnknown = std::chrono::seconds(30);
// Told figures stay while the average is within this of them.
inline constexpr Duration kLatencyTolerance = std::chrono::milliseconds(15);

// Any thread.
class Latencies {
 public:
  using CatalogSource = std::function<std::shared_ptr<const resources::Catalog>()>;
  Latencies(RemoteTransport& transport, CatalogSource catalog)
      : transport_(transport), catalog_(std::move(catalog)) {}

  // Nothing before the first measurement.
  std::optional<Duration> of(const resources::LinkedHub& hub) const;
  void observe(const std::string& authority, Duration measured);

  // Measures every linked hub of which nobody says how near it is.
  Task<Duration> measure(std::stop_token stop);
  void start(Executor& home);
  Task<void> stop() { return background_.stop(); }

 private:
  struct Known {
    Duration average{};
    Duration told{};
  };
  RemoteTransport& transport_;
  CatalogSource catalog_;
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;  // by authority
  Background background_;
};

}  // namespace doppel::provisioning
