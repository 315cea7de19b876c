#include "resources/wire/routes.h"

#include <memory>

#include "resources/wire/arm.h"

namespace doppel::resources {

void register_routes(http::Router& router, Resources& resources, WireHooks hooks) {
  const auto arm = std::make_shared<wire::Arm>(resources, std::move(hooks));
  const auto handle = [arm](http::Request request) { return arm->handle(std::move(request)); };
  for (const auto* method : {"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"}) {
    router.add(method, "/subscriptions", handle);
    router.add(method, "/subscriptions/{rest...}", handle);
  }
  router.add("GET", "/tenants", handle);
  wire::register_identity_routes(router, resources);
}

}  // namespace doppel::resources
