// Microsoft.EventHub/namespaces and event hubs (reference: event-hubs.md section 11). Their rules
// and consumer groups are in event_access_document.cc.
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/document.h"
#include "resources/event_limits.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

constexpr std::int64_t kPartitionsDefault = 4;
constexpr std::int64_t kRetentionDaysDefault = 7;
constexpr std::int64_t kThroughputUnitsMax = 40;

void stamp(const PutContext& context, json::Object& properties) {
  properties["createdAt"] = text_property(context.existing, "createdAt", to_iso8601(context.now));
  properties["updatedAt"] = to_iso8601(context.now);
}

const json::Value& given_properties(const PutContext& context) {
  static const json::Value kNone = json::Object{};
  const auto* properties = context.body.if_contains("properties");
  return properties != nullptr && properties->is_object() ? *properties : kNone;
}

// Asking for protection that is not there must not look as if it had been given.
Status check_protection(const json::Value& wanted) {
  if (const auto* local = json::find(wanted, "disableLocalAuth");
      local != nullptr && local->is_bool() && local->get_bool()) {
    return bad_parameter(
        "'disableLocalAuth' cannot be true: clients of event hubs prove themselves with keys here. "
        "Leave it out.");
  }
  const std::string access = json::get_string_or(wanted, "publicNetworkAccess", "Enabled");
  if (!equal_ignoring_case(access, "Enabled")) {
    return bad_parameter(
        "'publicNetworkAccess' can only be Enabled; who reaches the server is decided by the "
        "addresses that it listens on.");
  }
  const std::string tls = json::get_string_or(wanted, "minimumTlsVersion", "1.2");
  if (tls != "1.0" && tls != "1.1" && tls != "1.2")
    return bad_parameter("'minimumTlsVersion' must be 1.0, 1.1 or 1.2.");
  return {};
}

// The namespace's name for its tier is in `name` and again in `tier`.
Result<json::Object> complete_sku(const PutContext& context, const json::Value* sku) {
  if (sku == nullptr || sku->is_null()) {
    return json::Object{
        {"name", kStandardTier.name}, {"tier", kStandardTier.name}, {"capacity", 1}};
  }
  if (!sku->is_object()) return bad_parameter("'sku' must be an object.");
  const EventTier* tier =
      find_event_tier(json::get_string_or(*sku, "name", std::string(kStandardTier.name)));
  const std::string repeated = json::get_string_or(*sku, "tier", "");
  if (tier == nullptr || (!repeated.empty() && !equal_ignoring_case(repeated, tier->name)))
    return bad_parameter("'sku' must have Basic, Standard or Premium as name, and as tier.");
  const EventTier& before = event_tier_of(context.catalog, context.id);
  const bool is_move = context.existing != nullptr && &before != tier;
  if (is_move && (before.name == "Premium" || tier->name == "Premium"))
    return bad_parameter("A namespace cannot become Premium, or stop being it; make another one.");
  const json::Value stored = context.existing != nullptr && context.existing->contains("sku")
                                 ? context.existing->at("sku")
                                 : json::Value(json::Object{});
  const auto* kept = json::find(stored, "capacity");
  auto capacity =
      integer_member(*sku, "capacity", 1, tier->capacity_max,
                     kept == nullptr || is_move ? 1 : json::to_int64(*kept).value_or(1));
  if (!capacity) return fail(std::move(capacity.error()));
  return json::Object{{"name", tier->name}, {"tier", tier->name}, {"capacity", *capacity}};
}

// Going down to Basic must not leave more than it may hold.
Status check_contents(const PutContext& context, const EventTier& tier) {
  const EventSpace* space = context.catalog.find_event_space(context.id.name());
  if (context.existing == nullptr || space == nullptr) return {};
  for (const auto& hub : space->event_hubs) {
    if (hub.consumer_groups.size() > tier.groups_max ||
        hub.retention > std::chrono::hours(24 * tier.retention_days)) {
      return bad_parameter("The event hub '" + hub.name +
                           "' has more consumer groups, or keeps events longer, than " +
                           std::string(tier.name) + " allows.");
    }
  }
  return {};
}

// Hours that events are kept. Both of its members come back from a client that read the event hub
// and changed one, so the one that changed is the one that counts.
Result<std::int64_t> retention_hours(const PutContext& context, const EventTier& tier) {
  const json::Value& wanted = given_properties(context);
  const auto* stored = property(context.existing, "retentionTimeInHours");
  const std::int64_t usual = 24 * std::min(kRetentionDaysDefault, tier.retention_days);
  const std::int64_t before = stored == nullptr ? usual : json::to_int64(*stored).value_or(usual);
  auto days = integer_member(wanted, "messageRetentionInDays", 1, tier.retention_days, -1);
  if (!days) return days;
  std::int64_t hours = -1;
  if (const auto* description = json::find(wanted, "retentionDescription");
      description != nullptr && !description->is_null()) {
    if (!description->is_object())
      return bad_parameter("'retentionDescription' must be an object.");
    const std::string policy = json::get_string_or(*description, "cleanupPolicy", "Delete");
    if (!equal_ignoring_case(policy, "Delete")) {
      return bad_parameter(
          "'cleanupPolicy' can only be Delete: event hubs are not compacted on this server.");
    }
    auto given =
        integer_member(*description, "retentionTimeInHours", 1, tier.retention_days * 24, -1);
    if (!given) return given;
    hours = *given;
  }
  if (hours >= 0 && (stored == nullptr || hours != before)) return hours;
  if (*days >= 0 && (stored == nullptr || *days != (before + 23) / 24)) return *days * 24;
  return before;
}

// Bytes of events that each partition keeps at most; 0: no limit. Not Azure's, so Azure's clients
// leave it out when they put back what they read: then it stays as it is.
Result<std::int64_t> retention_bytes(const PutContext& context) {
  const auto* stored = property(context.existing, "retentionSizeInBytes");
  const std::int64_t before = stored == nullptr ? 0 : json::to_int64(*stored).value_or(0);
  const auto* description = json::find(given_properties(context), "retentionDescription");
  if (description == nullptr || !description->is_object()) return before;
  auto bytes = integer_member(*description, "retentionSizeInBytes", 0, kRetentionBytesMax, before);
  if (bytes && *bytes != 0 && *bytes < kRetentionBytesMin) {
    return bad_parameter("'retentionSizeInBytes' must be at least " +
                         std::to_string(kRetentionBytesMin) + ", or 0 for no limit.");
  }
  return bytes;
}

Status check_event_hub(const PutContext& context, const EventTier& tier) {
  const json::Value& wanted = given_properties(context);
  if (const auto status = json::find_string(wanted, "status");
      status && !equal_ignoring_case(*status, "Active")) {
    return bad_parameter(
        "'status' can only be Active; to stop clients, delete the authorization rules they use.");
  }
  if (const auto* capture = json::find(wanted, "captureDescription");
      capture != nullptr && capture->is_object()) {
    const auto* enabled = json::find(*capture, "enabled");
    if (enabled != nullptr && enabled->is_bool() && enabled->get_bool())
      return bad_parameter("Capture is not available on this server; leave it disabled.");
  }
  const EventSpace* space = context.catalog.find_event_space(context.id.top().name());
  if (context.existing != nullptr || space == nullptr) return {};
  if (space->event_hubs.size() >= tier.event_hubs_max) {
    return fail(errors::arm::kQuotaExceeded,
                "A namespace of tier " + std::string(tier.name) + " has at most " +
                    std::to_string(tier.event_hubs_max) +
                    " event hubs. Delete one, or make another namespace.");
  }
  // Where both answer to one host name, link addresses would have two meanings
  // (docs/wire/one-address.md).
  for (const auto& hub : context.catalog.hubs) {
    const bool is_same_host = std::ranges::any_of(hub.host_names, [&](const std::string& host) {
      return std::ranges::find(space->host_names, host) != space->host_names.end();
    });
    if (is_same_host && equal_ignoring_case(hub.event_hub_name, context.id.name())) {
      return fail(errors::arm::kInvalidResourceName,
                  "The resource name '" + context.id.name() +
                      "' is not valid: on this host it is the built-in endpoint of the IoT hub '" +
                      std::string(hub.name.view()) + "'. Choose another name.");
    }
  }
  return {};
}

}  // namespace

Result<PutPlan> plan_event_space(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  auto sku = complete_sku(context, document->if_contains("sku"));
  if (!sku) return fail(std::move(sku.error()));
  if (auto fits =
          check_contents(context, *find_event_tier(json::view(sku->at("name").as_string())));
      !fits)
    return fail(std::move(fits.error()));
  (*document)["sku"] = std::move(*sku);

  const json::Value& wanted = given_properties(context);
  if (auto possible = check_protection(wanted); !possible) return fail(std::move(possible.error()));
  auto units = integer_member(wanted, "maximumThroughputUnits", 0, kThroughputUnitsMax, 0);
  if (!units) return fail(std::move(units.error()));
  const auto* inflate = json::find(wanted, "isAutoInflateEnabled");
  json::Object properties{
      {"isAutoInflateEnabled", inflate != nullptr && inflate->is_bool() && inflate->get_bool()},
      {"maximumThroughputUnits", *units},
      {"minimumTlsVersion", json::get_string_or(wanted, "minimumTlsVersion", "1.2")}};
  stamp(context, properties);
  (*document)["properties"] = std::move(properties);
  PutPlan plan{.body = std::move(*document), .children = {}};
  if (context.existing == nullptr) {
    const json::Object rule{{"properties", {{"rights", {"Listen", "Manage", "Send"}}}}};
    plan.children.emplace_back(context.id.child("authorizationRules", kRootRule), rule);
  }
  return plan;
}

Result<PutPlan> plan_event_hub(const PutContext& context) {
  const EventTier& tier = event_tier_of(context.catalog, context.id);
  if (auto possible = check_event_hub(context, tier); !possible)
    return fail(std::move(possible.error()));
  const auto* stored = property(context.existing, "partitionCount");
  const auto partitions_before =
      stored == nullptr ? kPartitionsDefault : json::to_int64(*stored).value_or(kPartitionsDefault);
  auto partitions = integer_member(given_properties(context), "partitionCount", 1,
                                   kEventPartitionsMax, partitions_before);
  if (!partitions) return fail(std::move(partitions.error()));
  if (context.existing != nullptr && *partitions != partitions_before) {
    return bad_parameter(
        "'partitionCount' of an event hub cannot be changed after it was made: it is " +
        std::to_string(partitions_before) + ".");
  }
  auto hours = retention_hours(context, tier);
  if (!hours) return fail(std::move(hours.error()));
  auto bytes = retention_bytes(context);
  if (!bytes) return fail(std::move(bytes.error()));

  json::Object document = child_document(context);
  json::Object properties{{"partitionCount", *partitions}, {"retentionTimeInHours", *hours}};
  if (*bytes > 0) properties["retentionSizeInBytes"] = *bytes;
  if (const std::string data = text_property(&context.body, "userMetadata", ""); !data.empty())
    properties["userMetadata"] = data;
  stamp(context, properties);
  document["properties"] = std::move(properties);
  PutPlan plan{.body = std::move(document), .children = {}};
  if (context.existing == nullptr) {
    plan.children.emplace_back(context.id.child("consumergroups", kDefaultConsumerGroup),
                               json::Object{{"properties", json::Object{}}});
  }
  return plan;
}

}  // namespace doppel::resources
