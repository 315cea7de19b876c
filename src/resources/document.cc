#include "resources/document.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/connection_string.h"
#include "resources/names.h"
#include "resources/types.h"
#include "security/keys.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kTagsMax = 50;  // Azure's limits for tags
constexpr std::size_t kTagNameSizeMax = 512;
constexpr std::size_t kTagValueSizeMax = 256;

Status check_tags(const json::Value& tags) {
  if (!tags.is_object()) return bad_parameter("'tags' must be an object of strings.");
  if (tags.get_object().size() > kTagsMax) return bad_parameter("A resource has at most 50 tags.");
  for (const auto& member : tags.get_object()) {
    if (!json::is_string(member.value()) || member.key().size() > kTagNameSizeMax ||
        member.value().get_string().size() > kTagValueSizeMax)
      return bad_parameter(
          "Tag names have at most 512 and values, which are strings, 256 characters.");
  }
  return {};
}

const json::Value* member(const json::Object* object, std::string_view name) {
  if (object == nullptr) return nullptr;
  return object->if_contains(name);
}

}  // namespace

std::unexpected<Error> bad_parameter(std::string message) {
  return fail(errors::arm::kInvalidParameter, std::move(message));
}

Result<PutPlan> plan_put(const PutContext& context) {
  const std::string type = context.id.type();
  if (const auto* properties = context.body.if_contains("properties");
      properties != nullptr && !properties->is_object() && !properties->is_null())
    return bad_parameter("'properties' must be an object.");
  if (type == kGroupType) return plan_group(context);
  auto named = check_resource_name(type, context.id.name());
  if (!named) return fail(std::move(named.error()));
  if (type == kHubType) return plan_hub(context);
  if (type == kDpsType) return plan_dps(context);
  if (type == kTwinsType) return plan_twins(context);
  if (type == kTwinsEndpointType) return plan_twins_endpoint(context);
  if (type == kEventSpaceType) return plan_event_space(context);
  if (type == kEventHubType) return plan_event_hub(context);
  if (type == kEventSpaceRuleType || type == kEventHubRuleType) return plan_event_rule(context);
  if (type == kConsumerGroupType || type == kHubConsumerGroupType)
    return plan_consumer_group(context);
  if (type == kHubCertificateType || type == kDpsCertificateType) return plan_certificate(context);
  if (type == kSiteType) return plan_site(context);
  if (type == kSiteConfigType) return plan_site_config(context);
  if (type == kFunctionKeyType) return plan_function_key(context);
  return fail(errors::arm::kInvalidResourceType);
}

json::Object child_document(const PutContext& context) {
  json::Object document;
  document["id"] = context.id.text();
  document["name"] = context.id.name();
  document["type"] = context.id.type();
  const auto* properties = context.body.if_contains("properties");
  document["properties"] =
      properties != nullptr && properties->is_object() ? properties->get_object() : json::Object{};
  return document;
}

Result<json::Object> base_document(const PutContext& context) {
  json::Object document = child_document(context);
  const auto* location = member(context.existing, "location");
  if (location == nullptr) location = context.body.if_contains("location");
  if (location == nullptr || !json::is_string(*location) || location->get_string().empty())
    return fail(errors::arm::kLocationRequired);
  document["location"] = *location;

  const auto* tags = context.body.if_contains("tags");
  if (tags == nullptr || tags->is_null()) tags = member(context.existing, "tags");
  document["tags"] = json::Object{};
  if (tags != nullptr) {
    if (auto good = check_tags(*tags); !good) return fail(std::move(good.error()));
    document["tags"] = *tags;
  }
  for (const char* kept : {"sku", "identity", "kind"}) {
    const auto* value = context.body.if_contains(kept);
    if (value == nullptr) value = member(context.existing, kept);
    if (value != nullptr) document[kept] = *value;
  }
  return document;
}

json::Object* properties_of(json::Object& document) {
  auto* properties = document.if_contains("properties");
  return properties == nullptr ? nullptr : properties->if_object();
}

const json::Value* property(const json::Object& document, std::string_view name) {
  const auto* properties = document.if_contains("properties");
  return properties == nullptr ? nullptr : json::find(*properties, name);
}
const json::Value* property(const json::Object* document, std::string_view name) {
  return document == nullptr ? nullptr : property(*document, name);
}

std::string text_property(const json::Object* document, std::string_view name,
                          std::string_view fallback) {
  const auto* value = property(document, name);
  if (value == nullptr || !json::is_string(*value)) return std::string(fallback);
  return std::string(json::view(value->get_string()));
}

Result<std::int64_t> integer_member(const json::Value& object, std::string_view name,
                                    std::int64_t least, std::int64_t most, std::int64_t fallback) {
  const auto* value = json::find(object, name);
  if (value == nullptr || value->is_null()) return fallback;
  const auto number = json::is_number(*value) ? json::to_int64(*value) : std::nullopt;
  if (!number || *number < least || *number > most) {
    return bad_parameter("'" + std::string(name) + "' must be a whole number from " +
                         std::to_string(least) + " to " + std::to_string(most) + ".");
  }
  return *number;
}

std::optional<std::uint8_t> parse_rights(std::string_view text, std::span<const RightName> names) {
  std::uint8_t bits = 0;
  while (!text.empty()) {
    auto part = text.substr(0, text.find(','));
    text.remove_prefix(part.size());
    if (text.starts_with(',')) text.remove_prefix(1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    const auto found = std::ranges::find_if(
        names, [&](const RightName& right) { return equal_ignoring_case(right.name, part); });
    if (found == names.end()) return std::nullopt;
    bits |= found->bits;
  }
  if (bits == 0) return std::nullopt;
  return bits;
}

namespace {

constexpr std::size_t kPoliciesMax = 16;  // iot-hub.md section 4.3

const json::Value* find_policy(const json::Value* policies, std::string_view name) {
  if (policies == nullptr || !policies->is_array()) return nullptr;
  for (const auto& policy : policies->get_array()) {
    if (equal_ignoring_case(json::get_string_or(policy, "keyName", ""), name)) return &policy;
  }
  return nullptr;
}

// The key of the body if it has one, else the stored one, else a new one.
Result<std::string> key_of(const json::Value& policy, const json::Value* stored,
                           std::string_view member_name, Random& random) {
  std::string key = json::get_string_or(policy, member_name, "");
  if (key.empty() || key == kMaskedKey) {
    key = stored != nullptr ? json::get_string_or(*stored, member_name, "") : "";
    return key.empty() ? security::random_key(random) : key;
  }
  const auto bytes = base64_decode(key);
  if (!bytes || bytes->size() < 16 || bytes->size() > 64)
    return bad_parameter("A policy's key must be base64 of 16 to 64 bytes.");
  return key;
}

Result<json::Value> complete_policy(const PutContext& context, const json::Value& policy,
                                    const json::Value* stored, std::span<const RightName> rights) {
  const std::string name = json::get_string_or(policy, "keyName", "");
  if (name.empty() || name.size() > 64)
    return bad_parameter("A policy needs a keyName of at most 64 characters.");
  const std::string right_names = json::get_string_or(policy, "rights", "");
  if (!parse_rights(right_names, rights))
    return bad_parameter("The policy '" + name + "' has no rights, or one that is not known.");
  auto primary = key_of(policy, stored, "primaryKey", context.random);
  if (!primary) return fail(std::move(primary.error()));
  auto secondary = key_of(policy, stored, "secondaryKey", context.random);
  if (!secondary) return fail(std::move(secondary.error()));
  return json::Value{{"keyName", name},
                     {"primaryKey", *primary},
                     {"secondaryKey", *secondary},
                     {"rights", right_names}};
}

}  // namespace

Result<json::Array> complete_policies(const PutContext& context,
                                      std::span<const DefaultPolicy> defaults,
                                      std::span<const RightName> rights) {
  const auto* stored = property(context.existing, "authorizationPolicies");
  const auto* given = property(context.body, "authorizationPolicies");
  const bool is_given = given != nullptr && given->is_array() && !given->get_array().empty();
  if (given != nullptr && !given->is_array() && !given->is_null())
    return bad_parameter("'authorizationPolicies' must be an array.");
  if (!is_given && stored != nullptr && stored->is_array()) return stored->get_array();

  json::Array wanted;
  if (is_given) {
    wanted = given->get_array();
  } else {
    for (const auto& [name, names] : defaults)
      wanted.push_back({{"keyName", name}, {"rights", names}});
  }
  if (wanted.size() > kPoliciesMax) return bad_parameter("At most 16 policies are possible.");
  json::Array completed;
  for (const auto& policy : wanted) {
    const std::string name = json::get_string_or(policy, "keyName", "");
    const json::Value so_far = completed;
    if (find_policy(&so_far, name) != nullptr)
      return bad_parameter("Two policies are called '" + name + "'.");
    auto complete = complete_policy(context, policy, find_policy(stored, name), rights);
    if (!complete) return fail(std::move(complete.error()));
    completed.push_back(std::move(*complete));
  }
  return completed;
}

Result<EventHubReference> find_event_hub_of(const Catalog& catalog, std::string_view endpoint_uri,
                                            std::string_view entity_path) {
  const EventSpace* space = catalog.find_event_space_by_host(endpoint_uri);
  const EventHub* event_hub = space == nullptr ? nullptr : space->find_event_hub(entity_path);
  if (event_hub == nullptr) {
    return bad_parameter("There is no event hub '" + std::string(entity_path.substr(0, 256)) +
                         "' on '" + host_without_port(endpoint_uri).substr(0, 256) +
                         "'. Only event hubs of this server can be endpoints.");
  }
  return EventHubReference{space, event_hub};
}

Result<EventHubReference> find_event_hub_of(const Catalog& catalog,
                                            std::string_view connection_string, EventRight right) {
  const auto parsed = parse_connection_string(connection_string);
  if (!parsed)
    return bad_parameter(
        "The endpoint's connection string is not valid: " + parsed.error().message + ".");
  if (parsed->entity.empty()) {
    return bad_parameter(
        "The endpoint's connection string has no EntityPath; use the one of an event hub's rule.");
  }
  auto reference = find_event_hub_of(catalog, parsed->host, parsed->entity);
  if (!reference) return reference;
  const EventRule* rule = reference->event_hub->find_rule(parsed->key_name);
  if (rule == nullptr) rule = reference->space->find_rule(parsed->key_name);
  if (rule == nullptr || (!security::constant_time_equal(rule->primary_key, parsed->key) &&
                          !security::constant_time_equal(rule->secondary_key, parsed->key)))
    return bad_parameter(
        "The key in the endpoint's connection string is not one of the event hub's.");
  if (!rule->allows(right)) {
    return bad_parameter("The rule '" + rule->name +
                         "' in the endpoint's connection string does not allow to send.");
  }
  return reference;
}

}  // namespace doppel::resources
