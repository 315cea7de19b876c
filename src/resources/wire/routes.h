// The management API (ARM) and the token endpoint over HTTP: paths, bodies and status codes as
// Azure's clients know them (reference: client-wire-notes-cloud.md sections 1 to 3).
#pragma once

#include <cstdint>
#include <functional>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "protocol/http/router.h"
#include "resources/api.h"

namespace doppel::resources {

// What other folders know and management shows.
struct WireHooks {
  struct HubStats {
    std::uint64_t total = 0;
    std::uint64_t enabled = 0;
    std::uint64_t disabled = 0;
  };
  std::function<Task<Result<HubStats>>(HubName)> hub_stats;  // without it IotHubStats answers 404
};

// Everything must outlive the router.
void register_routes(http::Router& router, Resources& resources, WireHooks hooks = {});

}  // namespace doppel::resources
