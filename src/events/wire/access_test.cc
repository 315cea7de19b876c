// Who is let in: rules of namespaces and event hubs, policies of IoT hubs, bearer tokens.
#include "events/wire/access.h"

#include <gtest/gtest.h>

#include "security/sas.h"

namespace doppel::events {
namespace {

using amqp::ClaimRights;

constexpr std::string_view kSpaceKey = "bmFtZXNwYWNl";
constexpr std::string_view kHubKey = "ZXZlbnRodWI=";
constexpr std::string_view kPolicyKey = "aW90aHVi";
const TimePoint kNow{std::chrono::seconds(1'800'000'000)};
const TimePoint kLater = kNow + std::chrono::hours(1);

resources::EventRule rule(std::string name, std::string_view key, std::uint8_t rights) {
  resources::EventRule made;
  made.name = std::move(name);
  made.primary_key = key;
  made.rights = rights;
  return made;
}

class Access : public ::testing::Test {
 protected:
  Access() {
    resources::EventHub hub;
    hub.name = "eh1";
    hub.rules = {rule("Sender", kHubKey, 1)};
    resources::EventSpace space;
    space.name = "ns1";
    space.id = "/ns1";
    space.host_names = {"localhost"};
    space.rules = {rule("Root", kSpaceKey, 7)};
    space.event_hubs = {hub};
    catalog.event_spaces = {space};
    resources::Hub iot;
    iot.name = HubName("hub1");
    iot.host_names = {"localhost"};
    iot.event_hub_name = "hub1-events";
    resources::HubPolicy policy;
    policy.name = "service";
    policy.primary_key = kPolicyKey;
    policy.rights = static_cast<std::uint8_t>(resources::HubRight::service_connect);
    iot.policies = {policy};
    catalog.hubs = {iot};
    catalog.finish();
  }

  Result<amqp::Claim> put(std::string_view audience, const std::string& token) {
    return verify_token(catalog, bearer, audience, token, kNow);
  }
  static std::string sas(std::string_view resource, std::string_view key, std::string_view name,
                         TimePoint expires = kLater) {
    return *security::make_sas(resource, key, security::KeyForm::text, name, expires);
  }
  HubView eh1() { return find_hubs(catalog, "localhost", "eh1").at(0); }
  bool allows(const amqp::Claim& claim, std::string_view path, std::uint32_t right) {
    amqp::Claims claims;
    claims.put(claim);
    return find_claim(claims, eh1(), path, right, kNow) != nullptr;
  }

  resources::Catalog catalog;
  resources::Principal principal;
  BearerCheck bearer = [this](std::string_view header) -> Result<resources::Principal> {
    if (header != "Bearer good") return fail(Code::unauthenticated, "no");
    return principal;
  };
};

TEST_F(Access, ANamespacesKeyOpensItsEventHubs) {
  const auto claim = put("sb://localhost:5671/eh1/Partitions/0",
                         sas("sb://localhost:5671/eh1/Partitions/0", kSpaceKey, "Root"));
  ASSERT_TRUE(claim) << claim.error().message;
  EXPECT_TRUE(allows(*claim, "eh1/Partitions/0", ClaimRights::kSend));
  EXPECT_FALSE(allows(*claim, "eh1/Partitions/1", ClaimRights::kSend));
}

// Python puts one token for the whole event hub, .NET signs for the hub and asks for each link.
TEST_F(Access, ATokenOfTheEventHubOpensWhatIsBelow) {
  const auto claim =
      put("amqps://localhost/eh1/Partitions/0", sas("amqps://localhost/eh1", kSpaceKey, "Root"));
  ASSERT_TRUE(claim);
  const auto whole = put("sb://localhost/eh1", sas("sb://localhost/eh1", kSpaceKey, "Root"));
  ASSERT_TRUE(whole);
  EXPECT_TRUE(allows(*whole, "eh1/ConsumerGroups/$Default/Partitions/3", ClaimRights::kListen));
  EXPECT_FALSE(put("sb://localhost/eh1", sas("sb://localhost/eh10", kSpaceKey, "Root")));
}

TEST_F(Access, AnEventHubsRuleGivesItsRightsAndNoMore) {
  const auto claim = put("sb://localhost/eh1", sas("sb://localhost/eh1", kHubKey, "sender"));
  ASSERT_TRUE(claim);
  EXPECT_TRUE(allows(*claim, "eh1", ClaimRights::kSend));
  EXPECT_FALSE(allows(*claim, "eh1", ClaimRights::kListen));
}

TEST_F(Access, RefusesWrongKeysAndExpiredTokens) {
  EXPECT_FALSE(put("sb://localhost/eh1", sas("sb://localhost/eh1", "wrong", "Root")));
  EXPECT_FALSE(put("sb://localhost/eh1", sas("sb://localhost/eh1", kSpaceKey, "Nobody")));
  EXPECT_FALSE(put("sb://localhost/eh1",
                   sas("sb://localhost/eh1", kSpaceKey, "Root", kNow - std::chrono::hours(1))));
  EXPECT_FALSE(put("sb://localhost/eh1", "SharedAccessSignature nonsense"));
}

TEST_F(Access, SaysThatAnEventHubIsMissingOnlyToTheNamespacesKey) {
  const auto missing = put("sb://localhost/none", sas("sb://localhost/none", kSpaceKey, "Root"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_EQ(put("sb://localhost/none", sas("sb://localhost/none", "wrong", "Root")).error().code,
            Code::unauthenticated);
}

TEST_F(Access, AServicePolicyReadsTheBuiltInEndpoint) {
  const auto claim =
      put("sb://localhost/hub1-events", sas("sb://localhost/hub1-events", kPolicyKey, "service"));
  ASSERT_TRUE(claim);
  amqp::Claims claims;
  claims.put(*claim);
  const auto hub = find_hubs(catalog, "localhost", "hub1-events").at(0);
  EXPECT_NE(find_claim(claims, hub, "hub1-events", ClaimRights::kListen, kNow), nullptr);
  EXPECT_EQ(find_claim(claims, hub, "hub1-events", ClaimRights::kSend, kNow), nullptr);
  EXPECT_EQ(find_claim(claims, eh1(), "eh1", ClaimRights::kListen, kNow), nullptr);
}

TEST_F(Access, RolesDecideWhatABearerMayDo) {
  principal.roles = {{.role = "Azure Event Hubs Data Receiver", .scope = "/ns1"}};
  const auto claim = put("sb://localhost/eh1", "good");
  ASSERT_TRUE(claim);
  EXPECT_TRUE(allows(*claim, "eh1", ClaimRights::kListen));
  EXPECT_FALSE(allows(*claim, "eh1", ClaimRights::kSend));
  EXPECT_FALSE(put("sb://localhost/eh1", "bad"));
}

TEST_F(Access, ARulesNameAndKeyAreSaslCredentials) {
  const auto claims = verify_plain(catalog, "root", kSpaceKey, kNow);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_TRUE(allows(claims[0], "eh1", ClaimRights::kSend));
  EXPECT_TRUE(verify_plain(catalog, "Root", kHubKey, kNow).empty());
  EXPECT_TRUE(verify_plain(catalog, "Root", "", kNow).empty());
}

// Clients take it from the host name in their connection string.
TEST_F(Access, TakesAHubsPolicyByItsNameOrTheFirstLabelOfItsHost) {
  catalog.hubs[0].host_names = {"localhost", "plant.example.org"};
  const auto token = *security::make_sas("localhost/messages/events", kPolicyKey,
                                         security::KeyForm::base64, "service", kLater);
  for (const auto* hub : {"hub1", "HUB1", "localhost", "plant"}) {
    const auto user = std::string("service@sas.root.") + hub;
    EXPECT_EQ(verify_plain(catalog, user, token, kNow).size(), 1u) << hub;
    EXPECT_TRUE(verify_plain(catalog, user, token, kLater + std::chrono::hours(1)).empty()) << hub;
  }
  for (const auto* user : {"service@sas.root.other", "service@sas.root.", "other@sas.root.hub1"})
    EXPECT_TRUE(verify_plain(catalog, user, token, kNow).empty()) << user;
}

}  // namespace
}  // namespace doppel::events
