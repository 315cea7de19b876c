// From what a client PUTs to what is stored: each resource type checks the body, fills in what is
// left out, keeps what the body may not change and makes keys. Pure functions of the body, the
// stored document and the catalog.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "json/value.h"
#include "resources/api.h"
#include "resources/catalog.h"
#include "resources/resource_id.h"

namespace doppel::resources {

using RouteValidator = std::function<Status(std::string_view source, std::string_view condition)>;

struct PutContext {
  const ResourceId& id;
  const json::Object& body;      // as sent
  const json::Object* existing;  // as stored; null when it is created
  const Catalog& catalog;
  const ResourceDefaults& defaults;
  Random& random;
  TimePoint now;
  const RouteValidator& validate_route;
  std::string new_id_scope;  // for a provisioning service that is created
};

// A document to store; `children` only when the resource is created.
struct PutPlan {
  json::Object body;
  std::vector<std::pair<ResourceId, json::Object>> children;
};

// Errors are those of errors/arm.h.
Result<PutPlan> plan_put(const PutContext& context);

// One for each type, for plan_put.
Result<PutPlan> plan_group(const PutContext& context);
Result<PutPlan> plan_hub(const PutContext& context);
Result<PutPlan> plan_dps(const PutContext& context);
Result<PutPlan> plan_twins(const PutContext& context);
Result<PutPlan> plan_twins_endpoint(const PutContext& context);
Result<PutPlan> plan_event_space(const PutContext& context);
Result<PutPlan> plan_event_hub(const PutContext& context);
Result<PutPlan> plan_event_rule(const PutContext& context);
Result<PutPlan> plan_consumer_group(const PutContext& context);
Result<PutPlan> plan_certificate(const PutContext& context);
Result<PutPlan> plan_site(const PutContext& context);
Result<PutPlan> plan_site_config(const PutContext& context);
Result<PutPlan> plan_function_key(const PutContext& context);

// ---- What several of them need ----

// id, name, type, location (the stored one, else the body's, else LocationRequired), tags (the
// body's, else the stored ones), identity, sku; properties as in the body.
Result<json::Object> base_document(const PutContext& context);
// The same for children: id, name, type and properties.
json::Object child_document(const PutContext& context);

json::Object* properties_of(json::Object& document);
const json::Value* property(const json::Object& document, std::string_view name);
const json::Value* property(const json::Object* document, std::string_view name);
std::string text_property(const json::Object* document, std::string_view name,
                          std::string_view fallback);

// An integer member of `object` within bounds; `fallback` when it is absent or null. Errors:
// InvalidParameter.
Result<std::int64_t> integer_member(const json::Value& object, std::string_view name,
                                    std::int64_t least, std::int64_t most, std::int64_t fallback);

// The refusal of a parameter, with what is wrong with it.
std::unexpected<Error> bad_parameter(std::string message);

struct RightName {
  std::string_view name;
  std::uint8_t bits;  // of the catalog's enum, what it implies included
};
inline constexpr RightName kHubRights[] = {
    {"RegistryRead", 1}, {"RegistryWrite", 3}, {"ServiceConnect", 4}, {"DeviceConnect", 8}};
inline constexpr RightName kDpsRights[] = {
    {"ServiceConfig", 1}, {"EnrollmentRead", 2},          {"EnrollmentWrite", 6},
    {"DeviceConnect", 8}, {"RegistrationStatusRead", 16}, {"RegistrationStatusWrite", 48}};
inline constexpr RightName kEventRights[] = {{"Send", 1}, {"Listen", 2}, {"Manage", 7}};

// "RegistryRead, ServiceConnect" -> bits; nothing for an unknown name or an empty list.
std::optional<std::uint8_t> parse_rights(std::string_view text, std::span<const RightName> names);

struct DefaultPolicy {
  std::string_view name;
  std::string_view rights;
};
// authorizationPolicies of a hub or provisioning service: the body's, else the stored ones, else
// the defaults; keys that are left out are the stored ones or new.
Result<json::Array> complete_policies(const PutContext& context,
                                      std::span<const DefaultPolicy> defaults,
                                      std::span<const RightName> rights);

// The event hub of this server that a connection string (or endpointUri + entityPath) means.
struct EventHubReference {
  const EventSpace* space;
  const EventHub* event_hub;
};
// `right`: what the key must allow. Errors: InvalidParameter, saying what to do.
Result<EventHubReference> find_event_hub_of(const Catalog& catalog,
                                            std::string_view connection_string, EventRight right);
Result<EventHubReference> find_event_hub_of(const Catalog& catalog, std::string_view endpoint_uri,
                                            std::string_view entity_path);

}  // namespace doppel::resources
