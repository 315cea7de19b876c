// What a client of Event Hubs has to be told, asked from the management API.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/session.h"

namespace doppel::cli {

// The event hub of the acceptance scenarios; tests make it, the server's first start does not.
inline constexpr std::string_view kAcceptanceEventHub = "acceptance";
inline constexpr std::int64_t kAcceptancePartitions = 4;

struct EventFacts {
  std::string connection;                           // of the namespace, AMQP over TLS
  std::string ws_connection;                        // AMQP over WebSocket, on the HTTPS port
  std::string emulator_connection;                  // plain AMQP; empty when it is not switched on
  std::int64_t partitions = kAcceptancePartitions;  // of the acceptance event hub, once it is there
};

// Errors: not_found when the profile's namespace, or its root rule, is gone.
Result<EventFacts> read_event_facts(Session& session);

// A connection string with another port in its Endpoint; host and the rest stay.
std::string with_endpoint_port(std::string_view connection, std::uint16_t port);

}  // namespace doppel::cli
