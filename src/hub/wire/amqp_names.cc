#include "hub/wire/amqp_names.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"

namespace doppel::hub {
namespace {

// Takes the first segment off `path`.
std::string_view take_segment(std::string_view& path) {
  const auto slash = path.find('/');
  const auto segment = path.substr(0, slash);
  path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
  return segment;
}

std::optional<std::string> take_id(std::string_view& path, bool is_decoded) {
  const auto segment = take_segment(path);
  if (segment.empty()) return std::nullopt;
  if (is_decoded) return std::string(segment);
  auto id = percent_decode(segment);
  if (!id || id->empty()) return std::nullopt;
  return *std::move(id);
}

AmqpNode node_named(std::string_view rest) {
  constexpr std::pair<std::string_view, AmqpNode> kNodes[] = {
      {"", AmqpNode::identity},
      {"messages/events", AmqpNode::telemetry},
      {"messages/devicebound", AmqpNode::cloud_to_device},
      {"twin", AmqpNode::twin},
      {"methods/devicebound", AmqpNode::methods},
  };
  for (const auto& [name, node] : kNodes)
    if (equal_ignoring_case(rest, name)) return node;
  return AmqpNode::unknown;
}

bool answers_to(const resources::Hub& hub, std::string_view name) {
  if (equal_ignoring_case(hub.name.view(), name)) return true;
  return std::ranges::any_of(hub.host_names, [&](std::string_view host) {
    return equal_ignoring_case(host, name) ||
           equal_ignoring_case(host.substr(0, host.find('.')), name);
  });
}

}  // namespace

std::optional<AmqpUserName> parse_amqp_user(std::string_view user) {
  constexpr std::string_view kMark = "@sas.";
  const auto at = user.rfind(kMark);
  if (at == user.npos || at == 0 || at + kMark.size() == user.size()) return std::nullopt;
  const auto identity = user.substr(0, at);
  const auto slash = identity.find('/');
  AmqpUserName name;
  name.device = DeviceId(identity.substr(0, slash));
  if (slash != identity.npos) name.module = ModuleId(identity.substr(slash + 1));
  name.hub = user.substr(at + kMark.size());
  if (name.device.empty() || (slash != identity.npos && name.module.empty())) return std::nullopt;
  return name;
}

std::vector<HubName> hubs_of_user(const resources::Catalog& catalog, std::string_view name) {
  std::vector<HubName> found;
  for (const auto& hub : catalog.hubs)
    if (answers_to(hub, name)) found.push_back(hub.name);
  return found;
}

std::optional<AmqpDeviceAddress> parse_device_address(std::string_view node, bool is_decoded) {
  if (!equal_ignoring_case(take_segment(node), "devices")) return std::nullopt;
  AmqpDeviceAddress address;
  auto device = take_id(node, is_decoded);
  if (!device) return std::nullopt;
  address.device = DeviceId(*std::move(device));
  constexpr std::string_view kModules = "modules/";
  if (starts_with_ignoring_case(node, kModules)) {
    node.remove_prefix(kModules.size());
    auto module = take_id(node, is_decoded);
    if (!module) return std::nullopt;
    address.module = ModuleId(*std::move(module));
  }
  address.node = node_named(node);
  return address;
}

std::string identity_path(const DeviceId& device, const ModuleId& module) {
  std::string path = "devices/" + device.str();
  if (!module.empty()) path.append("/modules/").append(module.view());
  return path;
}

}  // namespace doppel::hub
