// What operators may ask beyond Azure's service API (docs/wire/extensions.md): the traces of
// registrations.
#pragma once

#include "protocol/http/router.h"
#include "provisioning/wire/service_door.h"

namespace doppel::provisioning {

// `provisioning` outlives the router. Called by register_service_routes.
void register_operator_routes(http::Router& router, Provisioning& provisioning, ServiceDoor door);

}  // namespace doppel::provisioning
