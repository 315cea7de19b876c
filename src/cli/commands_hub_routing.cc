// doppel iot hub message-route | message-endpoint: both are parts of the hub's resource, so they
// are changed by reading it, editing it and writing it back under its etag.
#include <functional>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Devices/IotHubs";
const Option kHub{.names = "--hub-name,-n", .help = "IoT hub (default: the one of the profile)"};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};

Result<json::Value> read_hub(Session& session, const Arguments& args, std::string& path) {
  auto name = session.name_or_default(args, "--hub-name", session.profile().hub);
  if (!name) return fail(std::move(name.error()));
  path = session.resource_path(args, kType, *name);
  return session.send_json({.path = path});
}

// The array at `members` inside the hub, made if it is missing.
json::Array& array_at(json::Value& hub, std::initializer_list<std::string_view> members) {
  json::Value* at = &hub;
  for (const auto member : members) {
    if (!at->is_object()) *at = json::Object{};
    at = &at->get_object()[member];
  }
  if (!at->is_array()) *at = json::Array{};
  return at->get_array();
}

Result<Output> edit(Session& session, const Arguments& args,
                    const std::function<Status(json::Value&)>& change) {
  std::string path;
  auto hub = read_hub(session, args, path);
  if (!hub) return fail(std::move(hub.error()));
  if (auto changed = change(*hub); !changed) return fail(std::move(changed.error()));
  const std::string etag = json::get_string_or(*hub, "etag", "*");
  auto written =
      session.send_json({.method = "PUT", .path = path, .body = std::move(*hub), .if_match = etag});
  if (!written) return fail(std::move(written.error()));
  const auto* properties = json::find(*written, "properties");
  const auto* routing = properties != nullptr ? json::find(*properties, "routing") : nullptr;
  return Output(routing != nullptr ? *routing : json::Value(nullptr));
}

bool is_named(const json::Value& item, const std::string& name) {
  return equal_ignoring_case(json::get_string_or(item, "name", ""), name);
}

Status erase_named(json::Array& items, const std::string& name, std::string_view what) {
  for (auto at = items.begin(); at != items.end(); ++at) {
    if (!is_named(*at, name)) continue;
    items.erase(at);
    return {};
  }
  return fail(Code::not_found, fmt::format("the hub has no {} named {}", what, name));
}

Result<Output> route_list(Session& session, const Arguments& args) {
  std::string path;
  auto hub = read_hub(session, args, path);
  if (!hub) return fail(std::move(hub.error()));
  return Output(json::Value(array_at(*hub, {"properties", "routing", "routes"})));
}
Result<Output> route_create(Session& session, const Arguments& args) {
  auto edited = edit(session, args, [&](json::Value& hub) -> Status {
    auto& routes = array_at(hub, {"properties", "routing", "routes"});
    const std::string name = args.get("--route-name");
    for (const auto& route : routes)
      if (is_named(route, name))
        return fail(Code::already_exists, fmt::format("there is a route named {}", name));
    routes.push_back(json::Object{
        {"name", name},
        {"source", args.get_or("--source-type", "DeviceMessages")},
        {"condition", args.get_or("--condition", "true")},
        {"endpointNames", json::Array{json::Value(args.get("--endpoint-name"))}},
        {"isEnabled", !equal_ignoring_case(args.get_or("--enabled", "true"), "false")}});
    return {};
  });
  return edited ? route_list(session, args) : edited;
}
Result<Output> route_delete(Session& session, const Arguments& args) {
  auto edited = edit(session, args, [&](json::Value& hub) {
    return erase_named(array_at(hub, {"properties", "routing", "routes"}), args.get("--route-name"),
                       "route");
  });
  if (!edited) return edited;
  return Output{};
}

Result<Output> endpoint_list(Session& session, const Arguments& args) {
  std::string path;
  auto hub = read_hub(session, args, path);
  if (!hub) return fail(std::move(hub.error()));
  return Output(json::Value(array_at(*hub, {"properties", "routing", "endpoints", "eventHubs"})));
}
Result<Output> endpoint_create(Session& session, const Arguments& args) {
  auto edited = edit(session, args, [&](json::Value& hub) -> Status {
    auto& endpoints = array_at(hub, {"properties", "routing", "endpoints", "eventHubs"});
    const std::string name = args.get("--endpoint-name");
    for (const auto& endpoint : endpoints)
      if (is_named(endpoint, name))
        return fail(Code::already_exists, fmt::format("there is an endpoint named {}", name));
    endpoints.push_back(
        json::Object{{"name", name},
                     {"connectionString", args.get("--connection-string")},
                     {"resourceGroup",
                      args.get_or("--endpoint-resource-group", session.profile().resource_group)},
                     {"subscriptionId", session.profile().subscription}});
    return {};
  });
  return edited ? endpoint_list(session, args) : edited;
}
Result<Output> endpoint_delete(Session& session, const Arguments& args) {
  auto edited = edit(session, args, [&](json::Value& hub) {
    return erase_named(array_at(hub, {"properties", "routing", "endpoints", "eventHubs"}),
                       args.get("--endpoint-name"), "endpoint");
  });
  if (!edited) return edited;
  return Output{};
}

}  // namespace

std::vector<Command> hub_routing_commands() {
  const Option route{
      .names = "--route-name,--rn", .help = "Name of the route", .is_required = true};
  const Option endpoint{
      .names = "--endpoint-name,--en", .help = "Name of the endpoint", .is_required = true};
  const std::vector<std::string> route_columns = {"name", "source", "condition", "endpointNames",
                                                  "isEnabled"};
  const std::vector<std::string> endpoint_columns = {"name", "id", "resourceGroup"};
  return {
      {"iot hub message-route create",
       "Add a route",
       {kHub,
        kGroup,
        route,
        endpoint,
        {.names = "--source-type,--source,--type",
         .help = "DeviceMessages, DeviceLifecycleEvents, TwinChangeEvents, ..."},
        {.names = "--condition,-c",
         .help = "Routing query, e.g. opType='deleteDeviceIdentity' (default: true)"},
        {.names = "--enabled,-e", .help = "true or false"}},
       route_create,
       route_columns},
      {"iot hub message-route list", "List the routes", {kHub, kGroup}, route_list, route_columns},
      {"iot hub message-route delete", "Remove a route", {kHub, kGroup, route}, route_delete, {}},
      {"iot hub message-endpoint create eventhub",
       "Add an event hub as an endpoint",
       {kHub,
        kGroup,
        endpoint,
        {.names = "--connection-string",
         .help = "Connection string of the event hub, EntityPath included",
         .is_required = true},
        {.names = "--endpoint-resource-group,--erg", .help = "Resource group of the event hub"}},
       endpoint_create,
       endpoint_columns},
      {"iot hub message-endpoint list",
       "List the custom endpoints",
       {kHub, kGroup},
       endpoint_list,
       endpoint_columns},
      {"iot hub message-endpoint delete",
       "Remove an endpoint",
       {kHub, kGroup, endpoint},
       endpoint_delete,
       {}},
  };
}

}  // namespace doppel::cli
