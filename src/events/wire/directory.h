// Which event hubs an address names: those of event namespaces, and the built-in endpoints of IoT
// hubs under their Event Hub-compatible names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "events/api.h"
#include "resources/catalog.h"

namespace doppel::events {

// One event hub as it stands in a catalog, and only valid with it.
class HubView {
 public:
  HubView(const resources::EventSpace& space, const resources::EventHub& event_hub)
      : space_(&space), event_hub_(&event_hub) {}
  explicit HubView(const resources::Hub& hub) : hub_(&hub) {}

  const std::string& name() const { return hub_ ? hub_->event_hub_name : event_hub_->name; }
  LogName log() const;
  std::uint32_t partitions() const { return hub_ ? hub_->partitions : event_hub_->partitions; }
  const std::vector<std::string>& consumer_groups() const {
    return hub_ ? hub_->consumer_groups : event_hub_->consumer_groups;
  }
  bool has_consumer_group(std::string_view group) const;  // without case
  // Of a built-in endpoint the catalog does not know it: the epoch.
  TimePoint created() const { return hub_ ? TimePoint{} : event_hub_->created; }
  // Another number when it was deleted and made again.
  std::uint64_t generation() const { return hub_ ? hub_->generation : event_hub_->generation; }
  // The ARM id that roles are given on.
  std::string scope() const;

  const resources::EventSpace* space() const { return space_; }        // null: of an IoT hub
  const resources::EventHub* event_hub() const { return event_hub_; }  // null: of an IoT hub
  const resources::Hub* iot_hub() const { return hub_; }               // null: of a namespace

 private:
  const resources::EventSpace* space_ = nullptr;
  const resources::EventHub* event_hub_ = nullptr;
  const resources::Hub* hub_ = nullptr;
};

// All that are called `name` (without case) on a host. Several namespaces may share one host name;
// whose key a client holds decides then. A host that no namespace has (an IP address, a name in
// front of a proxy) means all of them: it proves nothing in any case.
std::vector<HubView> find_hubs(const resources::Catalog& catalog, std::string_view host,
                               std::string_view name);
// The namespaces of a host, by the same rule.
std::vector<const resources::EventSpace*> find_spaces(const resources::Catalog& catalog,
                                                      std::string_view host);

}  // namespace doppel::events
