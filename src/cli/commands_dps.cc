// doppel iot dps ...: the resource, its linked hubs, and registrations.
#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Devices/provisioningServices";
const Option kName{.names = "--name,-n", .help = "DPS (default: the one of the profile)"};
const Option kDps{.names = "--dps-name,-n", .help = "DPS (default: the one of the profile)"};

Result<Output> create(Session& session, const Arguments& args) {
  return create_resource(session, args, kType, "--name",
                         {{"location", args.get_or("--location", "eastus")},
                          {"properties", json::Object{}},
                          {"sku", json::Object{{"name", "S1"}, {"capacity", 1}}}});
}
Result<Output> show(Session& session, const Arguments& args) {
  return show_resource(session, args, kType, "--name", session.profile().dps);
}
Result<Output> list(Session& session, const Arguments& args) {
  return list_resources(session, args, kType);
}

// ---- linked hubs: a part of the resource ----

Result<json::Value> read_dps(Session& session, const Arguments& args, std::string& path) {
  auto name = session.name_or_default(args, "--dps-name", session.profile().dps);
  if (!name) return fail(std::move(name.error()));
  path = session.resource_path(args, kType, *name);
  return session.send_json({.path = path});
}

json::Array& linked_hubs(json::Value& dps) {
  auto& hubs = dps.as_object()["properties"].is_object()
                   ? dps.as_object()["properties"].as_object()["iotHubs"]
                   : (dps.as_object()["properties"] = json::Object{}).as_object()["iotHubs"];
  if (!hubs.is_array()) hubs = json::Array{};
  return hubs.get_array();
}

Result<std::string> connection_string_of(Session& session, const Arguments& args) {
  if (const auto given = args.find("--connection-string")) return *given;
  auto name = session.name_or_default(args, "--hub-name", session.profile().hub);
  if (!name) return name;
  const std::string path = session.resource_path(args, "Microsoft.Devices/IotHubs", *name);
  auto hub = session.send_json({.path = path});
  if (!hub) return fail(std::move(hub.error()));
  auto key =
      session.send_json({.method = "POST", .path = path + "/IotHubKeys/iothubowner/listkeys"});
  if (!key) return fail(std::move(key.error()));
  const auto* properties = json::find(*hub, "properties");
  return fmt::format("HostName={};SharedAccessKeyName=iothubowner;SharedAccessKey={}",
                     properties != nullptr ? json::get_string_or(*properties, "hostName", "") : "",
                     json::get_string_or(*key, "primaryKey", ""));
}

Result<Output> link(Session& session, const Arguments& args) {
  auto connection = connection_string_of(session, args);
  if (!connection) return fail(std::move(connection.error()));
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  linked_hubs(*dps).push_back(json::Object{{"connectionString", *connection},
                                           {"location", args.get_or("--location", "eastus")}});
  auto written = session.send_json({.method = "PUT", .path = path, .body = std::move(*dps)});
  if (!written) return fail(std::move(written.error()));
  return Output(json::Value(linked_hubs(*written)));
}
Result<Output> links(Session& session, const Arguments& args) {
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  return Output(json::Value(linked_hubs(*dps)));
}
Result<Output> unlink(Session& session, const Arguments& args) {
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  auto& hubs = linked_hubs(*dps);
  const std::string wanted = args.get("--linked-hub");
  const auto at = std::find_if(hubs.begin(), hubs.end(), [&](const auto& hub) {
    return equal_ignoring_case(json::get_string_or(hub, "name", ""), wanted);
  });
  if (at == hubs.end())
    return fail(
        Code::not_found,
        fmt::format("the DPS has no linked hub {}; `doppel iot dps linked-hub list` shows them",
                    wanted));
  hubs.erase(at);
  auto written = session.send_json({.method = "PUT", .path = path, .body = std::move(*dps)});
  if (!written) return fail(std::move(written.error()));
  return Output{};
}

// ---- registrations ----

Result<Session::Call> registration_call(Session& session, const Arguments& args,
                                        std::string_view method) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  return Session::Call{.method = std::string(method),
                       .path = "/registrations/" + percent_encode(args.get("--registration-id")),
                       .api_version = kDpsVersion,
                       .host = std::move(*host)};
}
Result<Output> registration_show(Session& session, const Arguments& args) {
  auto call = registration_call(session, args, "GET");
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> registration_list(Session& session, const Arguments& args) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  const std::string group = args.get_or("--enrollment-id", session.profile().enrollment_group);
  auto all =
      session.query_all({.path = fmt::format("/registrations/{}/query", percent_encode(group)),
                         .api_version = kDpsVersion,
                         .host = std::move(*host)});
  if (!all) return fail(std::move(all.error()));
  return json::Value(std::move(*all));
}
Result<Output> registration_delete(Session& session, const Arguments& args) {
  auto call = registration_call(session, args, "DELETE");
  if (!call) return fail(std::move(call.error()));
  return send_quietly(session, *call);
}

}  // namespace

std::vector<Command> dps_commands() {
  const Option location{.names = "--location,-l", .help = "Location (default: eastus)"};
  const Option registration{
      .names = "--registration-id,--rid", .help = "Registration ID", .is_required = true};
  const std::vector<std::string> columns = {"name", "resourcegroup", "properties.idScope",
                                            "properties.serviceOperationsHostName"};
  const std::vector<std::string> states = {"registrationId", "status", "assignedHub", "deviceId",
                                           "lastUpdatedDateTimeUtc"};
  return {
      {"iot dps create",
       "Create a Device Provisioning Service",
       {kName, kGroupOption, location},
       create,
       columns},
      {"iot dps show", "Show a Device Provisioning Service", {kName, kGroupOption}, show, columns},
      {"iot dps list", "List the Device Provisioning Services", {kGroupOption}, list, columns},
      {"iot dps linked-hub create",
       "Link an IoT hub",
       {kDps,
        kGroupOption,
        {.names = "--hub-name", .help = "IoT hub of this server"},
        {.names = "--connection-string", .help = "Service connection string of a hub"},
        location},
       link,
       {"name", "location"}},
      {"iot dps linked-hub list",
       "List the linked hubs",
       {kDps, kGroupOption},
       links,
       {"name", "location", "allocationWeight"}},
      {"iot dps linked-hub delete",
       "Unlink a hub",
       {kDps,
        kGroupOption,
        {.names = "--linked-hub", .help = "Host name of the hub", .is_required = true}},
       unlink,
       {}},
      {"iot dps registration show",
       "Show what became of a registration",
       {kDps, kGroupOption, registration},
       registration_show,
       states},
      {"iot dps registration list",
       "List the registrations of an enrollment group",
       {kDps,
        kGroupOption,
        {.names = "--enrollment-id,--eid",
         .help = "Enrollment group (default: the one of the profile)"}},
       registration_list,
       states},
      {"iot dps registration delete",
       "Forget a registration; the device can register anew",
       {kDps, kGroupOption, registration},
       registration_delete,
       {}},
  };
}

}  // namespace doppel::cli
