#include "server/amqp_party.h"

#include "base/encoding.h"
#include "protocol/amqp/cbs.h"
#include "provisioning/wire/amqp_messages.h"

namespace doppel::server {
namespace {

// Whether `path` is `folder` or lies below it.
bool is_within(std::string_view path, std::string_view folder) {
  return starts_with_ignoring_case(path, folder) &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

AmqpParty party_of_user(std::string_view user) {
  if (provisioning::parse_device_name(user)) return AmqpParty::dps_device;
  // The last one: an ID may have the sign too.
  const auto at = user.rfind("@sas.");
  if (at == user.npos || at == 0) return AmqpParty::event_hubs;
  return user.substr(at).starts_with("@sas.root.") ? AmqpParty::hub_service : AmqpParty::hub_device;
}

AmqpParty party_of_audience(std::string_view resource) {
  const auto slash = resource.find('/');
  if (slash == resource.npos) return AmqpParty::hub_service;
  const auto path = resource.substr(slash + 1);
  if (is_within(path, "devices")) return AmqpParty::hub_device;
  if (is_within(path, "messages")) return AmqpParty::hub_service;
  return AmqpParty::event_hubs;
}

AmqpParty party_of_link(std::string_view node) {
  if (node == amqp::kCbsNode) return AmqpParty::cbs;
  if (is_within(node, "devices")) return AmqpParty::hub_device;
  if (is_within(node, "messages/events")) return AmqpParty::event_hubs;
  if (is_within(node, "messages")) return AmqpParty::hub_service;
  if (provisioning::parse_device_name(node)) return AmqpParty::dps_device;
  return AmqpParty::event_hubs;
}

}  // namespace doppel::server
