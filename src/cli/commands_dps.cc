// doppel iot dps ...: the resource and its linked hubs.
#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/dps_calls.h"
#include "cli/resource_calls.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Devices/provisioningServices";
const Option kName{.names = "--name,-n", .help = "DPS (default: the one of the profile)"};

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

Result<Output> remove(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--name", "");
  if (!name) return fail(std::move(name.error()));
  return send_quietly(session,
                      {.method = "DELETE", .path = session.resource_path(args, kType, *name)});
}

// "properties.allocationPolicy=GeoLatency", as az takes it; the value is JSON or else a text.
Status set_member(json::Value& document, std::string_view assignment) {
  const auto sign = assignment.find('=');
  if (sign == assignment.npos || sign == 0) {
    return fail(Code::invalid_argument, "--set takes path=value, e.g. tags.site=north");
  }
  json::Value* at = &document;
  for (std::string_view path = assignment.substr(0, sign); !path.empty();) {
    const auto dot = path.find('.');
    if (!at->is_object()) *at = json::Object{};
    at = &at->get_object()[path.substr(0, dot)];
    path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  }
  const std::string_view text = assignment.substr(sign + 1);
  auto value = json::parse(text);
  *at = value ? *std::move(value) : json::Value(text);
  return {};
}

Result<Output> update(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--name", session.profile().dps);
  if (!name) return fail(std::move(name.error()));
  const std::string path = session.resource_path(args, kType, *name);
  auto dps = session.send_json({.path = path});
  if (!dps) return fail(std::move(dps.error()));
  const std::string etag = json::get_string_or(*dps, "etag", "");
  if (const auto policy = args.find("--allocation-policy")) {
    (void)set_member(*dps, "properties.allocationPolicy=" + *policy);
  }
  for (const std::string& assignment : args.all("--set")) {
    if (auto set = set_member(*dps, assignment); !set) return fail(std::move(set.error()));
  }
  auto written =
      session.send_json({.method = "PUT", .path = path, .body = *std::move(dps), .if_match = etag});
  if (!written) return fail(std::move(written.error()));
  return Output(*std::move(written));
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

Status lay_link_options(json::Value& link, const Arguments& args) {
  json::Object& members = link.get_object();
  if (const auto applied = args.find("--apply-allocation-policy")) {
    if (!equal_ignoring_case(*applied, "true") && !equal_ignoring_case(*applied, "false")) {
      return fail(Code::invalid_argument, "--apply-allocation-policy is true or false");
    }
    members["applyAllocationPolicy"] = equal_ignoring_case(*applied, "true");
  }
  if (const auto weight = args.find("--allocation-weight")) {
    auto number = json::parse(*weight);
    if (!number || !json::to_int64(*number)) {
      return fail(Code::invalid_argument, "--allocation-weight takes a number from 0 to 1000");
    }
    members["allocationWeight"] = *std::move(number);
  }
  return {};
}

// One of the list. Errors: not_found.
Result<json::Array::iterator> find_link(json::Array& hubs, const Arguments& args) {
  const std::string wanted = args.get("--linked-hub");
  const auto at = std::find_if(hubs.begin(), hubs.end(), [&](const auto& hub) {
    const std::string name = json::get_string_or(hub, "name", "");
    // The name of the hub is enough, as az has it.
    return equal_ignoring_case(name, wanted) ||
           equal_ignoring_case(name.substr(0, name.find('.')), wanted);
  });
  if (at == hubs.end()) {
    return fail(
        Code::not_found,
        fmt::format("the DPS has no linked hub {}; `doppel iot dps linked-hub list` shows them",
                    wanted));
  }
  return at;
}

Result<Output> link(Session& session, const Arguments& args) {
  auto connection = connection_string_of(session, args);
  if (!connection) return fail(std::move(connection.error()));
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  json::Value made = json::Object{{"connectionString", *connection},
                                  {"location", args.get_or("--location", "eastus")}};
  if (auto laid = lay_link_options(made, args); !laid) return fail(std::move(laid.error()));
  linked_hubs(*dps).push_back(std::move(made));
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
Result<Output> link_show(Session& session, const Arguments& args) {
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  auto at = find_link(linked_hubs(*dps), args);
  if (!at) return fail(std::move(at.error()));
  return Output(**at);
}
Result<Output> link_update(Session& session, const Arguments& args) {
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  auto at = find_link(linked_hubs(*dps), args);
  if (!at) return fail(std::move(at.error()));
  if (auto laid = lay_link_options(**at, args); !laid) return fail(std::move(laid.error()));
  auto written = session.send_json({.method = "PUT", .path = path, .body = std::move(*dps)});
  if (!written) return fail(std::move(written.error()));
  auto now = find_link(linked_hubs(*written), args);
  if (!now) return fail(std::move(now.error()));
  return Output(**now);
}
Result<Output> unlink(Session& session, const Arguments& args) {
  std::string path;
  auto dps = read_dps(session, args, path);
  if (!dps) return fail(std::move(dps.error()));
  auto& hubs = linked_hubs(*dps);
  auto at = find_link(hubs, args);
  if (!at) return fail(std::move(at.error()));
  hubs.erase(*at);
  auto written = session.send_json({.method = "PUT", .path = path, .body = std::move(*dps)});
  if (!written) return fail(std::move(written.error()));
  return Output{};
}

}  // namespace

std::vector<Command> dps_commands() {
  const Option location{.names = "--location,-l", .help = "Location (default: eastus)"};
  const std::vector<std::string> columns = {"name", "resourcegroup", "properties.idScope",
                                            "properties.serviceOperationsHostName"};
  const Option linked{
      .names = "--linked-hub", .help = "Name or host name of the hub", .is_required = true};
  const Option applied{.names = "--apply-allocation-policy",
                       .help = "Whether the allocation policies use it: true (default) or false"};
  const Option weight{.names = "--allocation-weight",
                      .help = "Its share in hashed allocation, 0 to 1000 (default: 1)"};
  const std::vector<std::string> links_shown = {"name", "location", "applyAllocationPolicy",
                                                "allocationWeight"};
  return {
      {"iot dps create",
       "Create a Device Provisioning Service",
       {kName, kGroupOption, location},
       create,
       columns},
      {"iot dps show", "Show a Device Provisioning Service", {kName, kGroupOption}, show, columns},
      {"iot dps update",
       "Change a Device Provisioning Service",
       {kName,
        kGroupOption,
        {.names = "--allocation-policy", .help = "Hashed, GeoLatency or Static"},
        {.names = "--set",
         .help = "path=value, e.g. tags.site=north; may be repeated",
         .kind = Option::Kind::values}},
       update,
       columns},
      {"iot dps delete",
       "Delete a Device Provisioning Service with its enrollments and registrations",
       {kName, kGroupOption},
       remove,
       {}},
      {"iot dps list", "List the Device Provisioning Services", {kGroupOption}, list, columns},
      {"iot dps linked-hub create",
       "Link an IoT hub",
       {kDpsOption,
        kGroupOption,
        {.names = "--hub-name", .help = "IoT hub of this server"},
        {.names = "--connection-string", .help = "Service connection string of a hub"},
        location,
        applied,
        weight},
       link,
       links_shown},
      {"iot dps linked-hub show",
       "Show a linked hub",
       {kDpsOption, kGroupOption, linked},
       link_show,
       links_shown},
      {"iot dps linked-hub update",
       "Change how allocation uses a linked hub",
       {kDpsOption, kGroupOption, linked, applied, weight},
       link_update,
       links_shown},
      {"iot dps linked-hub list",
       "List the linked hubs",
       {kDpsOption, kGroupOption},
       links,
       links_shown},
      {"iot dps linked-hub delete", "Unlink a hub", {kDpsOption, kGroupOption, linked}, unlink, {}},
  };
}

}  // namespace doppel::cli
