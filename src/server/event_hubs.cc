#include "server/event_hubs.h"

#include <utility>

#include "base/log.h"
#include "events/wire/http_send.h"

namespace doppel::server {

EventHubs::EventHubs(events::EventLog& log, resources::Resources& resources, const Clock& clock,
                     Random& random)
    : resources_(resources),
      bearer_([&resources](std::string_view header) {
        return resources.authenticate_bearer(header, resources::Audience::event_hubs);
      }),
      context_{.log = log,
               .catalog = [&resources] { return resources.catalog(); },
               .clock = clock,
               .random = random,
               .amqp_port = resources.defaults().amqp_port},
      service_(context_) {}

AmqpHooks EventHubs::amqp_hooks() {
  AmqpHooks hooks;
  hooks.verify_token = [this](std::string_view audience, std::string_view token) {
    auto claim =
        events::verify_token(*resources_.catalog(), bearer_, audience, token, context_.clock.now());
    if (!claim)
      log::info("amqp.token_refused", {{"audience", audience}, {"reason", claim.error().message}});
    return claim;
  };
  hooks.verify_plain = [this](std::string_view user, std::string_view password) {
    return events::verify_plain(*resources_.catalog(), user, password, context_.clock.now());
  };
  hooks.event_hubs = &service_;
  return hooks;
}

void EventHubs::register_routes(http::Router& router) {
  events::register_send_routes(router, context_, bearer_);
}

}  // namespace doppel::server
