// Who a device is: SAS tokens of its own keys or of a policy with DeviceConnect, certificates by
// thumbprint or by a CA of the hub. Refusals look alike on the wire; the message of the error tells
// the operator which it was.
#include <fmt/core.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "hub/hubs.h"
#include "hub/identity_record.h"
#include "hub/identity_rules.h"
#include "hub/keys.h"
#include "security/certificate_path.h"
#include "security/sas.h"

namespace doppel::hub {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(errors::hub::kIotHubUnauthorized, std::move(why));
}

// iot-hub.md section 9.5.
std::string auth_method(std::string_view scope, std::string_view type) {
  return fmt::format(
      R"({{"scope":"{}","type":"{}","issuer":"iothub","acceptingIpFilterRule":null}})", scope,
      type);
}

std::string_view own_scope(const Identity& identity) {
  return identity.module_id.empty() ? "device" : "module";
}

bool covers_identity(const security::SasResource& granted, const Identity& identity) {
  std::vector<std::string_view> path{"devices", identity.device_id.view()};
  if (!identity.module_id.empty()) {
    path.emplace_back("modules");
    path.push_back(identity.module_id.view());
  }
  return security::covers(granted, path);
}

// Some tokens are made to last for ever; a time so far away has no place in nanoseconds.
std::optional<TimePoint> end_of(const security::SasToken& token) {
  constexpr std::int64_t kLatestSeconds = 9'000'000'000;  // the year 2255
  if (token.expires_s > kLatestSeconds) return std::nullopt;
  return token.expires() + kTokenGrace;
}

bool answers_to(const resources::Hub& hub, std::string_view host) {
  for (const auto& name : hub.host_names)
    if (equal_ignoring_case(name, host)) return true;
  return false;
}

DeviceGrant by_certificate(const Identity& identity) {
  return {.identity = identity,
          .expires = std::nullopt,
          .auth_method = auth_method(own_scope(identity), "x509")};
}

Result<DeviceGrant> verify_thumbprint(const Identity& identity,
                                      const security::Certificate& certificate) {
  const auto& authentication = identity.authentication;
  const auto sha1 = certificate.sha1();
  const auto& sha256 = certificate.sha256();
  for (const auto* wanted :
       {&authentication.primary_thumbprint, &authentication.secondary_thumbprint}) {
    if (wanted->empty()) continue;
    if (equal_ignoring_case(*wanted, sha1) || equal_ignoring_case(*wanted, sha256))
      return by_certificate(identity);
  }
  return refuse(fmt::format(
      "Thumbprint does not match configuration: Thumbprint: SHA1Hash={}, SHA2Hash={}; "
      "Configuration: PrimaryThumbprint={}, SecondaryThumbprint={}",
      sha1, sha256, authentication.primary_thumbprint, authentication.secondary_thumbprint));
}

// The leaf's common name is the device (a module's "device/module"), and its path leads to a
// verified certificate of the hub (iot-hub.md section 4.2).
Result<DeviceGrant> verify_authority(const resources::Hub* hub, const Identity& identity,
                                     const security::PresentedChain& shown, TimePoint now) {
  std::string wanted = identity.device_id.str();
  if (!identity.module_id.empty()) wanted += "/" + identity.module_id.str();
  const auto name = shown.leaf.common_name();
  if (name != wanted) {
    return refuse(fmt::format("the certificate's common name is '{}', not '{}'",
                              name.value_or("(none)"), wanted));
  }
  std::vector<security::Certificate> anchors;
  if (hub != nullptr) {
    for (const auto& one : hub->certificates) {
      if (one.is_verified) anchors.push_back(one.certificate);
    }
  }
  if (anchors.empty()) return refuse("the hub has no verified certificate");
  auto path = security::verify_path(shown.leaf, shown.others, anchors, now);
  if (!path) return refuse(path.error().text);
  return by_certificate(identity);
}

Result<DeviceGrant> verify_certificates(const resources::Hub* hub, const Identity& identity,
                                        const security::PresentedChain& shown, TimePoint now) {
  switch (identity.authentication.type) {
    case AuthenticationType::self_signed:
      return verify_thumbprint(identity, shown.leaf);
    case AuthenticationType::certificate_authority:
      return verify_authority(hub, identity, shown, now);
    case AuthenticationType::sas:
    case AuthenticationType::none:
      break;
  }
  return refuse(fmt::format("a certificate was shown, but the identity has type '{}'",
                            to_string(identity.authentication.type)));
}

}  // namespace

Task<Result<std::shared_ptr<const Identity>>> HubService::find_cached(HubName hub, DeviceId device,
                                                                      ModuleId module) {
  const auto entity = entity_key(hub, device, module);
  if (auto known = cache_.find(entity)) co_return known;
  const auto snapshot = parts_.store.snapshot();
  const auto key = record_key(module.empty() ? kDeviceKind : kModuleKind, entity);
  auto record = co_await snapshot->get(key);
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return std::shared_ptr<const Identity>();
  auto identity = decode_identity(**record, key, std::move(device), std::move(module), parts_.box);
  if (!identity) co_return fail(std::move(identity.error()));
  auto shared = std::make_shared<const Identity>(std::move(*identity));
  cache_.remember(entity, shared, snapshot->version());
  co_return shared;
}

Task<Result<DeviceGrant>> HubService::authenticate(HubName hub, DeviceId device, ModuleId module,
                                                   DeviceProof proof) {
  auto identity = co_await find_cached(hub, device, module);
  if (!identity) co_return fail(std::move(identity.error()));
  if (!*identity) {
    co_return refuse(fmt::format("hub '{}' has no identity '{}{}{}'", hub.view(), device.view(),
                                 module.empty() ? "" : "/", module.view()));
  }
  auto grant = verify_proof(hub, **identity, proof);
  if (!grant) co_return fail(std::move(grant.error()));
  if ((*identity)->status == DeviceStatus::disabled)
    co_return refuse(
        fmt::format("the identity is disabled (reason: '{}')", (*identity)->status_reason));
  if (!module.empty()) {
    auto parent = co_await find_cached(hub, device, ModuleId());
    if (!parent) co_return fail(std::move(parent.error()));
    if (!*parent || (*parent)->status == DeviceStatus::disabled)
      co_return refuse("the module's device is disabled");
  }
  co_return std::move(*grant);
}

Result<DeviceGrant> HubService::verify_proof(const HubName& hub, const Identity& identity,
                                             const DeviceProof& proof) const {
  if (!proof.sas_token.empty()) return verify_token(hub, identity, proof.sas_token);
  if (proof.certificates) {
    const auto catalog = parts_.catalog();
    return verify_certificates(catalog->find_hub(hub.view()), identity, *proof.certificates,
                               parts_.clock.now());
  }
  return refuse("neither a token nor a certificate was shown");
}

Result<DeviceGrant> HubService::verify_token(const HubName& hub, const Identity& identity,
                                             const std::string& text) const {
  const auto token = security::parse_sas(text);
  if (!token) return refuse(token.error().message);
  const auto catalog = parts_.catalog();
  const auto* resource = catalog->find_hub(hub.view());
  if (resource == nullptr) return refuse(fmt::format("there is no hub '{}'", hub.view()));
  const auto granted = security::sas_resource(token->resource);
  if (!answers_to(*resource, granted.host))
    return refuse(fmt::format("the token is for host '{}', not for this hub", granted.host));
  if (!covers_identity(granted, identity))
    return refuse(fmt::format("the token's sr '{}' does not cover the identity", token->resource));

  const auto now = parts_.clock.now();
  const auto expires = end_of(*token);
  const auto* policy = token->key_name.empty() ? nullptr : resource->find_policy(token->key_name);
  if (policy != nullptr) {
    if (!policy->allows(resources::HubRight::device_connect))
      return refuse(fmt::format("policy '{}' has no DeviceConnect right", policy->name));
    auto signed_by = security::verify_sas(*token, policy->primary_key, policy->secondary_key,
                                          security::KeyForm::base64, now);
    if (!signed_by) return refuse(signed_by.error().message);
    return DeviceGrant{
        .identity = identity, .expires = expires, .auth_method = auth_method("hub", "sas")};
  }
  const auto& authentication = identity.authentication;
  if (authentication.type != AuthenticationType::sas)
    return refuse("a token was shown, but the identity is not authenticated by keys");
  auto signed_by =
      security::verify_sas(*token, authentication.primary_key, authentication.secondary_key,
                           security::KeyForm::base64, now);
  if (!signed_by) return refuse(signed_by.error().message);
  return DeviceGrant{.identity = identity,
                     .expires = expires,
                     .auth_method = auth_method(own_scope(identity), "sas")};
}

Task<Result<Connections::Ticket>> HubService::connect(HubName hub, DeviceGrant grant,
                                                      std::string model_id,
                                                      std::weak_ptr<DeviceConnection> connection,
                                                      Executor& home) {
  const auto& identity = grant.identity;
  const auto entity = entity_key(hub, identity.device_id, identity.module_id);
  const auto ticket = connections_.add(entity, identity.generation, std::move(connection), home);
  // Deleted or disabled between authenticate() and add()? From here on, on_commit finds the
  // connection.
  auto current = co_await find_cached(hub, identity.device_id, identity.module_id);
  bool still_there = current && *current && (*current)->generation == identity.generation &&
                     (*current)->status == DeviceStatus::enabled;
  if (still_there && !identity.module_id.empty()) {
    current = co_await find_cached(hub, identity.device_id, ModuleId());
    still_there = current && *current && (*current)->status == DeviceStatus::enabled;
  }
  if (!still_there) {
    connections_.remove(entity, ticket);
    if (!current) co_return fail(std::move(current.error()));
    co_return refuse("the identity was deleted or disabled while it connected");
  }
  auto set =
      co_await set_model_id(hub, identity.device_id, identity.module_id, std::move(model_id));
  if (!set) {
    connections_.remove(entity, ticket);
    co_return fail(std::move(set.error()));
  }
  co_return ticket;
}

void HubService::disconnect(const HubName& hub, const Identity& identity,
                            Connections::Ticket ticket) {
  connections_.remove(entity_key(hub, identity.device_id, identity.module_id), ticket);
}

}  // namespace doppel::hub
