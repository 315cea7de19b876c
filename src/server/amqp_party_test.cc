#include "server/amqp_party.h"

#include <gtest/gtest.h>

namespace doppel::server {
namespace {

struct Case {
  std::string_view text;
  AmqpParty party;
};

TEST(AmqpPartyTest, TheUserOfSaslPlainNamesTheService) {
  constexpr Case kCases[] = {
      {"0ne00000001/registrations/dev-1", AmqpParty::dps_device},
      {"0ne00000001/REGISTRATIONS/dev-1", AmqpParty::dps_device},
      {"0ne00000001/registrations/a@sas.b", AmqpParty::dps_device},
      {"d1@sas.hub1", AmqpParty::hub_device},
      {"d1/m1@sas.hub1", AmqpParty::hub_device},
      {"a@sas.b@sas.hub1", AmqpParty::hub_device},
      {"service@sas.root.hub1", AmqpParty::hub_service},
      {"RootManageSharedAccessKey", AmqpParty::event_hubs},
      {"someone@example.com", AmqpParty::event_hubs},
      {"@sas.hub1", AmqpParty::event_hubs},
      {"0ne00000001/registrations/", AmqpParty::event_hubs},
      {"0ne00000001/registrations/a/b", AmqpParty::event_hubs},
      {"", AmqpParty::event_hubs},
  };
  for (const auto& [text, party] : kCases) EXPECT_EQ(party_of_user(text), party) << text;
}

TEST(AmqpPartyTest, TheAudienceOfATokenNamesTheService) {
  constexpr Case kCases[] = {
      {"localhost/devices/d1", AmqpParty::hub_device},
      {"localhost/devices/d1/modules/m1", AmqpParty::hub_device},
      {"localhost", AmqpParty::hub_service},
      {"localhost/messages/events", AmqpParty::hub_service},
      {"localhost/eh1", AmqpParty::event_hubs},
      {"localhost/devices2", AmqpParty::event_hubs},
      {"localhost/eh1/ConsumerGroups/devices", AmqpParty::event_hubs},
  };
  for (const auto& [text, party] : kCases) EXPECT_EQ(party_of_audience(text), party) << text;
}

TEST(AmqpPartyTest, TheAddressOfALinkNamesTheService) {
  constexpr Case kCases[] = {
      {"$cbs", AmqpParty::cbs},
      {"0ne00000001/registrations/dev-1", AmqpParty::dps_device},
      {"devices/d1/messages/events", AmqpParty::hub_device},
      {"devices/registrations/twin", AmqpParty::hub_device},
      {"messages/devicebound", AmqpParty::hub_service},
      {"messages/serviceBound/feedback", AmqpParty::hub_service},
      {"messages/events", AmqpParty::event_hubs},
      {"messages/events/$management", AmqpParty::event_hubs},
      {"messages/eventsource", AmqpParty::hub_service},
      {"$management", AmqpParty::event_hubs},
      {"eh1", AmqpParty::event_hubs},
      {"eh1/Partitions/0", AmqpParty::event_hubs},
      {"", AmqpParty::event_hubs},
  };
  for (const auto& [text, party] : kCases) EXPECT_EQ(party_of_link(text), party) << text;
}

}  // namespace
}  // namespace doppel::server
