#include "hub/wire/mqtt_names.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::hub {
namespace {

// key=value pairs of a query string, decoded. A pair that does not decode is left out: only known
// keys matter.
std::optional<std::string> query_value(std::string_view query, std::string_view wanted) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos) {
      const auto key = percent_decode(pair.substr(0, equals));
      if (key && equal_ignoring_case(*key, wanted)) return percent_decode(pair.substr(equals + 1));
    }
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return std::nullopt;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string own_topic(const DeviceId& device, const ModuleId& module) {
  return module.empty() ? fmt::format("devices/{}/", device.view())
                        : fmt::format("devices/{}/modules/{}/", device.view(), module.view());
}

}  // namespace

std::optional<MqttUserName> parse_user_name(std::string_view user_name) {
  const auto host_end = user_name.find('/');
  if (host_end == 0 || host_end == std::string_view::npos) return std::nullopt;
  MqttUserName out{.host = std::string(user_name.substr(0, host_end)),
                   .device = {},
                   .module = {},
                   .model_id = {}};
  std::string_view rest = user_name.substr(host_end + 1);
  // The query begins at "?", or is the last segment when it holds "api-version=" (older clients).
  const auto mark = rest.find('?');
  std::string_view query;
  if (mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  } else if (const auto last = rest.rfind('/');
             last != std::string_view::npos &&
             starts_with_ignoring_case(rest.substr(last + 1), "api-version=")) {
    query = rest.substr(last + 1);
    rest = rest.substr(0, last);
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const auto slash = rest.find('/');
  const auto device = percent_decode(rest.substr(0, slash));
  if (!device || device->empty()) return std::nullopt;
  out.device = DeviceId(*device);
  if (slash != std::string_view::npos) {
    const auto module = percent_decode(rest.substr(slash + 1));
    if (!module || module->empty() || module->find('/') != std::string::npos) return std::nullopt;
    out.module = ModuleId(*module);
  }
  out.model_id = query_value(query, "model-id")
                     .value_or(query_value(query, "digital-twin-model-id").value_or(""));
  return out;
}

std::optional<std::string_view> parse_telemetry_topic(std::string_view topic,
                                                      const DeviceId& device,
                                                      const ModuleId& module) {
  if (!take_prefix(topic, own_topic(device, module)) || !take_prefix(topic, "messages/events"))
    return std::nullopt;
  // Four shapes: nothing, "/", "/bag", "/bag/", and a '?' before the bag.
  if (!topic.empty() && !take_prefix(topic, "/")) return std::nullopt;
  take_prefix(topic, "?");
  if (topic.ends_with('/')) topic.remove_suffix(1);
  if (topic.find('/') != std::string_view::npos) return std::nullopt;
  return topic;
}

Subscription parse_filter(std::string_view filter, const DeviceId& device, const ModuleId& module) {
  if (filter == "$iothub/twin/res/#") return Subscription::twin_responses;
  if (filter == "$iothub/twin/PATCH/properties/desired/#") return Subscription::desired_properties;
  // Either all methods or one by name.
  if (take_prefix(filter, "$iothub/methods/POST/") && filter.ends_with('#'))
    return Subscription::methods;
  const std::string own = own_topic(device, module);
  if (!take_prefix(filter, own)) return Subscription::none;
  if (filter == "messages/devicebound/#" || filter == "messages/deviceBound/#")
    return Subscription::cloud_to_device;
  if (!module.empty() && (filter == "#" || filter == "inputs/#"))
    return Subscription::module_inputs;
  return Subscription::none;
}

}  // namespace doppel::hub
