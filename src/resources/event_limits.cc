#include "resources/event_limits.h"

#include <algorithm>

#include "base/encoding.h"

namespace doppel::resources {

const EventTier* find_event_tier(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kEventTiers, [&](const EventTier& tier) { return equal_ignoring_case(tier.name, name); });
  return found == std::end(kEventTiers) ? nullptr : found;
}

const EventTier& event_tier_of(const Catalog& catalog, const ResourceId& id) {
  const auto found = catalog.documents.find(id.top().lower());
  if (found == catalog.documents.end()) return kStandardTier;
  const auto* sku = json::find(found->second->body, "sku");
  if (sku == nullptr) return kStandardTier;
  const EventTier* tier = find_event_tier(json::get_string_or(*sku, "name", ""));
  return tier == nullptr ? kStandardTier : *tier;
}

std::uint64_t retention_bytes_of(const Catalog& catalog, const EventSpace& space,
                                 const EventHub& event_hub) {
  const auto found = catalog.documents.find(to_lower(space.id + "/eventhubs/" + event_hub.name));
  if (found == catalog.documents.end()) return 0;
  const auto* properties = json::find(found->second->body, "properties");
  const auto* bytes =
      properties == nullptr ? nullptr : json::find(*properties, "retentionSizeInBytes");
  const auto number = bytes == nullptr ? std::nullopt : json::to_int64(*bytes);
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

}  // namespace doppel::resources
