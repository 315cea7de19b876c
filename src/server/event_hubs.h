// Event Hubs put together: its AMQP service, its HTTP send API, and what its keys and tokens prove.
#pragma once

#include "events/wire/access.h"
#include "events/wire/event_hub_service.h"
#include "events/wire/hub_link.h"
#include "protocol/http/router.h"
#include "resources/api.h"
#include "server/amqp_nodes.h"

namespace doppel::server {

// Outlives the connections and the router.
class EventHubs {
 public:
  EventHubs(events::EventLog& log, resources::Resources& resources, const Clock& clock,
            Random& random);

  // For the AMQP ports.
  AmqpHooks amqp_hooks();
  void register_routes(http::Router& router);

 private:
  resources::Resources& resources_;
  events::BearerCheck bearer_;
  events::EventHubContext context_;
  events::EventHubService service_;
};

}  // namespace doppel::server
