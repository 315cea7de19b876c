// The device's side of an IoT hub over HTTPS: single messages and batches (iot-hub.md section 3).
// Cloud-to-device messages are asked for here too; there are none to give yet.
#pragma once

#include "hub/hubs.h"
#include "protocol/http/router.h"

namespace doppel::hub {

// `hubs` outlives the router.
void register_device_routes(http::Router& router, HubService& hubs);

}  // namespace doppel::hub
