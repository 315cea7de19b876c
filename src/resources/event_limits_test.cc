// How much an event namespace may hold, and names that would be ambiguous.
#include "resources/event_limits.h"

#include "resources/resources_testing.h"

namespace doppel::resources::testing {
namespace {

class EventLimitsTest : public ResourcesTest {
 protected:
  void SetUp() override {
    ResourcesTest::SetUp();
    set_up_all();
  }
  ResourceId event_hub(std::string_view name) { return resources->event_hub_id("rg", "ns1", name); }
};

TEST_F(EventLimitsTest, TwelveRulesFitIntoANamespaceAndTwelveIntoEachEventHub) {
  const std::string send = R"({"properties":{"rights":["Send"]}})";
  const auto space = resources->event_space_id("rg", "ns1");
  const auto hub = event_hub("lifecycleevents");
  for (std::size_t i = 0; i < kEventRulesMax; ++i) {
    const std::string name = "rule" + std::to_string(i);
    EXPECT_EQ(refusal(put(hub.child("authorizationRules", name), send)), "") << i;
    // The root rule is one of the namespace's.
    if (i > 0) EXPECT_EQ(refusal(put(space.child("authorizationRules", name), send)), "") << i;
  }
  EXPECT_EQ(refusal(put(hub.child("authorizationRules", "more"), send)), "QuotaExceeded");
  EXPECT_EQ(refusal(put(space.child("authorizationRules", "more"), send)), "QuotaExceeded");
  EXPECT_EQ(refusal(put(hub.child("authorizationRules", "RULE3"), send)), "")
      << "one that is there can still be changed";
}

TEST_F(EventLimitsTest, TwentyConsumerGroupsFitIntoAnEventHubOfStandard) {
  const auto hub = event_hub("lifecycleevents");
  for (int i = 1; i < 20; ++i) {
    EXPECT_EQ(refusal(put(hub.child("consumergroups", "cg" + std::to_string(i)), "{}")), "") << i;
  }
  const auto more = put(hub.child("consumergroups", "more"), "{}");
  EXPECT_EQ(refusal(more), "QuotaExceeded");
  EXPECT_THAT(more.error().message, HasSubstr("20 consumer groups"));
  EXPECT_EQ(refusal(put(hub.child("consumergroups", "CG1"), "{}")), "");
  ASSERT_TRUE(run(executor, resources->remove(hub.child("consumergroups", "cg1"))));
  EXPECT_EQ(refusal(put(hub.child("consumergroups", "more"), "{}")), "");
}

TEST_F(EventLimitsTest, ALimitInBytesStaysUntilItIsLifted) {
  const auto hub = event_hub("lifecycleevents");
  const auto limit = [&] {
    const auto catalog = resources->catalog();
    const auto* space = catalog->find_event_space("ns1");
    return retention_bytes_of(*catalog, *space, *space->find_event_hub("lifecycleevents"));
  };
  const auto put_size = [&](const std::string& bytes) {
    return refusal(put(
        hub, R"({"properties":{"retentionDescription":{"retentionSizeInBytes":)" + bytes + "}}}"));
  };
  EXPECT_EQ(limit(), 0u);
  EXPECT_EQ(put_size("16777216"), "");
  EXPECT_EQ(limit(), 16'777'216u);
  EXPECT_EQ(refusal(put(hub, "{}")), "");
  EXPECT_EQ(limit(), 16'777'216u) << "a client that does not know it leaves it as it is";
  EXPECT_NE(put_size("16777215"), "");
  EXPECT_NE(put_size("-1"), "");
  EXPECT_EQ(put_size("0"), "");
  EXPECT_EQ(limit(), 0u);
}

TEST_F(EventLimitsTest, TwentyConsumerGroupsFitIntoABuiltInEndpoint) {
  const auto events = resources->hub_id("rg", "hub1").child("eventHubEndpoints", "events");
  for (std::size_t i = 1; i < kHubGroupsMax; ++i) {
    EXPECT_EQ(refusal(put(events.child("ConsumerGroups", "cg" + std::to_string(i)), "{}")), "");
  }
  EXPECT_EQ(refusal(put(events.child("ConsumerGroups", "more"), "{}")), "QuotaExceeded");
}

TEST_F(EventLimitsTest, TenEventHubsFitIntoANamespaceOfStandardAndMoreIntoPremium) {
  for (int i = 1; i < 10; ++i)
    EXPECT_EQ(refusal(put(event_hub("e" + std::to_string(i)), "{}")), "") << i;
  EXPECT_EQ(refusal(put(event_hub("more"), "{}")), "QuotaExceeded");
  const auto large = resources->event_space_id("rg", "large");
  ASSERT_EQ(refusal(put(large, R"({"location":"eastus","sku":{"name":"premium"}})")), "");
  for (int i = 0; i < 11; ++i) {
    EXPECT_EQ(refusal(put(large.child("eventhubs", "e" + std::to_string(i)),
                          R"({"properties":{"messageRetentionInDays":90}})")),
              "")
        << i;
  }
}

TEST_F(EventLimitsTest, ANamespaceWithMoreThanBasicAllowsStaysStandard) {
  const auto space = resources->event_space_id("rg", "ns1");
  const std::string basic = R"({"location":"eastus","sku":{"name":"Basic"}})";
  const auto group = event_hub("lifecycleevents").child("consumergroups", "cg1");
  ASSERT_EQ(refusal(put(group, "{}")), "");
  EXPECT_EQ(refusal(put(space, basic)), "InvalidParameter");
  ASSERT_TRUE(run(executor, resources->remove(group)));
  EXPECT_EQ(refusal(put(space, basic)), "");
  EXPECT_EQ(refusal(put(group, "{}")), "QuotaExceeded");
}

// Both would be ".../ConsumerGroups/..." on the same host name.
TEST_F(EventLimitsTest, AnEventHubIsNotCalledLikeABuiltInEndpointOfItsHost) {
  const auto outcome = put(event_hub("HUB1"), "{}");
  EXPECT_EQ(refusal(outcome), "InvalidResourceName");
  EXPECT_THAT(outcome.error().message, HasSubstr("built-in endpoint"));
  // The second namespace has a host name of its own.
  ASSERT_EQ(refusal(put(resources->event_space_id("rg", "ns2"), R"({"location":"eastus"})")), "");
  EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "ns2", "hub1"), "{}")), "");
}

TEST_F(EventLimitsTest, ANamespacePutBackAsShownStaysAsItWas) {
  const auto space = resources->event_space_id("rg", "ns1");
  const std::string before = shown(space);
  const auto document = resources->get(space);
  ASSERT_TRUE(document);
  ASSERT_TRUE(run(executor, resources->put(space, resources->visible(**document))));
  EXPECT_EQ(shown(space), before);
}

}  // namespace
}  // namespace doppel::resources::testing
