// Topics that carry a request or an answer to one: `$dps/registrations/...` (DPS) and
// `$iothub/...` (IoT Hub), each with a query behind the last level: "?$rid=7&$version=3".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/mqtt/property_bag.h"

namespace doppel::mqtt {

// Subscriptions that devices make.
inline constexpr std::string_view kDpsResponseFilter = "$dps/registrations/res/#";
inline constexpr std::string_view kTwinResponseFilter = "$iothub/twin/res/#";
inline constexpr std::string_view kTwinDesiredFilter = "$iothub/twin/PATCH/properties/desired/#";
inline constexpr std::string_view kMethodsFilter = "$iothub/methods/POST/#";

// A DPS request's id: real ones are UUIDs or counters.
inline constexpr std::size_t kDpsRidBytesMax = 256;

// $dps/registrations/PUT/iotdps-register/?$rid={rid}
struct DpsRegister {
  std::string rid;
};
// $dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={id}
struct DpsPoll {
  std::string rid;
  std::string operation_id;
};
// $iothub/twin/GET/?$rid={rid}
struct TwinGet {
  std::string rid;
};
// $iothub/twin/PATCH/properties/reported/?$rid={rid}[&$version={base version}]
struct TwinPatchReported {
  std::string rid;
  std::optional<std::int64_t> base_version;
};
// $iothub/methods/res/{status}/?$rid={rid}
struct MethodReply {
  std::int32_t status = 0;
  std::string rid;
};

using RequestTopic = std::variant<DpsRegister, DpsPoll, TwinGet, TwinPatchReported, MethodReply>;

// What a device publishes to such a topic. nullopt: none of them, or without `$rid`; the service
// closes the connection, there being no way to answer. `$rid` values of IoT Hub come back decoded,
// those of DPS as they stand; either way the answer's topic repeats what the SDKs wrote.
std::optional<RequestTopic> parse_request_topic(std::string_view topic);

// What the services publish. `$rid` is always first behind '?' (the C SDK compares "?$rid="), each
// part has a '=' and no key repeats (Python's parser throws otherwise).
// For DPS nothing else may hold a '$': Python and .NET take the topic apart by that.
// `retry_after_s` 0: it is not said.
std::string dps_response_topic(int status, std::string_view rid, int retry_after_s = 0);
std::string twin_response_topic(int status, std::string_view rid,
                                std::optional<std::int64_t> version = std::nullopt);
std::string twin_desired_topic(std::int64_t version);
// The name goes raw but for '%', '#' and '+': Node does not decode it, Python does. Empty when the
// name cannot stand in one topic level ('/', control characters).
std::string method_request_topic(std::string_view name, std::string_view rid);

}  // namespace doppel::mqtt
