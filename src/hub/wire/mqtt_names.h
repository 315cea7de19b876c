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

// What a device publishes to.
struct PublishTopic {
  enum class Kind : std::uint8_t { telemetry, twin_get, twin_patch, method_result } kind;
  std::string_view bag;                          // telemetry: the property bag, still encoded
  std::string request_id;                        // twin requests: $rid
  std::optional<std::int64_t> reported_version;  // twin_patch: conditional on this $version
};
// Nothing: a device of this name may not publish there, and the connection is to be closed.
std::optional<PublishTopic> parse_publish_topic(std::string_view topic, const DeviceId& device,
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
