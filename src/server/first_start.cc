#include "server/first_start.h"

#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"
#include "functions/api.h"
#include "json/value.h"
#include "server/default_models.h"

namespace doppel::server {
namespace {

using json::Array;
using json::Object;

const std::string kStartedKey = store::key({"server", "started"});

// PUT unless it is there. Yields nothing but success: the catalog has the rest.
Task<Status> ensure(resources::Resources& resources, resources::ResourceId id, Object body) {
  if (resources.get(id)) co_return Status{};
  auto put = co_await resources.put(std::move(id), std::move(body));
  if (!put) co_return fail(std::move(put.error()));
  co_return Status{};
}

Object with_properties(Object properties) {
  return Object{{"location", "eastus"}, {"properties", std::move(properties)}};
}

Object event_hub_endpoint(std::string_view name, const std::string& connection_string) {
  return Object{{"name", std::string(name)},
                {"connectionString", connection_string},
                {"resourceGroup", std::string(kGroupName)},
                {"subscriptionId", std::string(resources::kDefaultSubscription)}};
}

Object route(std::string_view name, std::string_view source, std::string_view condition,
             std::string_view endpoint) {
  return Object{{"name", std::string(name)},
                {"source", std::string(source)},
                {"condition", std::string(condition)},
                {"endpointNames", Array{json::Value(std::string(endpoint))}},
                {"isEnabled", true}};
}

// The hub with the two routes of the guide. Telemetry also stays at the built-in endpoint, which
// Azure stops as soon as there is a route: newcomers look there first.
Result<Object> hub_body(const resources::Resources& resources) {
  auto lifecycle = resources.event_connection_string(kEventSpaceName, "lifecycleevents");
  if (!lifecycle) return fail(std::move(lifecycle.error()));
  auto device = resources.event_connection_string(kEventSpaceName, "deviceevents");
  if (!device) return fail(std::move(device.error()));
  Object routing{
      {"endpoints", Object{{"eventHubs", Array{event_hub_endpoint("lifecycleevents", *lifecycle),
                                               event_hub_endpoint("deviceevents", *device)}}}},
      {"routes", Array{route("lifecycle", "DeviceLifecycleEvents", "opType='deleteDeviceIdentity'",
                             "lifecycleevents"),
                       route("telemetry", "DeviceMessages", "true", "deviceevents"),
                       route("builtin", "DeviceMessages", "true", "events")}},
      {"fallbackRoute", Object{{"name", "$fallback"},
                               {"source", "DeviceMessages"},
                               {"condition", "true"},
                               {"endpointNames", Array{json::Value("events")}},
                               {"isEnabled", true}}}};
  Object body = with_properties(Object{{"routing", std::move(routing)}});
  body["sku"] = Object{{"name", "S1"}, {"capacity", 1}};
  return body;
}

Result<Object> dps_body(const resources::Resources& resources) {
  auto connection = resources.hub_connection_string(kHubName);
  if (!connection) return fail(std::move(connection.error()));
  Object body = with_properties(Object{
      {"iotHubs", Array{Object{{"connectionString", *connection}, {"location", "eastus"}}}}});
  body["sku"] = Object{{"name", "S1"}, {"capacity", 1}};
  return body;
}

Task<Status> make_resources(FirstStart& start) {
  auto& resources = start.resources;
  auto done =
      co_await ensure(resources, resources.group_id(kGroupName), Object{{"location", "eastus"}});
  if (!done) co_return done;
  done = co_await ensure(resources, resources.event_space_id(kGroupName, kEventSpaceName),
                         with_properties({}));
  if (!done) co_return done;
  for (const std::string_view name : {"lifecycleevents", "deviceevents"}) {
    done = co_await ensure(
        resources, resources.event_hub_id(kGroupName, kEventSpaceName, name),
        Object{{"properties", Object{{"partitionCount", 4}, {"messageRetentionInDays", 1}}}});
    if (!done) co_return done;
  }
  auto hub = hub_body(resources);
  if (!hub) co_return fail(std::move(hub.error()));
  done = co_await ensure(resources, resources.hub_id(kGroupName, kHubName), std::move(*hub));
  if (!done) co_return done;
  auto dps = dps_body(resources);
  if (!dps) co_return fail(std::move(dps.error()));
  done = co_await ensure(resources, resources.dps_id(kGroupName, kDpsName), std::move(*dps));
  if (!done) co_return done;
  done =
      co_await ensure(resources, resources.twins_id(kGroupName, kTwinsName), with_properties({}));
  if (!done) co_return done;
  done = co_await ensure(resources, resources.function_app_id(kGroupName, kFunctionAppName),
                         with_properties({}));
  if (!done) co_return done;
  const auto settings_id = resources.app_settings_id(kGroupName, kFunctionAppName);
  const auto catalog = resources.catalog();
  const auto* app = catalog->find_function_app(kFunctionAppName);
  if (app != nullptr && app->setting("ADT_SERVICE_URL")) co_return Status{};
  auto put = co_await resources.put(
      settings_id,
      Object{{"properties", Object{{"ADT_SERVICE_URL", "https://" + start.https_authority}}}});
  if (!put) co_return fail(std::move(put.error()));
  co_return Status{};
}

Task<Status> make_models(FirstStart& start) {
  auto models = json::parse(kDefaultModels);
  if (!models) co_return fail(std::move(models.error()));
  co_return co_await start.twins.create_models(TwinsInstanceName(kTwinsName),
                                               std::move(models->as_array()), true);
}

// The key that opens the allocation function, as a user would copy it from the portal.
Result<std::string> function_code(const resources::Resources& resources) {
  const auto catalog = resources.catalog();
  const auto* app = catalog->find_function_app(kFunctionAppName);
  if (app == nullptr) return fail(Code::internal, "the function app was not made");
  const auto key = app->host_keys.find("default");
  return key != app->host_keys.end() ? key->second : app->master_key;
}

Task<Status> make_enrollment_group(FirstStart& start) {
  auto code = function_code(start.resources);
  if (!code) co_return fail(std::move(code.error()));
  const std::string url = fmt::format("https://{}/api/{}?code={}", start.https_authority,
                                      functions::kAllocationFunction, percent_encode(*code));
  Object body{
      {"enrollmentGroupId", std::string(kEnrollmentGroupName)},
      {"attestation", Object{{"type", "symmetricKey"}, {"symmetricKey", Object{}}}},
      {"provisioningStatus", "enabled"},
      {"allocationPolicy", "custom"},
      {"customAllocationDefinition", Object{{"webhookUrl", url}, {"apiVersion", "2019-03-31"}}}};
  co_return co_await start.provisioning.ensure_enrollment_group(
      std::string(kDpsName), std::string(kEnrollmentGroupName), std::move(body));
}

}  // namespace

Task<Result<resources::Credential>> make_first_resources(FirstStart start) {
  if (auto done = co_await make_resources(start); !done) co_return fail(std::move(done.error()));
  if (auto done = co_await make_models(start); !done) co_return fail(std::move(done.error()));
  if (auto done = co_await make_enrollment_group(start); !done)
    co_return fail(std::move(done.error()));
  co_return co_await start.resources.create_admin_credential();
}

Task<Result<bool>> is_first_start(store::Store& store) {
  auto value = co_await store.snapshot()->get(kStartedKey);
  if (!value) co_return fail(std::move(value.error()));
  co_return !value->has_value();
}

Task<Status> mark_started(store::Store& store) {
  store::WriteSet changes;
  changes.puts.push_back({.key = kStartedKey, .value = "1"});
  auto committed = co_await store.commit(std::move(changes));
  if (!committed) co_return fail(std::move(committed.error()));
  co_return Status{};
}

}  // namespace doppel::server
