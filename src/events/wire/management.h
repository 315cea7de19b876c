// The `$management` node of Event Hubs: what an event hub and its partitions are
// (docs/wire/event-hubs.md).
#pragma once

#include <expected>
#include <memory>

#include "events/wire/hub_link.h"
#include "protocol/amqp/request_node.h"

namespace doppel::events {

class Management final : public amqp::RequestNode {
 public:
  explicit Management(EventHubContext& context) : context_(context) {}

  void on_request(const amqp::Request& request, Answer answer) override;

 private:
  amqp::Reply read(const amqp::Request& request);

  EventHubContext& context_;
};

// An event hub that a peer named, when it may know of it; else what it is told.
struct FoundHub {
  std::shared_ptr<const resources::Catalog> catalog;  // keeps `hub` alive
  HubView hub;
};
std::expected<FoundHub, amqp::Condition> find_granted(EventHubContext& context,
                                                      amqp::Connection& connection,
                                                      std::string_view event_hub,
                                                      std::string_view path, std::uint32_t rights);

}  // namespace doppel::events
