// Microsoft.EventHub/namespaces with event hubs, rules and consumer groups (reference:
// event-hubs.md section 10).
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/document.h"
#include "resources/types.h"
#include "security/keys.h"

namespace doppel::resources {
namespace {

constexpr std::int64_t kPartitionsDefault = 4;
constexpr std::int64_t kPartitionsMax = 32;
constexpr std::int64_t kRetentionDaysDefault = 7;
constexpr std::int64_t kRetentionDaysMax = 90;
constexpr std::size_t kKeySizeMax =
    256;  // characters; Event Hubs signs with the text, so any text is a key
constexpr std::size_t kMetadataSizeMax = 1024;

void stamp(const PutContext& context, json::Object& properties) {
  properties["createdAt"] = text_property(context.existing, "createdAt", to_iso8601(context.now));
  properties["updatedAt"] = to_iso8601(context.now);
}

Result<std::int64_t> retention_hours(const PutContext& context) {
  const json::Value empty = json::Object{};
  const auto* properties = context.body.if_contains("properties");
  const json::Value& wanted = properties != nullptr ? *properties : empty;
  const auto* stored_hours = property(context.existing, "retentionTimeInHours");
  const auto hours_before = stored_hours == nullptr ? kRetentionDaysDefault * 24
                                                    : json::to_int64(*stored_hours).value_or(24);
  if (const auto* description = json::find(wanted, "retentionDescription");
      description != nullptr && json::find(*description, "retentionTimeInHours") != nullptr)
    return integer_member(*description, "retentionTimeInHours", 1, kRetentionDaysMax * 24,
                          hours_before);
  auto days = integer_member(wanted, "messageRetentionInDays", 1, kRetentionDaysMax, -1);
  if (!days || *days < 0) return days ? Result<std::int64_t>(hours_before) : days;
  return *days * 24;
}

}  // namespace

Result<PutPlan> plan_event_space(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  if (!document->contains("sku"))
    (*document)["sku"] = json::Object{{"name", "Standard"}, {"tier", "Standard"}, {"capacity", 1}};
  json::Object* properties = properties_of(*document);
  for (const char* read_only : {"provisioningState", "status", "serviceBusEndpoint", "metricId"})
    properties->stable_erase(read_only);
  stamp(context, *properties);
  PutPlan plan{.body = std::move(*document), .children = {}};
  if (context.existing == nullptr) {
    const json::Object rule{{"properties", {{"rights", {"Listen", "Manage", "Send"}}}}};
    plan.children.emplace_back(context.id.child("authorizationRules", kRootRule), rule);
  }
  return plan;
}

Result<PutPlan> plan_event_hub(const PutContext& context) {
  json::Object document = child_document(context);
  json::Object* properties = properties_of(document);
  const json::Value empty = json::Object{};
  const auto* given = context.body.if_contains("properties");
  const auto* stored = property(context.existing, "partitionCount");
  const auto partitions_before =
      stored == nullptr ? kPartitionsDefault : json::to_int64(*stored).value_or(kPartitionsDefault);
  auto partitions = integer_member(given == nullptr ? empty : *given, "partitionCount", 1,
                                   kPartitionsMax, partitions_before);
  if (!partitions) return fail(std::move(partitions.error()));
  if (context.existing != nullptr && *partitions != partitions_before)
    return bad_parameter("'partitionCount' of an event hub cannot be changed after it was made.");
  auto hours = retention_hours(context);
  if (!hours) return fail(std::move(hours.error()));

  for (const char* computed :
       {"partitionIds", "status", "messageRetentionInDays", "retentionDescription"})
    properties->stable_erase(computed);
  (*properties)["partitionCount"] = *partitions;
  (*properties)["retentionTimeInHours"] = *hours;
  stamp(context, *properties);
  PutPlan plan{.body = std::move(document), .children = {}};
  if (context.existing == nullptr) {
    plan.children.emplace_back(context.id.child("consumergroups", kDefaultConsumerGroup),
                               json::Object{{"properties", json::Object{}}});
  }
  return plan;
}

Result<PutPlan> plan_event_rule(const PutContext& context) {
  json::Object document = child_document(context);
  json::Object* properties = properties_of(document);
  const auto* rights = json::find(*document.if_contains("properties"), "rights");
  if (rights == nullptr || !rights->is_array() || rights->get_array().empty())
    return bad_parameter("'rights' must be an array of Send, Listen and Manage.");
  json::Array spelled;
  bool is_manager = false;
  for (const auto& right : rights->get_array()) {
    const auto* known = std::ranges::find_if(kEventRights, [&](const RightName& name) {
      return json::is_string(right) &&
             equal_ignoring_case(name.name, json::view(right.get_string()));
    });
    if (known == std::end(kEventRights))
      return bad_parameter("'rights' may hold Send, Listen and Manage.");
    is_manager = is_manager || known->name == "Manage";
    spelled.emplace_back(known->name);
  }
  // Azure asks for all three when Manage is among them; it holds the others anyway.
  if (is_manager) spelled = {"Listen", "Manage", "Send"};
  (*properties)["rights"] = std::move(spelled);

  for (const char* name : {"primaryKey", "secondaryKey"}) {
    std::string key = text_property(&context.body, name, "");
    if (key.empty()) key = text_property(context.existing, name, "");
    if (key.empty()) key = security::random_key(context.random);
    if (key.size() > kKeySizeMax) return bad_parameter("A rule's key has at most 256 characters.");
    (*properties)[name] = key;
  }
  return PutPlan{.body = std::move(document), .children = {}};
}

// Of an event hub, and of a hub's built-in endpoint.
Result<PutPlan> plan_consumer_group(const PutContext& context) {
  json::Object document = child_document(context);
  json::Object* properties = properties_of(document);
  // IoT Hub's form repeats the name in the body, and a mistake there would make another group than
  // was asked for.
  const std::string repeated = text_property(&context.body, "name", context.id.name());
  if (context.id.type() == kHubConsumerGroupType &&
      !equal_ignoring_case(repeated, context.id.name()))
    return bad_parameter("'properties.name' is not the name in the address.");
  if (text_property(&context.body, "userMetadata", "").size() > kMetadataSizeMax)
    return bad_parameter("'userMetadata' has at most 1024 characters.");
  stamp(context, *properties);
  return PutPlan{.body = std::move(document), .children = {}};
}

}  // namespace doppel::resources
