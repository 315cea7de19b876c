// The names AMQP devices of an IoT hub use: SASL users, audiences of tokens and link addresses
// (iot-hub.md sections 2.1 and 2.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "resources/catalog.h"

namespace doppel::hub {

// "{device}@sas.{hub}", "{device}/{module}@sas.{hub}".
struct AmqpUserName {
  DeviceId device;
  ModuleId module;
  std::string hub;  // its name or one of its host names, or the first label of one (C)
};
std::optional<AmqpUserName> parse_amqp_user(std::string_view user);
// The hubs that may be meant.
std::vector<HubName> hubs_of_user(const resources::Catalog& catalog, std::string_view name);

// What is behind an identity's address.
enum class AmqpNode : std::uint8_t {
  telemetry,        // "messages/events"
  cloud_to_device,  // "messages/devicebound"
  twin,             // "twin"
  methods,          // "methods/devicebound"
  identity,         // nothing: the audience of a token
  unknown,
};

struct AmqpDeviceAddress {
  DeviceId device;
  ModuleId module;
  AmqpNode node = AmqpNode::unknown;
};
// "devices/{device}[/modules/{module}][/...]", as amqp::node_of gives it. The fixed words compare
// without case. IDs are percent-decoded, unless `is_decoded`.
std::optional<AmqpDeviceAddress> parse_device_address(std::string_view node,
                                                      bool is_decoded = false);

// "devices/{device}[/modules/{module}]", nothing encoded.
std::string identity_path(const DeviceId& device, const ModuleId& module);

}  // namespace doppel::hub
