// The names MQTT devices of an IoT hub use: user names and topics (iot-hub.md sections 1.2
// and 1.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace doppel::hub {

// "{host}/{device}/?api-version=...", "{host}/{device}/{module}/?...", and the older forms without
// '?' or without anything after the ID.
struct MqttUserName {
  std::string host;
  DeviceId device;
  ModuleId module;
  std::string model_id;  // a Plug and Play device announces it
};
// Nothing when it is no such name. A DPS user name ("{scope}/registrations/...") is not told apart
// here.
std::optional<MqttUserName> parse_user_name(std::string_view user_name);

// Whether `topic` is where this device publishes telemetry; then the property bag behind it, still
// encoded. Other topics of a device are requests (protocol/mqtt/request_topic.h).
std::optional<std::string_view> parse_telemetry_topic(std::string_view topic,
                                                      const DeviceId& device,
                                                      const ModuleId& module);

// What a device subscribes to; a value is also the bit of the subscription.
enum class Subscription : std::uint8_t {
  none = 0,
  cloud_to_device = 1,
  twin_responses = 2,
  desired_properties = 4,
  methods = 8,
  module_inputs = 16,
};
Subscription parse_filter(std::string_view filter, const DeviceId& device, const ModuleId& module);

}  // namespace doppel::hub
