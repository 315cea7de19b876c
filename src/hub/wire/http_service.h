// The service side of the hub's REST API: the identity registry, device twins, queries, statistics
// (iot-hub.md section 5).
#pragma once

#include "hub/hubs.h"
#include "hub/wire/http_service_auth.h"
#include "protocol/http/router.h"

namespace doppel::hub {

// Adds the routes. `hubs` outlives the router. Call at start.
void register_service_routes(http::Router& router, HubService& hubs, BearerCheck bearer);

}  // namespace doppel::hub
