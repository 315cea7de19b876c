// Authorization rules and consumer groups of event namespaces, event hubs, and of a hub's built-in
// endpoint (reference: event-hubs.md section 11).
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/document.h"
#include "resources/event_limits.h"
#include "resources/types.h"
#include "security/keys.h"

namespace doppel::resources {
namespace {

// Event Hubs signs with the text of a key, so any text is one.
constexpr std::size_t kKeySizeMax = 256;  // characters
constexpr std::size_t kMetadataSizeMax = 1024;

// A key stands in connection strings, whose pairs end at a semicolon.
bool is_key(std::string_view text) {
  return text.size() <= kKeySizeMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ';'; });
}

std::size_t rules_beside(const PutContext& context) {
  const EventSpace* space = context.catalog.find_event_space(context.id.top().name());
  if (space == nullptr) return 0;
  if (context.id.type() == kEventSpaceRuleType) return space->rules.size();
  const EventHub* hub = space->find_event_hub(context.id.parent().name());
  return hub == nullptr ? 0 : hub->rules.size();
}

// Rights as the server spells them, in the order that Azure shows.
Result<json::Array> complete_rights(const PutContext& context) {
  const auto* rights = property(context.body, "rights");
  if (rights == nullptr || !rights->is_array() || rights->get_array().empty())
    return bad_parameter("'rights' must be an array of Send, Listen and Manage.");
  std::uint8_t named = 0;  // a bit for each right in kEventRights' order
  for (const auto& right : rights->get_array()) {
    const auto* known = std::ranges::find_if(kEventRights, [&](const RightName& name) {
      return json::is_string(right) &&
             equal_ignoring_case(name.name, json::view(right.get_string()));
    });
    if (known == std::end(kEventRights))
      return bad_parameter("'rights' may hold Send, Listen and Manage.");
    named |= static_cast<std::uint8_t>(1 << (known - std::begin(kEventRights)));
  }
  constexpr std::uint8_t kSend = 1, kListen = 2, kManage = 4;
  if ((named & kManage) != 0 && named != (kSend | kListen | kManage)) {
    return bad_parameter(
        "A rule with Manage must have Send and Listen too: give all three as rights.");
  }
  json::Array spelled;
  for (const auto& [bit, name] :
       {std::pair{kListen, "Listen"}, std::pair{kManage, "Manage"}, std::pair{kSend, "Send"}}) {
    if ((named & bit) != 0) spelled.emplace_back(name);
  }
  return spelled;
}

Status check_group(const PutContext& context) {
  const bool is_of_iot_hub = context.id.type() == kHubConsumerGroupType;
  std::size_t count = 0;
  std::size_t most = kHubGroupsMax;
  std::string_view tier_name;
  if (is_of_iot_hub) {
    const Hub* hub = context.catalog.find_hub(context.id.top().name());
    count = hub == nullptr ? 0 : hub->consumer_groups.size();
  } else {
    const EventTier& tier = event_tier_of(context.catalog, context.id);
    const EventHub* hub =
        context.catalog.find_event_hub(context.id.top().name(), context.id.parent().name());
    count = hub == nullptr ? 0 : hub->consumer_groups.size();
    most = tier.groups_max;
    tier_name = tier.name;
  }
  if (context.existing != nullptr || count < most) return {};
  return fail(errors::arm::kQuotaExceeded,
              "There are already " + std::to_string(count) + " consumer groups, $Default counted" +
                  (tier_name.empty() ? std::string(".")
                                     : ": as many as a namespace of tier " +
                                           std::string(tier_name) + " may have for an event hub."));
}

}  // namespace

Result<PutPlan> plan_event_rule(const PutContext& context) {
  auto rights = complete_rights(context);
  if (!rights) return fail(std::move(rights.error()));
  if (context.existing == nullptr && rules_beside(context) >= kEventRulesMax) {
    return fail(errors::arm::kQuotaExceeded,
                "There are already " + std::to_string(kEventRulesMax) +
                    " authorization rules here. Delete one that is no longer used.");
  }
  json::Object properties{{"rights", std::move(*rights)}};
  for (const char* name : {"primaryKey", "secondaryKey"}) {
    std::string key = text_property(&context.body, name, "");
    if (key.empty()) key = text_property(context.existing, name, "");
    if (key.empty()) key = security::random_key(context.random);
    if (!is_key(key)) {
      return bad_parameter(
          "A rule's key has at most 256 printable characters, without blanks and ';'.");
    }
    properties[name] = key;
  }
  json::Object document = child_document(context);
  document["properties"] = std::move(properties);
  return PutPlan{.body = std::move(document), .children = {}};
}

Result<PutPlan> plan_consumer_group(const PutContext& context) {
  if (auto possible = check_group(context); !possible) return fail(std::move(possible.error()));
  // IoT Hub's form repeats the name in the body, and a mistake there would make another group than
  // was asked for.
  const std::string repeated = text_property(&context.body, "name", context.id.name());
  if (context.id.type() == kHubConsumerGroupType &&
      !equal_ignoring_case(repeated, context.id.name()))
    return bad_parameter("'properties.name' is not the name in the address.");
  const std::string metadata = text_property(&context.body, "userMetadata", "");
  if (metadata.size() > kMetadataSizeMax)
    return bad_parameter("'userMetadata' has at most 1024 characters.");
  json::Object properties;
  if (!metadata.empty()) properties["userMetadata"] = metadata;
  properties["createdAt"] = text_property(context.existing, "createdAt", to_iso8601(context.now));
  properties["updatedAt"] = to_iso8601(context.now);
  json::Object document = child_document(context);
  document["properties"] = std::move(properties);
  return PutPlan{.body = std::move(document), .children = {}};
}

}  // namespace doppel::resources
