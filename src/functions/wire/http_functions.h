// HTTP of the function host: the functions themselves under /api, as any Azure Functions app
// answers them, and the operator's view of dead letters and consumers under /admin.
#pragma once

#include "functions/function_host.h"
#include "protocol/http/router.h"
#include "resources/api.h"

namespace doppel::functions {

// `host` and `resources` outlive the router.
void register_routes(http::Router& router, FunctionHost& host,
                     const resources::Resources& resources);

}  // namespace doppel::functions
