#include "hub/wire/amqp_service.h"

#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "errors/hub.h"
#include "hub/keys.h"
#include "hub/wire/amqp_device.h"
#include "hub/wire/amqp_errors.h"
#include "protocol/amqp/address.h"
#include "protocol/amqp/errors.h"
#include "security/sas.h"

namespace doppel::hub {
namespace {

namespace condition = amqp::condition;

constexpr std::string_view kModelId = "com.microsoft:model-id";
constexpr std::string_view kAllDevices = "devices";

// A token that was good, kept because each link is judged with it anew.
struct DeviceClaim final : amqp::ClaimDetails {
  HubName hub;
  std::string token;
};

amqp::Claim make_claim(std::string_view host, std::string_view path, const HubName& hub,
                       std::string token, std::optional<TimePoint> expires) {
  auto details = std::make_shared<DeviceClaim>();
  details->hub = hub;
  details->token = std::move(token);
  amqp::Claim claim;
  claim.resource.append(to_lower(host)).append("/").append(path);
  claim.principal = path;
  claim.expires_at = expires.value_or(TimePoint::max());
  claim.details = std::move(details);
  return claim;
}

std::string_view host_of(std::string_view resource) {
  return resource.substr(0, resource.find('/'));
}
std::string_view path_of(std::string_view resource) {
  const auto slash = resource.find('/');
  return slash == resource.npos ? std::string_view{} : resource.substr(slash + 1);
}

// Device IDs compare with case.
bool is_within(std::string_view path, std::string_view scope) {
  return path.starts_with(scope) && (path.size() == scope.size() || path[scope.size()] == '/');
}

std::string model_id_of(const amqp::Attach& attach) {
  const auto* value = attach.properties ? attach.properties->find(kModelId) : nullptr;
  const auto* text = value == nullptr ? nullptr : value->text_if();
  return text == nullptr ? std::string() : *text;
}

std::vector<HubName> names_of(const std::vector<const resources::Hub*>& hubs) {
  std::vector<HubName> names;
  names.reserve(hubs.size());
  for (const auto* hub : hubs) names.push_back(hub->name);
  return names;
}

void log_refusal(std::string_view tracking_id, const amqp::PeerInfo& peer, const DeviceId& device,
                 const ModuleId& module, std::string_view reason) {
  static auto& refused = metrics::counter("doppel_hub_connects_refused_total",
                                          "Refused device connections", {{"protocol", "amqp"}});
  refused.add();
  log::warn("hub.connect_refused", {{"tracking_id", tracking_id},
                                    {"device_id", device.view()},
                                    {"module_id", module.view()},
                                    {"peer", peer.address},
                                    {"reason", reason}});
}

}  // namespace

// One link that asks to be attached.
struct AmqpService::Attaching {
  std::shared_ptr<amqp::Link> link;
  AmqpDeviceAddress address;
};

// What is kept of a connection, in its slot. Attaches are judged one after the other: a client's
// first two come together, and the device is connected by the first.
struct AmqpService::Peer {
  std::unordered_map<std::string, std::shared_ptr<AmqpDevice>> devices;  // by entity key
  std::deque<Attaching> attaching;  // bounded by the links a connection may have
};

std::shared_ptr<AmqpService::Peer> AmqpService::peer_of(amqp::Connection& connection) {
  auto& slot = connection.slot(this);
  if (slot == nullptr) slot = std::make_shared<Peer>();
  return std::static_pointer_cast<Peer>(slot);
}

Task<Result<AmqpService::Found>> AmqpService::prove_by_token(std::vector<HubName> hubs,
                                                             AmqpDeviceAddress address,
                                                             std::string token) {
  Error last{.code = Code::unauthenticated, .message = "no hub has this host name"};
  // Hubs may share a host name: the one that knows the device and its proof is meant.
  for (const auto& hub : hubs) {
    auto grant = co_await hubs_.authenticate(hub, address.device, address.module,
                                             DeviceProof{.sas_token = token});
    if (grant) co_return Found{.hub = hub, .grant = std::move(*grant)};
    last = std::move(grant.error());
  }
  co_return fail(std::move(last));
}

void AmqpService::authenticate(std::shared_ptr<amqp::Connection> connection,
                               amqp::PlainCredentials credentials,
                               std::move_only_function<void(bool)> answer) {
  auto name = parse_amqp_user(credentials.user);
  if (!name) return answer(false);
  AmqpDeviceAddress address{.device = name->device, .module = name->module};
  auto proving =
      prove_by_token(hubs_of_user(*hubs_.catalog(), name->hub), address, credentials.password);
  spawn(std::move(proving), [connection = std::move(connection), name = *std::move(name),
                             token = std::move(credentials.password),
                             answer = std::move(answer)](const Result<Found>& found) mutable {
    if (!found) {
      log_refusal(SystemRandom().uuid(), connection->peer(), name.device, name.module,
                  found.error().message);
      return answer(false);
    }
    answer(
        connection->claims().put(make_claim(name.hub, identity_path(name.device, name.module),
                                            found->hub, std::move(token), found->grant.expires)));
  });
}

void AmqpService::verify_token(std::shared_ptr<amqp::Connection> connection,
                               amqp::TokenRequest request, amqp::TokenAuthority::Answer answer) {
  const auto resource = amqp::resource_of(request.audience);
  auto address = parse_device_address(path_of(resource), true);
  if (!address) return answer(fail(Code::invalid_argument, "The audience names no device."));
  auto proving = prove_by_token(names_of(hubs_.catalog()->find_hubs_by_host(host_of(resource))),
                                *address, request.token);
  spawn(std::move(proving), [this, connection = std::move(connection),
                             address = *std::move(address), host = std::string(host_of(resource)),
                             token = std::move(request.token),
                             answer = std::move(answer)](const Result<Found>& found) mutable {
    if (!found) {
      log_refusal(SystemRandom().uuid(), connection->peer(), address.device, address.module,
                  found.error().message);
      const bool is_ours = found.error().code != Code::unauthenticated;
      return answer(fail(is_ours ? found.error().code : Code::unauthenticated,
                         std::string(is_ours ? errors::hub::kServiceUnavailable.text
                                             : errors::hub::kIotHubUnauthorized.text)));
    }
    const auto peer = peer_of(*connection);
    const auto device = peer->devices.find(entity_key(found->hub, address.device, address.module));
    if (device != peer->devices.end() && device->second->is_open())
      device->second->renew(found->grant);
    answer(make_claim(host, identity_path(address.device, address.module), found->hub,
                      std::move(token), found->grant.expires));
  });
}

std::optional<amqp::Claim> AmqpService::claim_for_all_devices(
    const amqp::TokenRequest& request) const {
  const auto resource = amqp::resource_of(request.audience);
  const auto token = security::parse_sas(request.token);
  if (!token || token->key_name.empty() || !path_of(resource).empty()) return std::nullopt;
  const auto granted = security::sas_resource(token->resource);
  if (!granted.segments.empty() || !equal_ignoring_case(granted.host, resource))
    return std::nullopt;
  const auto catalog = hubs_.catalog();
  for (const auto* hub : catalog->find_hubs_by_host(resource)) {
    const auto* policy = hub->find_policy(token->key_name);
    if (policy == nullptr || !policy->allows(resources::HubRight::device_connect)) continue;
    if (!security::verify_sas(*token, policy->primary_key, policy->secondary_key,
                              security::KeyForm::base64, hubs_.clock().now()))
      continue;
    return make_claim(resource, kAllDevices, hub->name, request.token,
                      token->expires() + kTokenGrace);
  }
  return std::nullopt;
}

void AmqpService::on_attach(std::shared_ptr<amqp::Link> link) {
  const auto refuse_as = [&](std::string_view name, std::string_view text) {
    link->refuse(amqp::make_condition(name, text));
  };
  if (starts_with_ignoring_case(link->address(), "messages"))
    return refuse_as(condition::kNotImplemented, "This node is not there yet.");
  auto address = parse_device_address(link->address());
  if (!address) return refuse_as(condition::kNotFound, "There is no such node.");
  switch (address->node) {
    case AmqpNode::telemetry:
      // Modules receive there too.
      if (!link->is_inbound() && address->module.empty())
        return refuse_as(condition::kNotAllowed, "Telemetry is sent, not received, here.");
      break;
    case AmqpNode::cloud_to_device:
      if (link->is_inbound())
        return refuse_as(condition::kNotAllowed, "Messages are received, not sent, here.");
      break;
    case AmqpNode::twin:
    case AmqpNode::methods:
      return refuse_as(condition::kNotImplemented,
                       "Twins and methods are not there over AMQP yet.");
    case AmqpNode::identity:
    case AmqpNode::unknown:
      return refuse_as(condition::kNotFound, "There is no such node.");
  }
  auto peer = peer_of(link->connection());
  peer->attaching.push_back({.link = std::move(link), .address = *std::move(address)});
  if (peer->attaching.size() == 1) admit_next(std::move(peer));
}

void AmqpService::admit_next(std::shared_ptr<Peer> peer) {
  auto admitting = admit(peer, peer->attaching.front());
  spawn(std::move(admitting), [this, peer = std::move(peer)]() mutable {
    peer->attaching.pop_front();
    if (!peer->attaching.empty()) admit_next(std::move(peer));
  });
}

// By what the peer put on $cbs or said in SASL; without either, by its certificate.
Task<Result<AmqpService::Found>> AmqpService::prove(std::shared_ptr<amqp::Connection> connection,
                                                    AmqpDeviceAddress address) {
  const auto path = identity_path(address.device, address.module);
  const auto now = hubs_.clock().now();
  std::vector<std::shared_ptr<const DeviceClaim>> good;
  bool has_claims = false;
  for (const auto& claim : connection->claims()) {
    auto details = std::dynamic_pointer_cast<const DeviceClaim>(claim.details);
    if (details == nullptr) continue;
    has_claims = true;
    if (claim.expires_at > now && is_within(path, path_of(claim.resource)))
      good.push_back(std::move(details));
  }
  Error last{.code = Code::unauthenticated,
             .message = has_claims ? "no token on this connection is for the device"
                                   : "neither a token nor a certificate was shown"};
  for (const auto& claim : good) {
    auto found = co_await prove_by_token({claim->hub}, address, claim->token);
    if (found) co_return found;
    last = std::move(found.error());
  }
  const auto& peer = connection->peer();
  const auto certificates = security::presented(peer.client_certificate, peer.client_chain);
  if (has_claims || certificates == nullptr) co_return fail(std::move(last));
  // There is no other word of the hub than the name that was dialled.
  const std::string host(connection->hostname().empty() ? std::string_view(peer.server_name)
                                                        : connection->hostname());
  const auto hubs = names_of(hubs_.catalog()->find_hubs_by_host(host));
  if (hubs.empty()) last.message = "no hub has this host name";
  for (const auto& hub : hubs) {
    auto grant = co_await hubs_.authenticate(hub, address.device, address.module,
                                             DeviceProof{.certificates = certificates});
    if (grant) co_return Found{.hub = hub, .grant = std::move(*grant)};
    last = std::move(grant.error());
  }
  co_return fail(std::move(last));
}

Task<void> AmqpService::admit(std::shared_ptr<Peer> peer, Attaching attaching) {
  auto& link = *attaching.link;
  const auto connection = link.connection().share();
  auto proven = co_await prove(connection, attaching.address);
  if (!proven) {
    refuse(link, attaching.address, proven.error());
    co_return;
  }
  auto& [hub, grant] = *proven;
  const auto key = entity_key(hub, attaching.address.device, attaching.address.module);
  const auto known = peer->devices.find(key);
  if (known != peer->devices.end() && known->second->is_open() &&
      known->second->identity().generation == grant.identity.generation) {
    known->second->attach(attaching.link);
    co_return;
  }
  if (peer->devices.size() >= kDevicesOfConnectionMax) {
    link.refuse(amqp::make_condition(condition::kResourceLimitExceeded,
                                     "The connection has as many devices as it may."));
    co_return;
  }
  const std::weak_ptr<Peer> weak_peer = peer;
  auto device = std::make_shared<AmqpDevice>(
      AmqpDevice::Parts{.hubs = hubs_,
                        .hub = hub,
                        .grant = grant,
                        .model_id = model_id_of(link.request()),
                        .connection = connection,
                        .is_alone =
                            [weak_peer] {
                              const auto alive = weak_peer.lock();
                              return alive != nullptr && alive->devices.size() <= 1;
                            },
                        .on_idle =
                            [weak_peer, key](const AmqpDevice* idle) {
                              const auto alive = weak_peer.lock();
                              if (alive == nullptr) return;
                              const auto at = alive->devices.find(key);
                              if (at != alive->devices.end() && at->second.get() == idle)
                                alive->devices.erase(at);
                            }});
  const std::weak_ptr<AmqpDevice> weak_device = device;
  // From here on, because the hub may end it while it is being connected.
  peer->devices[key] = device;
  auto ticket = co_await hubs_.connect(hub, grant, model_id_of(link.request()), weak_device,
                                       connection->executor());
  if (ticket && !device->is_open()) {
    hubs_.disconnect(hub, grant.identity, *ticket);
    ticket = fail(errors::hub::kIotHubUnauthorized, "the hub ended it while it connected");
  }
  if (!ticket) {
    if (const auto at = peer->devices.find(key); at != peer->devices.end() && at->second == device)
      peer->devices.erase(at);
    refuse(link, attaching.address, ticket.error());
    co_return;
  }
  device->begin(*ticket);
  device->attach(attaching.link);
}

void AmqpService::refuse(amqp::Link& link, const AmqpDeviceAddress& address,
                         const Error& error) const {
  const auto tracking_id = SystemRandom().uuid();
  log_refusal(tracking_id, link.connection().peer(), address.device, address.module, error.message);
  link.refuse(amqp_condition(error, tracking_id));
}

}  // namespace doppel::hub
