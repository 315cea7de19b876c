// Which logs a message or event of a hub is copied to: the hub's routes, compiled once for each
// version of the resource catalog (iot-hub.md section 10).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "events/api.h"
#include "hub/route_condition.h"
#include "resources/catalog.h"

namespace doppel::hub {

enum class RouteSource : std::uint8_t {
  device_messages,
  device_lifecycle_events,
  twin_change_events,
  device_connection_state_events,
};
inline constexpr std::size_t kRouteSources = 4;
// Azure's names, compared without case; nothing for sources we do not have.
std::optional<RouteSource> parse_route_source(std::string_view name);

// A log with the names of its streams at hand.
class LogTarget {
 public:
  LogTarget(const events::LogName& log, std::uint32_t partitions);
  store::StreamName stream_for(std::string_view device) const {
    return streams_[events::partition_of(device, static_cast<std::uint32_t>(streams_.size()))];
  }

 private:
  std::vector<store::StreamName> streams_;
};

// The routes of one hub. Immutable; any thread.
class HubRoutes {
 public:
  HubRoutes(const resources::Hub& hub, const resources::Catalog& catalog);

  const LogTarget& activity() const { return activity_; }
  // Whether any route could match at all; when not, an event of this source need not be made.
  bool has_routes(RouteSource source) const {
    return !routes_[static_cast<std::size_t>(source)].empty();
  }
  // Calls `deliver` once for each log that shall hold the event; telemetry that nothing matched
  // goes to the fallback.
  template <class Deliver>
  void for_each_target(RouteSource source, const RoutedEvent& event, Deliver deliver) const;

 private:
  struct CompiledRoute {
    RouteCondition condition;
    std::vector<std::size_t> targets;  // places in targets_
  };
  void add_target(const resources::Hub& hub, const resources::Catalog& catalog,
                  std::string_view endpoint, std::vector<std::size_t>& to);

  LogTarget activity_;
  std::vector<LogTarget> targets_;
  std::vector<std::string> target_names_;
  std::vector<CompiledRoute> routes_[kRouteSources];
  std::vector<std::size_t> fallback_;  // empty when off
};

// The routes of all hubs as of one catalog.
struct Routing {
  std::shared_ptr<const resources::Catalog> catalog;
  std::unordered_map<std::string, std::unique_ptr<const HubRoutes>> hubs;

  const HubRoutes* find(const HubName& hub) const {
    const auto found = hubs.find(hub.str());
    return found == hubs.end() ? nullptr : found->second.get();
  }
};

// Compiles when the catalog has changed since. Any thread.
class RoutingCache {
 public:
  std::shared_ptr<const Routing> get(std::shared_ptr<const resources::Catalog> catalog);

 private:
  std::atomic<std::shared_ptr<const Routing>> current_;
};

template <class Deliver>
void HubRoutes::for_each_target(RouteSource source, const RoutedEvent& event,
                                Deliver deliver) const {
  std::uint64_t delivered = 0;  // a bit for each target; ten endpoints and the built-in one fit
  bool matched = false;
  const auto deliver_to = [&](const std::vector<std::size_t>& targets) {
    for (const auto target : targets) {
      const auto bit = std::uint64_t{1} << target;
      if ((delivered & bit) != 0) continue;
      delivered |= bit;
      deliver(targets_[target]);
    }
  };
  for (const auto& route : routes_[static_cast<std::size_t>(source)]) {
    if (!route.condition.matches(event)) continue;
    matched = true;
    deliver_to(route.targets);
  }
  if (!matched && source == RouteSource::device_messages) deliver_to(fallback_);
}

}  // namespace doppel::hub
