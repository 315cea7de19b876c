// The device API over HTTPS (dps.md section 1.3):
//   PUT  /{idScope}/registrations/{id}/register
//   GET  /{idScope}/registrations/{id}/operations/{operationId}
//   POST /{idScope}/registrations/{id}
#pragma once

#include "protocol/http/router.h"
#include "provisioning/wire/device_api.h"

namespace doppel::provisioning {

// `provisioning` outlives the router.
void register_device_routes(http::Router& router, Provisioning& provisioning);

}  // namespace doppel::provisioning
