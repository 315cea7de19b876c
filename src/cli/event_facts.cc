#include "cli/event_facts.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/eventhubs.h"

namespace doppel::cli {

std::string with_endpoint_port(std::string_view connection, std::uint16_t port) {
  constexpr std::string_view kScheme = "sb://";
  const auto scheme = connection.find(kScheme);
  if (scheme == connection.npos) return std::string(connection);
  const auto host_at = scheme + kScheme.size();
  const auto end = std::min(connection.find('/', host_at), connection.size());
  std::string_view host = connection.substr(host_at, end - host_at);
  // An IPv6 address has colons inside its brackets.
  const auto colon = host.rfind(':');
  const auto bracket = host.rfind(']');
  if (colon != host.npos && (bracket == host.npos || colon > bracket)) host = host.substr(0, colon);
  return fmt::format("{}{}:{}{}", connection.substr(0, host_at), host, port,
                     connection.substr(end));
}

Result<EventFacts> read_event_facts(Session& session) {
  const auto& profile = session.profile();
  auto space = event_space_path(session, Arguments{}, "--namespace-name");
  if (!space) return fail(std::move(space.error()));
  auto keys = session.send_json(
      {.method = "POST",
       .path = *space + "/authorizationRules/RootManageSharedAccessKey/listKeys"});
  if (!keys) return fail(std::move(keys.error()));
  EventFacts facts;
  facts.connection = json::get_string_or(*keys, "primaryConnectionString", "");
  facts.ws_connection = with_endpoint_port(facts.connection, profile.https_port);
  if (profile.emulator_port != 0) {
    // The official emulator's form, with the semicolon at the end.
    facts.emulator_connection = fmt::format(
        "Endpoint=sb://localhost:{};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey={};UseDevelopmentEmulator=true;",
        profile.emulator_port, json::get_string_or(*keys, "primaryKey", ""));
  }
  auto hub =
      session.send_json({.path = fmt::format("{}/eventhubs/{}", *space, kAcceptanceEventHub)});
  if (!hub && hub.error().code != Code::not_found) return fail(std::move(hub.error()));
  if (hub) {
    const auto* properties = json::find(*hub, "properties");
    const auto* count = properties == nullptr ? nullptr : json::find(*properties, "partitionCount");
    if (count != nullptr) facts.partitions = json::to_int64(*count).value_or(facts.partitions);
  }
  return facts;
}

}  // namespace doppel::cli
