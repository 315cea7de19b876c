#include "hub/routing.h"

#include <array>

#include "base/encoding.h"
#include "base/log.h"
#include "hub/api.h"

namespace doppel::hub {
namespace {

constexpr std::string_view kBuiltinEndpoint = "events";
constexpr std::size_t kTargetsMax = 64;  // bits of the set in for_each_target

constexpr std::array<std::string_view, kRouteSources> kSourceNames = {
    "DeviceMessages",
    "DeviceLifecycleEvents",
    "TwinChangeEvents",
    "DeviceConnectionStateEvents",
};

}  // namespace

std::optional<RouteSource> parse_route_source(std::string_view name) {
  for (std::size_t i = 0; i < kSourceNames.size(); ++i)
    if (equal_ignoring_case(name, kSourceNames[i])) return static_cast<RouteSource>(i);
  return std::nullopt;
}

LogTarget::LogTarget(const events::LogName& log, std::uint32_t partitions) {
  streams_.reserve(partitions);
  for (std::uint32_t i = 0; i < std::max(partitions, 1u); ++i)
    streams_.push_back(events::stream_name({.log = log, .index = i}));
}

HubRoutes::HubRoutes(const resources::Hub& hub, const resources::Catalog& catalog)
    : activity_(activity_log(hub.name), kActivityPartitions) {
  bool any_route = false;
  for (const auto& route : hub.routes) {
    const auto source = parse_route_source(route.source);
    if (!route.enabled || !source) continue;
    any_route = true;
    auto condition = RouteCondition::parse(route.condition);
    if (!condition) {
      // Checked when the route was made; so it was made by an older or newer version.
      log::error(
          "hub.route_not_understood",
          {{"hub", hub.name.view()}, {"route", route.name}, {"reason", condition.error().message}});
      continue;
    }
    CompiledRoute compiled{.condition = std::move(*condition), .targets = {}};
    for (const auto& endpoint : route.endpoint_names)
      add_target(hub, catalog, endpoint, compiled.targets);
    routes_[static_cast<std::size_t>(*source)].push_back(std::move(compiled));
  }
  // A hub without any route delivers to its built-in endpoint, whatever the fallback route says.
  if (!any_route) {
    add_target(hub, catalog, kBuiltinEndpoint, fallback_);
  } else if (hub.fallback_enabled) {
    for (const auto& endpoint : hub.fallback_endpoint_names)
      add_target(hub, catalog, endpoint, fallback_);
  }
}

void HubRoutes::add_target(const resources::Hub& hub, const resources::Catalog& catalog,
                           std::string_view endpoint, std::vector<std::size_t>& to) {
  for (std::size_t i = 0; i < target_names_.size(); ++i) {
    if (!equal_ignoring_case(target_names_[i], endpoint)) continue;
    to.push_back(i);
    return;
  }
  if (targets_.size() >= kTargetsMax) return;
  if (equal_ignoring_case(endpoint, kBuiltinEndpoint)) {
    targets_.emplace_back(builtin_log(hub.name), hub.partitions);
  } else {
    const resources::EventHubTarget* named = nullptr;
    for (const auto& candidate : hub.endpoints)
      if (equal_ignoring_case(candidate.name, endpoint)) named = &candidate;
    const auto* space = named ? catalog.find_event_space(named->event_space) : nullptr;
    const auto* event_hub = space ? space->find_event_hub(named->event_hub) : nullptr;
    if (event_hub == nullptr) {
      log::warn("hub.route_without_endpoint", {{"hub", hub.name.view()}, {"endpoint", endpoint}});
      return;
    }
    targets_.emplace_back(events::LogName{.space = space->name, .name = event_hub->name},
                          event_hub->partitions);
  }
  target_names_.emplace_back(endpoint);
  to.push_back(targets_.size() - 1);
}

std::shared_ptr<const Routing> RoutingCache::get(
    std::shared_ptr<const resources::Catalog> catalog) {
  auto current = current_.load(std::memory_order_acquire);
  if (current && current->catalog == catalog) return current;
  auto made = std::make_shared<Routing>();
  for (const auto& hub : catalog->hubs)
    made->hubs.emplace(hub.name.str(), std::make_unique<HubRoutes>(hub, *catalog));
  made->catalog = std::move(catalog);
  current_.store(made, std::memory_order_release);
  return made;
}

}  // namespace doppel::hub
