#include "errors/dps.h"
#include "provisioning/api.h"

namespace doppel::provisioning {
namespace {

// Keeps the whole catalog alive for as long as the instance is used.
Instance hold(const std::shared_ptr<const resources::Catalog>& catalog,
              const resources::Dps* instance) {
  return instance != nullptr ? Instance(catalog, instance) : nullptr;
}

}  // namespace

Provisioning::Provisioning(Deps deps)
    : deps_(std::move(deps)),
      codec_(deps_.box, deps_.random),
      registrar_(Registrar::Deps{.store = deps_.store,
                                 .clock = deps_.clock,
                                 .random = deps_.random,
                                 .codec = codec_,
                                 .catalog = deps_.catalog,
                                 .hubs = deps_.hubs,
                                 .functions = deps_.functions,
                                 .webhooks = deps_.webhooks,
                                 .ensure_issuer = deps_.ensure_issuer}),
      enrollments_(Enrollments::Deps{
          .store = deps_.store, .clock = deps_.clock, .random = deps_.random, .codec = codec_}) {}

Instance Provisioning::find_by_scope(std::string_view id_scope) const {
  const auto catalog = deps_.catalog();
  return hold(catalog, catalog->find_dps_by_scope(id_scope));
}

Instance Provisioning::find_by_name(std::string_view name) const {
  const auto catalog = deps_.catalog();
  return hold(catalog, catalog->find_dps(name));
}

Instance Provisioning::find_by_host(std::string_view host) const {
  const auto catalog = deps_.catalog();
  return hold(catalog, catalog->find_dps_by_host(host));
}

Task<Status> Provisioning::ensure_enrollment_group(std::string instance, std::string group,
                                                   json::Object body) {
  const Instance found = find_by_name(instance);
  if (!found) co_return fail(Code::not_found, "there is no provisioning service " + instance);
  auto made =
      co_await enrollments_.put(found, EnrollmentKind::group, group, json::Value(std::move(body)),
                                {}, Enrollments::Mode::create);
  if (!made && made.error().code != Code::already_exists) co_return fail(std::move(made.error()));
  co_return Status();
}

Task<Status> Provisioning::purge(resources::DeletedResource gone) {
  if (gone.kind != resources::Kind::dps) co_return Status();
  co_return co_await enrollments_.purge(std::move(gone.name));
}

Task<void> Provisioning::stop() { return registrar_.stop(); }

}  // namespace doppel::provisioning
