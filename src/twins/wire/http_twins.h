// The data plane of Azure Digital Twins over HTTP: /models and /digitaltwins (reference:
// docs/concepts/digital-twins.md).
#pragma once

#include <cstdint>
#include <functional>

#include "base/ids.h"
#include "base/result.h"
#include "protocol/http/message.h"
#include "protocol/http/router.h"
#include "resources/api.h"
#include "twins/twin_service.h"

namespace doppel::twins::wire {

enum class Need : std::uint8_t { read, write };

// Who asks, and which instance is asked? Errors: unauthenticated, forbidden, not_found (no such
// instance).
using Admission = std::function<Result<TwinsInstanceName>(const http::Request&, Need)>;

// Bearer tokens and roles of `resources`; the instance by the Host header, or the only one there
// is.
Admission admission_by(const resources::Resources& resources);

// Adds the routes; `service` must outlive the router's last request.
void register_routes(http::Router& router, TwinService& service, Admission admit);
void register_routes(http::Router& router, TwinService& service,
                     const resources::Resources& resources);

// Whether a request to a path that IoT Hub has too is meant for Digital Twins: by its api-version,
// else by how it proves who it is.
bool is_twins_request(const http::Request& request);

}  // namespace doppel::twins::wire
