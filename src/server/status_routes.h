// What operators and clients ask the server itself: health, metrics, its CA, a backup.
#pragma once

#include <atomic>
#include <string>

#include "protocol/http/router.h"
#include "resources/api.h"
#include "store/store.h"

namespace doppel::server {

struct StatusParts {
  const std::atomic<bool>& is_ready;
  std::string ca_pem;  // empty: the operator brought certificates of their own
  store::Store& store;
  const resources::Resources& resources;
};

// GET /healthz, /readyz and /ca.pem are open; /metrics is for loopback or a bearer token; POST
// /admin/backup needs a token that may write.
void register_status_routes(http::Router& router, StatusParts parts);

}  // namespace doppel::server
