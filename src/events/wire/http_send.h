// The HTTP send API of Event Hubs: POST /{hub}/messages, /{hub}/partitions/{n}/messages,
// /{hub}/publishers/{name}/messages (docs/wire/event-hubs.md).
#pragma once

#include "events/wire/access.h"
#include "events/wire/hub_link.h"
#include "protocol/http/router.h"

namespace doppel::events {

// `context` and `bearer` outlive the router. Call at start.
void register_send_routes(http::Router& router, EventHubContext& context,
                          const BearerCheck& bearer);

}  // namespace doppel::events
