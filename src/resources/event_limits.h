// What an event namespace may hold, by its tier (reference: event-hubs.md section 11, limits).
#pragma once

#include <cstdint>
#include <string_view>

#include "resources/catalog.h"
#include "resources/resource_id.h"

namespace doppel::resources {

struct EventTier {
  std::string_view name;
  std::int64_t capacity_max;    // throughput units, or processing units of Premium
  std::size_t event_hubs_max;   // in a namespace
  std::size_t groups_max;       // of an event hub, $Default among them
  std::int64_t retention_days;  // at most
};

inline constexpr EventTier kEventTiers[] = {
    {"Basic", 40, 10, 1, 1}, {"Standard", 40, 10, 20, 7}, {"Premium", 16, 100, 100, 90}};
inline constexpr const EventTier& kStandardTier = kEventTiers[1];

// Of a partition's retention by size: enough for a few batches, and as much as a disk may have.
inline constexpr std::int64_t kRetentionBytesMin = std::int64_t{16} << 20;
inline constexpr std::int64_t kRetentionBytesMax = std::int64_t{1} << 50;

inline constexpr std::size_t kEventRulesMax = 12;        // of a namespace, and of each event hub
inline constexpr std::size_t kHubGroupsMax = 20;         // of an IoT hub's built-in endpoint
inline constexpr std::int64_t kEventPartitionsMax = 32;  // an address of this server's log

// Null for a name that is none; compared without case.
const EventTier* find_event_tier(std::string_view name);

// Of the namespace that `id` is, or is in; Standard when it is not there yet.
const EventTier& event_tier_of(const Catalog& catalog, const ResourceId& id);

// Bytes of events that each partition keeps at most; 0: no limit.
std::uint64_t retention_bytes_of(const Catalog& catalog, const EventSpace& space,
                                 const EventHub& event_hub);

}  // namespace doppel::resources
