// Whom a peer of the AMQP port means. One port and one host name serve DPS, IoT Hub and Event Hubs,
// so what tells them apart is what the peer says first (docs/wire/one-address.md): the user name of
// SASL PLAIN, the audience of a token put on $cbs, the address of a link.
#pragma once

#include <cstdint>
#include <string_view>

namespace doppel::server {

enum class AmqpParty : std::uint8_t {
  cbs,
  dps_device,
  hub_device,
  hub_service,
  event_hubs,
};

// | {scope}/registrations/{id} | dps_device  |
// | {policy}@sas.root.{hub}    | hub_service |
// | {device}@sas.{hub}         | hub_device  |
// | {device}/{module}@sas.{hub}| hub_device  |
// | else, the name of a rule   | event_hubs  |
AmqpParty party_of_user(std::string_view user);

// `resource` is amqp::resource_of() the audience: a host, and a path or none.
//
// | {host}/devices/{id}...     | hub_device  |
// | {host}, {host}/messages/.. | hub_service | also all devices of a hub, .NET's pools
// | else, {host}/{event hub}...| event_hubs  |
AmqpParty party_of_audience(std::string_view resource);

// `node` is amqp::node_of() the address.
//
// | $cbs                       | cbs         |
// | {scope}/registrations/{id} | dps_device  |
// | devices/...                | hub_device  |
// | messages/events...         | event_hubs  | redirects to the built-in endpoint
// | messages/...               | hub_service |
// | else, {event hub}...       | event_hubs  |
AmqpParty party_of_link(std::string_view node);

}  // namespace doppel::server
