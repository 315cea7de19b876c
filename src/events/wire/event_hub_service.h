// Event Hubs on AMQP: the links to event hubs (docs/wire/event-hubs.md). The composition finds it
// by the address of a link; `$management` has a node of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "events/wire/hub_link.h"
#include "events/wire/link_address.h"
#include "events/wire/management.h"
#include "protocol/amqp/service.h"

namespace doppel::events {

class EventHubService final : public amqp::Service {
 public:
  explicit EventHubService(EventHubContext& context) : context_(context), management_(context) {}

  void on_attach(std::shared_ptr<amqp::Link> link) override;

 private:
  void redirect(amqp::Link& link);
  void attach_sender(std::shared_ptr<amqp::Link> link, const LinkAddress& address);
  void attach_receiver(std::shared_ptr<amqp::Link> link, const LinkAddress& address);

  EventHubContext& context_;
  Management management_;
};

}  // namespace doppel::events
