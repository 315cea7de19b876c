// Microsoft.Devices/IotHubs (reference: iot-hub.md sections 4.3, 10.1 and 19).
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "errors/arm.h"
#include "resources/connection_string.h"
#include "resources/document.h"
#include "resources/types.h"

namespace doppel::resources {
namespace {

constexpr std::int64_t kPartitionsDefault = 4;
constexpr std::int64_t kPartitionsMax = 32;
constexpr std::int64_t kRetentionDaysMax = 7;
constexpr std::size_t kRoutesMax = 100;
constexpr std::size_t kEndpointsMax = 10;
constexpr std::size_t kEnrichmentsMax = 10;
constexpr std::size_t kNameSizeMax = 64;

constexpr DefaultPolicy kPolicies[] = {
    {"iothubowner", "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"},
    {"service", "ServiceConnect"},
    {"device", "DeviceConnect"},
    {"registryRead", "RegistryRead"},
    {"registryReadWrite", "RegistryRead, RegistryWrite"},
};

constexpr std::string_view kSources[] = {
    "DeviceMessages",
    "TwinChangeEvents",
    "DeviceLifecycleEvents",
    "DeviceJobLifecycleEvents",
    "DeviceConnectionStateEvents",
    "DigitalTwinChangeEvents",
    "MqttBrokerMessages",
};
constexpr std::string_view kForeignEndpoints[] = {"serviceBusQueues", "serviceBusTopics",
                                                  "storageContainers", "cosmosDBSqlContainers"};

bool is_route_name(std::string_view name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return !name.empty() && name.size() <= kNameSizeMax && std::ranges::all_of(name, is_good);
}

// The element of an array whose `name` is the given one.
const json::Value* named(const json::Value* array, std::string_view name) {
  if (array == nullptr || !array->is_array()) return nullptr;
  for (const auto& one : array->get_array()) {
    if (equal_ignoring_case(json::get_string_or(one, "name", ""), name)) return &one;
  }
  return nullptr;
}

Result<json::Array> array_member(const json::Value& object, std::string_view name,
                                 std::size_t most) {
  const auto* value = json::find(object, name);
  if (value == nullptr || value->is_null()) return json::Array{};
  if (!value->is_array() || value->get_array().size() > most) {
    return bad_parameter("'" + std::string(name) + "' must be an array of at most " +
                         std::to_string(most) + ".");
  }
  return value->get_array();
}

// One custom endpoint of kind event hub. A masked connection string means "the one you have".
Result<json::Value> complete_endpoint(const PutContext& context, const json::Value& endpoint,
                                      const json::Value* stored) {
  const std::string name = json::get_string_or(endpoint, "name", "");
  if (!is_route_name(name))
    return bad_parameter("An endpoint's name has 1 to 64 letters, digits, '-', '.' and '_'.");
  for (const char* reserved :
       {"events", "fileNotifications", "$default", "operationsMonitoringEvents"}) {
    if (equal_ignoring_case(name, reserved))
      return bad_parameter("'" + name + "' is the name of a built-in endpoint.");
  }
  json::Object complete = endpoint.get_object();
  std::string connection = json::get_string_or(endpoint, "connectionString", "");
  const auto parsed = parse_connection_string(connection);
  const bool is_masked = parsed && parsed->is_masked();
  if ((connection.empty() || is_masked) && stored != nullptr) {
    const std::string kept = json::get_string_or(*stored, "connectionString", "");
    if (is_masked && mask_connection_string(kept) != mask_connection_string(connection)) {
      return bad_parameter("The connection string of endpoint '" + name +
                           "' is masked and is not the stored one; "
                           "give it with its key.");
    }
    connection = kept;
  }
  const bool is_key_based = !connection.empty();
  // A stored one was checked when it came; its event hub may be gone since, which must not stop
  // other changes.
  const bool is_known = stored != nullptr &&
                        json::get_string_or(*stored, "connectionString", "") == connection &&
                        is_key_based;
  if (!is_known) {
    auto target = is_key_based ? find_event_hub_of(context.catalog, connection, EventRight::send)
                               : find_event_hub_of(context.catalog,
                                                   json::get_string_or(endpoint, "endpointUri", ""),
                                                   json::get_string_or(endpoint, "entityPath", ""));
    if (!target) return fail(std::move(target.error()));
  }
  complete["name"] = name;
  if (is_key_based) complete["connectionString"] = connection;
  complete["authenticationType"] = is_key_based ? "keyBased" : "identityBased";
  const auto* id = stored != nullptr ? json::find(*stored, "id") : nullptr;
  if (id != nullptr) complete["id"] = *id;
  if (!complete.contains("id")) complete["id"] = context.random.uuid();
  if (!complete.contains("subscriptionId")) complete["subscriptionId"] = context.id.subscription();
  if (!complete.contains("resourceGroup")) complete["resourceGroup"] = context.id.group_name();
  return complete;
}

Result<json::Object> complete_endpoints(const PutContext& context, const json::Value* given,
                                        const json::Value* stored) {
  json::Object complete;
  const json::Value empty = json::Object{};
  const json::Value& endpoints = given != nullptr && given->is_object() ? *given : empty;
  for (const auto foreign : kForeignEndpoints) {
    auto list = array_member(endpoints, foreign, kEndpointsMax);
    if (!list) return fail(std::move(list.error()));
    if (!list->empty()) {
      return bad_parameter("Endpoints of kind '" + std::string(foreign) +
                           "' are not possible here; route to an event hub.");
    }
    complete[foreign] = json::Array{};
  }
  auto list = array_member(endpoints, "eventHubs", kEndpointsMax);
  if (!list) return fail(std::move(list.error()));
  const auto* stored_list = stored != nullptr ? json::find(*stored, "eventHubs") : nullptr;
  json::Array event_hubs;
  for (const auto& endpoint : *list) {
    if (!endpoint.is_object()) return bad_parameter("An endpoint must be an object.");
    const std::string name = json::get_string_or(endpoint, "name", "");
    const json::Value so_far = event_hubs;
    if (named(&so_far, name) != nullptr)
      return bad_parameter("Two endpoints are called '" + name + "'.");
    auto one = complete_endpoint(context, endpoint, named(stored_list, name));
    if (!one) return fail(std::move(one.error()));
    event_hubs.push_back(std::move(*one));
  }
  complete["eventHubs"] = std::move(event_hubs);
  return complete;
}

// endpointNames of a route: exactly one, and it exists.
Result<json::Array> endpoint_names(const json::Value& route, const json::Object& endpoints,
                                   std::string_view what, std::size_t most) {
  auto names = array_member(route, "endpointNames", most);
  if (!names) return names;
  if (names->empty()) return bad_parameter(std::string(what) + " needs an endpoint name.");
  for (const auto& name : *names) {
    if (!json::is_string(name)) return bad_parameter("'endpointNames' must hold strings.");
    const auto text = json::view(name.get_string());
    if (equal_ignoring_case(text, "events")) continue;
    if (named(endpoints.if_contains("eventHubs"), text) == nullptr) {
      return bad_parameter(std::string(what) + " names the endpoint '" +
                           std::string(text.substr(0, kNameSizeMax)) + "', which does not exist.");
    }
  }
  return names;
}

Result<json::Value> complete_route(const PutContext& context, const json::Value& route,
                                   const json::Object& endpoints) {
  if (!route.is_object()) return bad_parameter("A route must be an object.");
  const std::string name = json::get_string_or(route, "name", "");
  if (!is_route_name(name) || equal_ignoring_case(name, "$fallback"))
    return bad_parameter("A route's name has 1 to 64 letters, digits, '-', '.' and '_'.");
  // az sends the source as typed, e.g. "devicelifecycleevents"; it is kept in Azure's spelling.
  const std::string typed = json::get_string_or(route, "source", "");
  const auto* source = std::ranges::find_if(
      kSources, [&](std::string_view one) { return equal_ignoring_case(one, typed); });
  if (source == std::end(kSources))
    return bad_parameter("The route '" + name + "' has the unknown source '" +
                         typed.substr(0, kNameSizeMax) + "'.");
  std::string condition = json::get_string_or(route, "condition", "true");
  if (condition.empty()) condition = "true";
  if (context.validate_route) {
    auto valid = context.validate_route(*source, condition);
    if (!valid) {
      return bad_parameter("The condition of route '" + name +
                           "' is not valid: " + valid.error().message);
    }
  }
  auto names = endpoint_names(route, endpoints, "The route '" + name + "'", 1);
  if (!names) return fail(std::move(names.error()));
  const auto* enabled = json::find(route, "isEnabled");
  const bool is_enabled = enabled == nullptr || !enabled->is_bool() || enabled->get_bool();
  return json::Value{{"name", name},
                     {"source", *source},
                     {"condition", condition},
                     {"endpointNames", *names},
                     {"isEnabled", is_enabled}};
}

json::Value fallback_route(bool is_enabled) {
  return {{"name", "$fallback"},
          {"source", "DeviceMessages"},
          {"condition", "true"},
          {"endpointNames", {"events"}},
          {"isEnabled", is_enabled}};
}

Result<json::Object> complete_routing(const PutContext& context) {
  const auto* given = property(context.body, "routing");
  const auto* stored = property(context.existing, "routing");
  if (given != nullptr && !given->is_null() && !given->is_object())
    return bad_parameter("'routing' must be an object.");
  const bool is_given = given != nullptr && given->is_object();
  const json::Value empty = json::Object{};
  const json::Value& routing = is_given ? *given : stored != nullptr ? *stored : empty;

  json::Object complete;
  auto endpoints =
      complete_endpoints(context, json::find(routing, "endpoints"),
                         stored != nullptr ? json::find(*stored, "endpoints") : nullptr);
  if (!endpoints) return endpoints;

  auto routes = array_member(routing, "routes", kRoutesMax);
  if (!routes) return fail(std::move(routes.error()));
  json::Array completed;
  for (const auto& route : *routes) {
    const json::Value so_far = completed;
    const std::string name = json::get_string_or(route, "name", "");
    if (!name.empty() && named(&so_far, name) != nullptr)
      return bad_parameter("Two routes are called '" + name + "'.");
    auto one = complete_route(context, route, *endpoints);
    if (!one) return fail(std::move(one.error()));
    completed.push_back(std::move(*one));
  }

  auto enrichments = array_member(routing, "enrichments", kEnrichmentsMax);
  if (!enrichments) return fail(std::move(enrichments.error()));
  for (const auto& one : *enrichments) {
    if (json::get_string_or(one, "key", "").empty())
      return bad_parameter("An enrichment needs a key.");
    auto names = endpoint_names(one, *endpoints, "An enrichment", kEndpointsMax + 1);
    if (!names) return fail(std::move(names.error()));
  }

  // A hub made without routing has the fallback route; a routing object that leaves it out has none
  // (iot-hub.md 10.1).
  const auto* fallback = json::find(routing, "fallbackRoute");
  const auto* enabled = fallback == nullptr ? nullptr : json::find(*fallback, "isEnabled");
  const bool is_enabled = fallback == nullptr
                              ? !is_given && stored == nullptr
                              : enabled == nullptr || !enabled->is_bool() || enabled->get_bool();
  complete["endpoints"] = std::move(*endpoints);
  complete["routes"] = std::move(completed);
  complete["fallbackRoute"] = fallback_route(is_enabled);
  if (!enrichments->empty()) complete["enrichments"] = std::move(*enrichments);
  return complete;
}

// The built-in endpoint. Partitions are fixed when the hub is made: devices keep their partition.
Result<json::Object> complete_events(const PutContext& context) {
  const auto* given = property(context.body, "eventHubEndpoints");
  const auto* stored = property(context.existing, "eventHubEndpoints");
  const auto* events = given != nullptr ? json::find(*given, "events") : nullptr;
  const auto* stored_events = stored != nullptr ? json::find(*stored, "events") : nullptr;
  const json::Value empty = json::Object{};
  const json::Value& wanted = events != nullptr && events->is_object() ? *events : empty;
  const json::Value& before = stored_events != nullptr ? *stored_events : empty;

  const auto* count_before = json::find(before, "partitionCount");
  const auto partitions_before = count_before == nullptr
                                     ? kPartitionsDefault
                                     : json::to_int64(*count_before).value_or(kPartitionsDefault);
  auto partitions = integer_member(wanted, "partitionCount", 1, kPartitionsMax, partitions_before);
  if (!partitions) return fail(std::move(partitions.error()));
  if (context.existing != nullptr && *partitions != partitions_before)
    return bad_parameter("'partitionCount' of a hub cannot be changed after it was made.");
  const auto* days_before = json::find(before, "retentionTimeInDays");
  auto days = integer_member(wanted, "retentionTimeInDays", 1, kRetentionDaysMax,
                             days_before == nullptr ? 1 : json::to_int64(*days_before).value_or(1));
  if (!days) return fail(std::move(days.error()));
  return json::Object{{"retentionTimeInDays", *days}, {"partitionCount", *partitions}};
}

json::Object default_cloud_to_device() {
  return {
      {"maxDeliveryCount", 10},
      {"defaultTtlAsIso8601", "PT1H"},
      {"feedback",
       {{"lockDurationAsIso8601", "PT1M"}, {"ttlAsIso8601", "PT1H"}, {"maxDeliveryCount", 10}}}};
}

}  // namespace

Result<PutPlan> plan_hub(const PutContext& context) {
  auto document = base_document(context);
  if (!document) return fail(std::move(document.error()));
  if (!document->contains("sku"))
    (*document)["sku"] = json::Object{{"name", "S1"}, {"capacity", 1}};
  if (!(*document)["sku"].is_object()) return bad_parameter("'sku' must be an object.");
  (*document)["sku"].get_object()["tier"] = "Standard";

  json::Object* properties = properties_of(*document);
  auto policies = complete_policies(context, kPolicies, kHubRights);
  if (!policies) return fail(std::move(policies.error()));
  auto routing = complete_routing(context);
  if (!routing) return fail(std::move(routing.error()));
  auto events = complete_events(context);
  if (!events) return fail(std::move(events.error()));

  // What the server says itself is not stored, so that it can never be stale.
  for (const char* read_only : {"state", "provisioningState", "hostName", "locations"})
    properties->stable_erase(read_only);
  (*properties)["authorizationPolicies"] = std::move(*policies);
  (*properties)["routing"] = std::move(*routing);
  (*properties)["eventHubEndpoints"] = json::Object{{"events", std::move(*events)}};
  if (!properties->contains("cloudToDevice"))
    (*properties)["cloudToDevice"] = default_cloud_to_device();
  if (!properties->contains("features")) (*properties)["features"] = "None";

  PutPlan plan{.body = std::move(*document), .children = {}};
  if (context.existing == nullptr) {
    const ResourceId group = context.id.child("eventHubEndpoints", "events")
                                 .child("ConsumerGroups", kDefaultConsumerGroup);
    plan.children.emplace_back(group, json::Object{{"properties", json::Object{}}});
  }
  return plan;
}

}  // namespace doppel::resources
