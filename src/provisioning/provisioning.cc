#include "errors/dps.h"
#include "provisioning/api.h"

namespace doppel::provisioning {
namespace {

// Keeps the whole catalog alive for as long as the instance is used.
Instance hold(const std::shared_ptr<const resources::Catalog>& catalog,
              const resources::Dps* instance) {
  return instance != nullptr ? Instance(catalog, instance) : nullptr;
}

// For who composes without them.
class NoRemoteHubs final : public RemoteTransport {
 public:
  Task<Result<RemoteReply>> send(RemoteRequest, RemoteTimeouts, std::stop_token) override {
    co_return fail(Code::unavailable, "this server calls no hubs elsewhere");
  }
};

RemoteTransport& transport_or_none(RemoteTransport* transport) {
  static NoRemoteHubs none;
  return transport != nullptr ? *transport : none;
}

}  // namespace

Provisioning::Provisioning(Deps deps)
    : deps_(std::move(deps)),
      codec_(deps_.box, deps_.random),
      throttle_(deps_.clock),
      remotes_(RemoteSaga::Deps{.store = deps_.store,
                                .clock = deps_.clock,
                                .random = deps_.random,
                                .box = deps_.box,
                                .catalog = deps_.catalog,
                                .transport = transport_or_none(deps_.remote_hubs)}),
      latencies_(transport_or_none(deps_.remote_hubs), deps_.catalog),
      traces_(deps_.clock),
      guess_guard_(deps_.clock, deps_.guess_limits),
      registrar_(Registrar::Deps{
          .store = deps_.store,
          .clock = deps_.clock,
          .random = deps_.random,
          .codec = codec_,
          .catalog = deps_.catalog,
          .hubs = deps_.hubs,
          .functions = deps_.functions,
          .webhooks = deps_.webhooks,
          .ensure_issuer = deps_.ensure_issuer,
          .throttle = throttle_,
          .remotes = remotes_,
          .traces = traces_,
          .latency = [this](const resources::LinkedHub& hub) { return latencies_.of(hub); }}),
      approvals_(deps_.store, deps_.clock),
      enrollments_(Enrollments::Deps{
          .store = deps_.store, .clock = deps_.clock, .random = deps_.random, .codec = codec_}),
      operator_(Operator::Deps{.store = deps_.store,
                               .clock = deps_.clock,
                               .catalog = deps_.catalog,
                               .hubs = deps_.hubs,
                               .functions = deps_.functions,
                               .webhooks = deps_.webhooks,
                               .enrollments = enrollments_,
                               .remotes = remotes_}) {}

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
  traces_.forget(gone.name);
  co_return co_await enrollments_.purge(std::move(gone.name));
}

void Provisioning::start(Executor& home) {
  remotes_.start(home);
  latencies_.start(home);
}

Task<void> Provisioning::stop() {
  co_await latencies_.stop();
  co_await remotes_.stop();  // first: what is begun is recorded, and undone at the next start
  co_await registrar_.stop();
}

}  // namespace doppel::provisioning
