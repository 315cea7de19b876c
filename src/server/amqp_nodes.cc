#include "server/amqp_nodes.h"

#include <utility>

#include "protocol/amqp/address.h"
#include "provisioning/wire/amqp_messages.h"
#include "server/amqp_party.h"

namespace doppel::server {

void AmqpNodes::authenticate(std::shared_ptr<amqp::Connection> connection,
                             amqp::PlainCredentials credentials,
                             std::move_only_function<void(bool)> answer) {
  switch (party_of_user(credentials.user)) {
    case AmqpParty::dps_device: {
      const auto name = provisioning::parse_device_name(credentials.user);
      hooks_.provisioning->present(*connection, *name, std::move(credentials.password));
      return answer(true);
    }
    case AmqpParty::hub_device:
      return hooks_.iot_hubs->authenticate(std::move(connection), std::move(credentials),
                                           std::move(answer));
    case AmqpParty::hub_service:
    case AmqpParty::event_hubs:
    case AmqpParty::cbs:
      break;
  }
  auto claims = hooks_.verify_plain(credentials.user, credentials.password);
  for (auto& claim : claims) {
    if (!connection->claims().put(std::move(claim))) return answer(false);
  }
  answer(!claims.empty());
}

// Only DPS has one.
std::unique_ptr<amqp::SaslExchange> AmqpNodes::start_exchange(
    std::shared_ptr<amqp::Connection> connection, std::string_view mechanism, std::string_view) {
  return hooks_.provisioning->start_exchange(connection, mechanism);
}

void AmqpNodes::open(std::shared_ptr<amqp::Connection> connection,
                     std::move_only_function<void(std::optional<amqp::Condition>)> answer) {
  hooks_.provisioning->open(std::move(connection), std::move(answer));
}

amqp::Service* AmqpNodes::service_for(const amqp::LinkQuery& query) {
  switch (party_of_link(query.address)) {
    case AmqpParty::cbs:
      return &cbs_;
    case AmqpParty::dps_device:
      return hooks_.provisioning;
    case AmqpParty::hub_device:
    case AmqpParty::hub_service:
      return hooks_.iot_hubs;
    case AmqpParty::event_hubs:
      return hooks_.event_hubs;
  }
  return nullptr;
}

void AmqpNodes::verify(std::shared_ptr<amqp::Connection> connection, amqp::TokenRequest request,
                       Answer answer) {
  switch (party_of_audience(amqp::resource_of(request.audience))) {
    case AmqpParty::hub_device:
      return hooks_.iot_hubs->verify_token(std::move(connection), std::move(request),
                                           std::move(answer));
    case AmqpParty::hub_service:
      // One token may be both: a policy's for its hub, in whose name .NET sends for many devices,
      // and its back ends listen.
      if (auto claim = hooks_.iot_hubs->claim_for_all_devices(request)) {
        auto service = hooks_.verify_token(request.audience, request.token);
        if (!service) return answer(*std::move(claim));
        connection->claims().put(*std::move(claim));
        return answer(std::move(service));
      }
      break;
    case AmqpParty::event_hubs:
    case AmqpParty::dps_device:
    case AmqpParty::cbs:
      break;
  }
  answer(hooks_.verify_token(request.audience, request.token));
}

}  // namespace doppel::server
