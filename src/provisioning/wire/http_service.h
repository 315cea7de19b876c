// The service API over HTTPS (dps.md section 6): enrollments, enrollment groups and registration
// records, for those who hold a shared access policy's right or a bearer token with a role.
#pragma once

#include <functional>
#include <string_view>

#include "protocol/http/router.h"
#include "provisioning/api.h"

namespace doppel::provisioning {

// `provisioning` and `resources` (for bearer tokens) outlive the router.
void register_service_routes(http::Router& router, Provisioning& provisioning,
                             resources::Resources& resources);

// Verifies an Authorization header that begins with "Bearer ".
using BearerCheck = std::function<Result<resources::Principal>(std::string_view header)>;
// The same for whoever verifies bearer tokens otherwise.
void register_service_routes(http::Router& router, Provisioning& provisioning, BearerCheck bearer);

}  // namespace doppel::provisioning
