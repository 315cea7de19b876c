// doppel check: what does not fit together between the registry, the DPS records and the digital
// twins. Read-only, over the same APIs as everything else.
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

struct World {
  std::map<std::string, std::string>
      twin_of_device;  // device -> digital twin that its tags name (empty: none)
  std::set<std::string> digital_twins;
  std::map<std::string, std::string> device_of_registration;
};

Status read_devices(Session& session, const Arguments& args, World& world) {
  auto host = session.hub_host(args);
  if (!host) return fail(std::move(host.error()));
  auto twins = session.query_all({.path = "/devices/query",
                                  .api_version = kHubVersion,
                                  .host = *host,
                                  .body = json::Object{{"query", "SELECT * FROM devices"}}});
  if (!twins) return fail(std::move(twins.error()));
  for (const auto& twin : *twins) {
    const auto* tags = json::find(twin, "tags");
    world.twin_of_device[json::get_string_or(twin, "deviceId", "")] =
        tags != nullptr ? json::get_string_or(*tags, "dtId", "") : "";
  }
  return {};
}
Status read_digital_twins(Session& session, const Arguments& args, World& world) {
  auto host = session.twins_host(args);
  if (!host) return fail(std::move(host.error()));
  auto twins =
      session.list_all({.path = "/digitaltwins", .api_version = kTwinsVersion, .host = *host});
  if (!twins) return fail(std::move(twins.error()));
  for (const auto& twin : *twins)
    world.digital_twins.insert(json::get_string_or(twin, "$dtId", ""));
  return {};
}
// Of the hub that is looked at; an instance may have others, here and elsewhere.
Status read_registrations(Session& session, const Arguments& args, World& world) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  auto hub = session.hub_host(args);
  if (!hub) return fail(std::move(hub.error()));
  auto states = session.query_all(
      {.path = "/registrations/query", .api_version = kDpsVersion, .host = std::move(*host)});
  if (!states) return fail(std::move(states.error()));
  const std::string name = hub->substr(0, hub->find(':'));
  for (const auto& state : *states) {
    if (json::get_string_or(state, "status", "") != "assigned") continue;
    if (!equal_ignoring_case(json::get_string_or(state, "assignedHub", ""), name)) continue;
    world.device_of_registration[json::get_string_or(state, "registrationId", "")] =
        json::get_string_or(state, "deviceId", "");
  }
  return {};
}

json::Value finding(std::string_view kind, const std::string& id, std::string text) {
  return json::Object{{"finding", std::string(kind)}, {"id", id}, {"text", std::move(text)}};
}

Result<Output> check(Session& session, const Arguments& args) {
  World world;
  for (const auto& read : {read_devices, read_digital_twins, read_registrations})
    if (auto done = read(session, args, world); !done) return fail(std::move(done.error()));
  json::Array findings;
  std::set<std::string> owned;
  for (const auto& [device, twin] : world.twin_of_device) {
    owned.insert(twin.empty() ? device : twin);
    if (!twin.empty() && !world.digital_twins.contains(twin))
      findings.push_back(
          finding("device-without-digital-twin", device,
                  fmt::format("its tag dtId names {}, which is not in the twin graph", twin)));
  }
  for (const auto& twin : world.digital_twins)
    if (!owned.contains(twin))
      findings.push_back(
          finding("digital-twin-without-device", twin,
                  "no device of the hub belongs to it (fine for a twin that is no device)"));
  for (const auto& [registration, device] : world.device_of_registration)
    if (!world.twin_of_device.contains(device))
      findings.push_back(
          finding("registration-without-device", registration,
                  fmt::format("DPS assigned the device {}, which the hub does not have", device)));
  return Output(json::Value(json::Object{{"devices", world.twin_of_device.size()},
                                         {"digitalTwins", world.digital_twins.size()},
                                         {"registrations", world.device_of_registration.size()},
                                         {"findings", std::move(findings)}}));
}

}  // namespace

std::vector<Command> check_commands() {
  return {{"check",
           "Report orphans between hub, DPS and digital twins; changes nothing",
           {{.names = "--hub-name", .help = "IoT hub"},
            {.names = "--dps-name", .help = "DPS"},
            {.names = "--dt-name", .help = "Digital Twins instance"}},
           check,
           {"devices", "digitalTwins", "registrations"}}};
}

}  // namespace doppel::cli
