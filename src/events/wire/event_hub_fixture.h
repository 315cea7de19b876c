// For tests: the Event Hubs service on a memory store, with a client engine joined to it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "events/wire/access.h"
#include "events/wire/event_hub_service.h"
#include "events/wire/event_message.h"
#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"
#include "store/memory/memory_store.h"

namespace doppel::events {

// An event as a consumer got it.
struct ReceivedEvent {
  amqp::Map annotations;
  amqp::Map delivery_annotations;
  amqp::Map properties;  // application properties
  amqp::MessageProperties system;
  std::string body;  // of data sections
  std::string bare;  // all that the sender made, as bytes

  std::int64_t sequence() const {
    return *annotations.find(kSequenceNumber)->get_if<std::int64_t>();
  }
};

inline ReceivedEvent read_event(std::string_view payload) {
  const auto message = amqp::split_message(payload);
  EXPECT_TRUE(message.has_value());
  ReceivedEvent event;
  event.annotations = *amqp::decode_map(message->message_annotations);
  event.delivery_annotations = *amqp::decode_map(message->delivery_annotations);
  event.properties = *amqp::decode_map(message->application_properties);
  event.system = *amqp::decode_properties(*message);
  std::string room;
  event.body = amqp::joined_data(*message, room);
  event.bare = message->bare;
  return event;
}

inline std::string data_message(std::string_view body, std::string_view key = {}) {
  std::string out;
  if (!key.empty()) {
    amqp::MapSectionWriter map(out, amqp::SectionCode::message_annotations);
    map.symbol_key(kPartitionKey);
    amqp::append_string(out, key);
    map.finish();
  }
  amqp::append_data_section(out, body);
  return out;
}

inline std::string batch_message(const std::vector<std::string>& messages,
                                 std::string_view key = {}) {
  std::string out;
  if (!key.empty()) {
    amqp::MapSectionWriter map(out, amqp::SectionCode::message_annotations);
    map.symbol_key(kPartitionKey);
    amqp::append_string(out, key);
    map.finish();
  }
  for (const auto& message : messages) amqp::append_data_section(out, message);
  return out;
}

inline amqp::LinkOptions receiver_at(std::string address, std::string_view selector = {},
                                     std::optional<std::int64_t> level = {},
                                     std::uint32_t credit = 100) {
  auto options = amqp::testing::receiver_from(std::move(address), credit);
  if (!selector.empty()) {
    amqp::Map filter;
    filter.add_symbol("apache.org:selector-filter:string",
                      amqp::Described{.descriptor = amqp::Value(std::uint64_t{0x0000468C00000004}),
                                      .value = amqp::Value(selector)});
    options.source->filter = std::move(filter);
  }
  if (level) options.properties.add_symbol("com.microsoft:epoch", *level);
  return options;
}

class EventHubFixture : public ::testing::Test {
 protected:
  static constexpr std::string_view kKey = "ZG9wcGVs";

  EventHubFixture() {
    auto made = std::make_shared<resources::Catalog>();
    resources::EventHub hub;
    hub.name = "eh1";
    hub.partitions = 4;
    hub.consumer_groups = {"$Default", "second"};
    hub.generation = 7;
    resources::EventSpace space;
    space.name = "ns1";
    space.host_names = {"localhost"};
    resources::EventRule rule;
    rule.name = "Root";
    rule.primary_key = kKey;
    rule.rights = 7;
    space.rules = {rule};
    space.event_hubs = {hub};
    made->event_spaces = {space};
    made->finish();
    catalog = std::move(made);
    pair.container.on_link = [this](std::shared_ptr<amqp::Link> link) {
      service.on_attach(std::move(link));
    };
    pair.open();
  }
  // What the links still have to tell refers to the service.
  ~EventHubFixture() override { pair.end(); }

  void grant(std::uint32_t rights, std::string resource = "localhost/eh1",
             TimePoint expires = TimePoint::max()) {
    auto details = std::make_shared<EventClaim>();
    details->space = "ns1";
    amqp::Claim claim;
    claim.resource = std::move(resource);
    claim.rights = rights;
    claim.expires_at = expires;
    claim.details = std::move(details);
    pair.server.engine->claims().put(std::move(claim));
  }
  void grant_all() { grant(amqp::ClaimRights::kListen | amqp::ClaimRights::kSend); }

  using Handler = std::shared_ptr<amqp::testing::TestHandler>;
  struct OpenLink {
    std::shared_ptr<amqp::Link> link;
    Handler handler;
    // The condition it was detached with; empty when it is open or ended in order.
    std::string error() const {
      return handler->detached_why ? handler->detached_why->condition : std::string{};
    }
    bool is_refused() const { return handler->detached_calls > 0; }
  };
  OpenLink attach(amqp::LinkOptions options) {
    options.name += std::to_string(++links);
    auto handler = std::make_shared<amqp::testing::TestHandler>();
    // Events are settled on send; replies as well.
    auto link = pair.attach(std::move(options), handler);
    return {.link = std::move(link), .handler = std::move(handler)};
  }
  OpenLink sender(std::string address) {
    return attach(amqp::testing::sender_to(std::move(address)));
  }
  // The verdict on one message.
  amqp::Verdict send(OpenLink& to, std::string_view message, std::uint32_t format = 0) {
    const std::string_view piece = message;
    EXPECT_TRUE(to.link->can_send());
    to.handler->verdicts.clear();
    to.link->send({&piece, 1}, {.message_format = format, .is_settled = false});
    pair.run();
    EXPECT_EQ(to.handler->verdicts.size(), 1u);
    return to.handler->verdicts.empty() ? amqp::Verdict{} : to.handler->verdicts.front().second;
  }
  std::vector<std::string> bodies(const OpenLink& from) {
    std::vector<std::string> found;
    for (const auto& message : from.handler->messages)
      found.push_back(read_event(message.payload).body);
    return found;
  }

  amqp::testing::Pair pair{};
  // The engines are called from their executor, as connections do.
  Executor::Running running{pair.executor};
  std::shared_ptr<const resources::Catalog> catalog;
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store = store::open_memory(pair.clock, {.faults = &faults});
  EventLog log{*store, pair.clock};
  SeededRandom random{7};
  EventHubContext context{
      .log = log, .catalog = [this] { return catalog; }, .clock = pair.clock, .random = random};
  EventHubService service{context};
  int links = 0;
};

}  // namespace doppel::events
