#include <errors/twins.h>

#include "base/log.h"
#include "twins/wire/http_twins.h"

namespace doppel::twins::wire {
namespace {

// Null when no instance answers to the request's host.
const resources::TwinsInstance* find_instance(const resources::Catalog& catalog,
                                              std::string_view host) {
  if (const auto* instance = catalog.find_twins_by_host(host)) return instance;
  return catalog.twins.size() == 1 ? &catalog.twins.front() : nullptr;
}

Result<TwinsInstanceName> admit(const resources::Resources& resources, const http::Request& request,
                                Need need) {
  const auto principal = resources.authenticate_bearer(request.headers.get_or("Authorization", ""),
                                                       resources::Audience::digital_twins);
  if (!principal) {
    log::info("twins.refused",
              {{"tracking_id", request.tracking_id}, {"reason", principal.error().message}});
    return fail(errors::twins::kUnauthorized);
  }
  const auto catalog = resources.catalog();
  const auto* instance = find_instance(*catalog, request.host());
  if (instance == nullptr) return fail(errors::twins::kSubDomainNotFound);
  const bool may = need == Need::write ? principal->may_write_twins(instance->id)
                                       : principal->may_read_twins(instance->id);
  if (!may) {
    log::info("twins.refused", {{"tracking_id", request.tracking_id},
                                {"client", principal->client_id},
                                {"instance", instance->name.view()},
                                {"reason", "the role is missing"}});
    return fail(errors::twins::kForbidden,
                need == Need::write
                    ? "The caller needs the role Azure Digital Twins Data Owner on the instance."
                    : "The caller needs the role Azure Digital Twins Data Reader or Data Owner on "
                      "the instance.");
  }
  return instance->name;
}

}  // namespace

Admission admission_by(const resources::Resources& resources) {
  return [&resources](const http::Request& request, Need need) {
    return admit(resources, request, need);
  };
}

void register_routes(http::Router& router, TwinService& service,
                     const resources::Resources& resources) {
  register_routes(router, service, admission_by(resources));
}

}  // namespace doppel::twins::wire
