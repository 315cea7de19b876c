// doppel iot hub ...: the resource, its keys, identities and device twins.
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Devices/IotHubs";
const Option kHub{.names = "--hub-name,-n,--name",
                  .help = "IoT hub (default: the one of the profile)"};
const Option kDevice{.names = "--device-id,-d", .help = "Device ID", .is_required = true};

Result<Output> create(Session& session, const Arguments& args) {
  return create_resource(
      session, args, kType, "--hub-name",
      {{"location", args.get_or("--location", "eastus")},
       {"sku", json::Object{{"name", args.get_or("--sku", "S1")}, {"capacity", 1}}},
       {"properties", json::Object{}}});
}

Result<Output> show(Session& session, const Arguments& args) {
  return show_resource(session, args, kType, "--hub-name", session.profile().hub);
}

Result<Output> list(Session& session, const Arguments& args) {
  return list_resources(session, args, kType);
}

Result<Output> connection_string(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--hub-name", session.profile().hub);
  if (!name) return fail(std::move(name.error()));
  auto hub = session.send_json({.path = session.resource_path(args, kType, *name)});
  if (!hub) return fail(std::move(hub.error()));
  const std::string policy = args.get_or("--policy-name", "iothubowner");
  auto key = session.send_json(
      {.method = "POST",
       .path = fmt::format("{}/IotHubKeys/{}/listkeys", session.resource_path(args, kType, *name),
                           percent_encode(policy))});
  if (!key) return fail(std::move(key.error()));
  const auto* properties = json::find(*hub, "properties");
  const std::string_view member =
      args.get_or("--key-type", "primary") == "secondary" ? "secondaryKey" : "primaryKey";
  return json::Value(
      json::Object{{"connectionString",
                    fmt::format("HostName={};SharedAccessKeyName={};SharedAccessKey={}",
                                properties ? json::get_string_or(*properties, "hostName", "") : "",
                                policy, json::get_string_or(*key, member, ""))}});
}

// ---- identities ----

Result<Session::Call> device_call(Session& session, const Arguments& args, std::string_view method,
                                  std::string_view folder) {
  auto host = session.hub_host(args);
  if (!host) return fail(std::move(host.error()));
  return Session::Call{
      .method = std::string(method),
      .path = fmt::format("/{}/{}", folder, percent_encode(args.get("--device-id"))),
      .api_version = kHubVersion,
      .host = std::move(*host)};
}

Result<Output> device_create(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "PUT", "devices");
  if (!call) return fail(std::move(call.error()));
  json::Object keys;
  if (const auto key = args.find("--primary-key")) keys["primaryKey"] = *key;
  if (const auto key = args.find("--secondary-key")) keys["secondaryKey"] = *key;
  call->body = json::Object{
      {"deviceId", args.get("--device-id")},
      {"status", args.get_or("--status", "enabled")},
      {"authentication", json::Object{{"type", "sas"}, {"symmetricKey", std::move(keys)}}},
      {"capabilities", json::Object{{"iotEdge", false}}}};
  return session.send_json(*call);
}
Result<Output> device_show(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "GET", "devices");
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> device_list(Session& session, const Arguments& args) {
  auto host = session.hub_host(args);
  if (!host) return fail(std::move(host.error()));
  auto all = session.query_all({.path = "/devices/query",
                                .api_version = kHubVersion,
                                .host = std::move(*host),
                                .body = json::Object{{"query", "SELECT * FROM devices"}}});
  if (!all) return fail(std::move(all.error()));
  return json::Value(std::move(*all));
}
Result<Output> device_update(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "GET", "devices");
  if (!call) return fail(std::move(call.error()));
  auto device = session.send_json(*call);
  if (!device) return fail(std::move(device.error()));
  auto& object = device->as_object();
  if (const auto status = args.find("--status")) object["status"] = *status;
  if (const auto reason = args.find("--status-reason")) object["statusReason"] = *reason;
  auto& symmetric = object["authentication"].is_object()
                        ? object["authentication"].as_object()["symmetricKey"]
                        : object["authentication"];
  if (symmetric.is_object()) {
    if (const auto key = args.find("--primary-key")) symmetric.as_object()["primaryKey"] = *key;
    if (const auto key = args.find("--secondary-key")) symmetric.as_object()["secondaryKey"] = *key;
  }
  call->method = "PUT";
  call->if_match =
      fmt::format("\"{}\"", args.get_or("--etag", json::get_string_or(*device, "etag", "*")));
  call->body = std::move(*device);
  return session.send_json(*call);
}
Result<Output> device_delete(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "DELETE", "devices");
  if (!call) return fail(std::move(call.error()));
  call->if_match = fmt::format("\"{}\"", args.get_or("--etag", "*"));
  return send_quietly(session, *call);
}

// ---- device twins ----

Result<Output> twin_show(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "GET", "twins");
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> twin_update(Session& session, const Arguments& args) {
  auto call = device_call(session, args, "PATCH", "twins");
  if (!call) return fail(std::move(call.error()));
  json::Object patch;
  if (const auto tags = args.find("--tags")) {
    auto parsed = parse_json_argument("--tags", *tags);
    if (!parsed) return fail(std::move(parsed.error()));
    patch["tags"] = std::move(*parsed);
  }
  if (const auto desired = args.find("--desired")) {
    auto parsed = parse_json_argument("--desired", *desired);
    if (!parsed) return fail(std::move(parsed.error()));
    patch["properties"] = json::Object{{"desired", std::move(*parsed)}};
  }
  if (patch.empty())
    return fail(Code::invalid_argument, "nothing to change: give --tags or --desired");
  call->if_match = fmt::format("\"{}\"", args.get_or("--etag", "*"));
  call->body = std::move(patch);
  return session.send_json(*call);
}

}  // namespace

std::vector<Command> hub_commands() {
  const Option location{.names = "--location,-l", .help = "Location (default: eastus)"};
  const Option status{.names = "--status,--sta", .help = "enabled or disabled"};
  const Option primary{.names = "--primary-key,--pk",
                       .help = "Primary key, base64 (default: generated)"};
  const Option secondary{.names = "--secondary-key,--sk",
                         .help = "Secondary key, base64 (default: generated)"};
  const std::vector<std::string> hub_columns = {"name", "resourcegroup", "properties.hostName",
                                                "properties.state"};
  const std::vector<std::string> device_columns = {"deviceId", "status", "connectionState",
                                                   "generationId"};
  return {
      {"iot hub create",
       "Create an IoT hub",
       {kHub, kGroupOption, location, {.names = "--sku", .help = "SKU name (default: S1)"}},
       create,
       hub_columns},
      {"iot hub show", "Show an IoT hub", {kHub, kGroupOption}, show, hub_columns},
      {"iot hub list", "List the IoT hubs", {kGroupOption}, list, hub_columns},
      {"iot hub connection-string show",
       "Show a service connection string",
       {kHub,
        kGroupOption,
        {.names = "--policy-name,--pn", .help = "Shared access policy (default: iothubowner)"},
        {.names = "--key-type,--kt", .help = "primary or secondary"}},
       connection_string,
       {"connectionString"}},
      {"iot hub device-identity create",
       "Create a device",
       {kHub, kGroupOption, kDevice, status, primary, secondary},
       device_create,
       device_columns},
      {"iot hub device-identity show",
       "Show a device",
       {kHub, kGroupOption, kDevice},
       device_show,
       device_columns},
      {"iot hub device-identity list",
       "List the devices",
       {kHub, kGroupOption},
       device_list,
       {"deviceId", "status", "connectionState", "lastActivityTime"}},
      {"iot hub device-identity update",
       "Change a device",
       {kHub,
        kGroupOption,
        kDevice,
        status,
        {.names = "--status-reason,--star", .help = "Why"},
        primary,
        secondary,
        kEtagOption},
       device_update,
       device_columns},
      {"iot hub device-identity delete",
       "Delete a device; its digital twin goes too",
       {kHub, kGroupOption, kDevice, kEtagOption},
       device_delete,
       {}},
      {"iot hub device-twin show",
       "Show a device twin",
       {kHub, kGroupOption, kDevice},
       twin_show,
       {"deviceId", "status", "connectionState", "version"}},
      {"iot hub device-twin update",
       "Change tags and desired properties of a device twin",
       {kHub,
        kGroupOption,
        kDevice,
        {.names = "--tags", .help = "Merge patch, JSON"},
        {.names = "--desired", .help = "Merge patch, JSON"},
        kEtagOption},
       twin_update,
       {"deviceId", "version"}},
  };
}

}  // namespace doppel::cli
