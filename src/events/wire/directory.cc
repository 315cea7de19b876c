#include "events/wire/directory.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::events {
namespace {

std::string bare_host(std::string_view host) {
  // "name:port", "[::1]:port", "::1": only a single colon begins a port.
  const auto colon = host.rfind(':');
  if (colon != host.npos && (host.find(':') == colon || host.find(']') == colon - 1))
    host = host.substr(0, colon);
  return to_lower(host);
}

template <class T>
std::vector<const T*> on_host(const std::vector<T>& all, std::string_view host) {
  const auto wanted = bare_host(host);
  std::vector<const T*> found;
  for (const auto& one : all)
    if (std::ranges::find(one.host_names, wanted) != one.host_names.end()) found.push_back(&one);
  if (!found.empty()) return found;
  for (const auto& one : all) found.push_back(&one);
  return found;
}

}  // namespace

LogName HubView::log() const {
  // The names of a built-in endpoint's log are told in events/api.h.
  if (hub_ != nullptr) return {.space = "hub:" + hub_->name.str(), .name = "events"};
  return {.space = space_->name, .name = event_hub_->name};
}

bool HubView::has_consumer_group(std::string_view group) const {
  return std::ranges::any_of(consumer_groups(), [&](const std::string& known) {
    return equal_ignoring_case(known, group);
  });
}

std::string HubView::scope() const {
  return hub_ != nullptr ? hub_->id : space_->id + "/eventhubs/" + event_hub_->name;
}

std::vector<const resources::EventSpace*> find_spaces(const resources::Catalog& catalog,
                                                      std::string_view host) {
  return on_host(catalog.event_spaces, host);
}

std::vector<HubView> find_hubs(const resources::Catalog& catalog, std::string_view host,
                               std::string_view name) {
  std::vector<HubView> found;
  for (const auto* space : find_spaces(catalog, host))
    if (const auto* event_hub = space->find_event_hub(name)) found.emplace_back(*space, *event_hub);
  for (const auto* hub : on_host(catalog.hubs, host))
    if (equal_ignoring_case(hub->event_hub_name, name)) found.emplace_back(*hub);
  return found;
}

}  // namespace doppel::events
