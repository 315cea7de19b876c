#include "cli/programs.h"

#include <filesystem>
#include <iostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/device_facts.h"
#include "cli/event_facts.h"
#include "cli/profile.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kSampleModel = "dtmi:contosocom:DigitalTwins:Thermostat;2";

using Variables = std::vector<std::pair<std::string, std::string>>;

// A policy's connection string, as `az ... connection-string show` composes it.
Result<std::string> connection_string(Session& session, const std::string& path,
                                      std::string_view keys, std::string_view host_member,
                                      std::string_view policy) {
  auto resource = session.send_json({.path = path});
  if (!resource) return fail(std::move(resource.error()));
  auto key = session.send_json(
      {.method = "POST", .path = fmt::format("{}/{}/{}/listkeys", path, keys, policy)});
  if (!key) return fail(std::move(key.error()));
  const auto* properties = json::find(*resource, "properties");
  const std::string host =
      properties != nullptr ? json::get_string_or(*properties, host_member, "") : "";
  // SDKs take a host name here, and the port from elsewhere.
  return fmt::format("HostName={};SharedAccessKeyName={};SharedAccessKey={}",
                     host.substr(0, host.find(':')), policy,
                     json::get_string_or(*key, "primaryKey", ""));
}

std::string port_map(const Profile& profile) {
  std::string map;
  if (profile.https_port != 443) map = fmt::format("443:{}", profile.https_port);
  if (profile.mqtt_port != 8883)
    map += fmt::format("{}8883:{}", map.empty() ? "" : ",", profile.mqtt_port);
  if (profile.amqp_port != 5671)
    map += fmt::format("{}5671:{}", map.empty() ? "" : ",", profile.amqp_port);
  return map;
}

void add_addresses(const Profile& profile, Variables& out) {
  const std::string base = profile.base_url();
  out.insert(out.end(), {{"CA_FILE", profile.ca_file},
                         {"DOPPEL_CA", profile.ca_file},
                         {"NODE_EXTRA_CA_CERTS", profile.ca_file},
                         {"DOPPEL_HTTPS_PORT", std::to_string(profile.https_port)},
                         {"DOPPEL_AUTHORITY", base},
                         {"DOPPEL_TENANT", profile.tenant},
                         {"DOPPEL_CLIENT_ID", profile.client_id},
                         {"DOPPEL_CLIENT_SECRET", profile.client_secret},
                         {"DOPPEL_ADT_URL", base},
                         {"DOPPEL_ARM_URL", base},
                         {"DOPPEL_SUBSCRIPTION", profile.subscription},
                         {"DOPPEL_LOCATION", "eastus"},
                         {"DPS_HOST", profile.host},
                         {"PROVISIONING_HOST", profile.host},
                         {"GROUP_ID", profile.enrollment_group},
                         {"MODEL_ID", std::string(kSampleModel)},
                         {"ADT_MODEL_ID", std::string(kSampleModel)}});
  if (const auto map = port_map(profile); !map.empty()) out.emplace_back("PORT_MAP", map);
}

Status add_secrets(Session& session, Variables& out) {
  const auto& profile = session.profile();
  const Arguments none;
  const std::string dps =
      session.resource_path(none, "Microsoft.Devices/provisioningServices", profile.dps);
  const std::string hub = session.resource_path(none, "Microsoft.Devices/IotHubs", profile.hub);
  auto facts = read_device_facts(session);
  if (!facts) return fail(std::move(facts.error()));
  auto dps_string = connection_string(session, dps, "keys", "serviceOperationsHostName",
                                      "provisioningserviceowner");
  if (!dps_string) return fail(std::move(dps_string.error()));
  auto hub_string = connection_string(session, hub, "IotHubKeys", "hostName", "iothubowner");
  if (!hub_string) return fail(std::move(hub_string.error()));
  out.insert(out.end(), {{"DPS_ID_SCOPE", facts->id_scope},
                         {"PROVISIONING_IDSCOPE", facts->id_scope},
                         {"DPS_CONNECTION_STRING", *dps_string},
                         {"HUB_CONNECTION_STRING", *hub_string},
                         {"GROUP_KEY", facts->group_key},
                         {"PROVISIONING_SYMMETRIC_KEY", facts->group_key}});
  return {};
}

// Nothing when the namespace is gone: that is no reason to keep the rest from whoever asks.
Status add_event_hubs(Session& session, Variables& out) {
  auto facts = read_event_facts(session);
  if (!facts && facts.error().code == Code::not_found) return {};
  if (!facts) return fail(std::move(facts.error()));
  out.insert(out.end(), {{"DOPPEL_EH_CONNECTION", facts->connection},
                         {"DOPPEL_EH_WS_CONNECTION", facts->ws_connection},
                         {"DOPPEL_EH_NAME", std::string(kAcceptanceEventHub)},
                         {"DOPPEL_EH_PARTITIONS", std::to_string(facts->partitions)}});
  if (!facts->emulator_connection.empty())
    out.emplace_back("DOPPEL_EH_EMULATOR_CONNECTION", facts->emulator_connection);
  return {};
}

int refuse(const Error& error) {
  std::cerr << "doppel: " << error.message << "\n";
  return 1;
}

}  // namespace

std::string shell_quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

int print_environment(const Arguments& args, const Connect& connect) {
  auto session = connect(args.get_or("--data-dir", default_data_dir()));
  if (!session) return refuse(session.error());
  if (auto ready = session->check_ready(); !ready) return refuse(ready.error());
  Variables variables;
  add_addresses(session->profile(), variables);
  if (auto added = add_secrets(*session, variables); !added) return refuse(added.error());
  if (auto added = add_event_hubs(*session, variables); !added) return refuse(added.error());
  for (const auto& [name, value] : variables)
    std::cout << "export " << name << "=" << shell_quote(value) << "\n";
  return 0;
}

int back_up(const Arguments& args, const Connect& connect) {
  auto session = connect(args.get_or("--data-dir", default_data_dir()));
  if (!session) return refuse(session.error());
  // The server writes it, so the path must not depend on where this command runs.
  const std::string directory =
      std::filesystem::absolute(args.get("--to")).lexically_normal().string();
  auto done = session->send_json(
      {.method = "POST", .path = "/admin/backup", .body = json::Object{{"directory", directory}}});
  if (!done) return refuse(done.error());
  std::cout << "Backed up to " << directory
            << ".\nThe master key is not in it: keep a copy of master.key (or of your --key-file) "
               "elsewhere.\n";
  return 0;
}

}  // namespace doppel::cli
