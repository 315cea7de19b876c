#include "resources/resources_testing.h"

namespace doppel::resources::testing {
namespace {

TEST_F(ResourcesTest, AnotherMasterKeyIsRefusedAtOpen) {
  set_up_all();
  resources.reset();
  const security::SecretBox other(security::MasterKey::generate(random), random);
  const auto opened =
      run(executor, Resources::open(*store, executor, clock, random, other, defaults));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("another master key"));
}

TEST_F(ResourcesTest, AMaskedConnectionStringOfSomethingElseIsRefused) {
  set_up_all();
  const auto other = put(resources->hub_id("rg", "hub1"),
                         R"({"location":"eastus","properties":{"routing":{"endpoints":
      {"eventHubs":[{"name":"life","connectionString":"Endpoint=sb://other/;SharedAccessKeyName=r;SharedAccessKey=****;EntityPath=x"}]}}}})");
  EXPECT_EQ(refusal(other), "InvalidParameter");
  EXPECT_THAT(other.error().message, HasSubstr("masked"));
}

TEST_F(ResourcesTest, AnEtagThatIsNotCurrentIsRefused) {
  set_up_all();
  const auto id = resources->hub_id("rg", "hub1");
  const std::string etag = json::get_string_or(resources->get(id).value()->body, "etag", "");
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", "stale")), "PreconditionFailed");
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", "\"" + etag + "\"")), "");
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", etag)), "PreconditionFailed")
      << "it changed";
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", "*")), "");
  // az 2.45 sends the printed form of a Python dictionary.
  const std::string current = json::get_string_or(resources->get(id).value()->body, "etag", "");
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", "{'IF-MATCH': 'stale'}")),
            "PreconditionFailed");
  EXPECT_EQ(refusal(put(id, R"({"location":"eastus"})", "{'IF-MATCH': '" + current + "'}")), "");
  EXPECT_EQ(run(executor, resources->remove(id, "stale")).error().name(), "PreconditionFailed");
}

TEST_F(ResourcesTest, RefusesWhatHasNoPlace) {
  EXPECT_EQ(refusal(put(resources->hub_id("none", "hub1"), R"({"location":"eastus"})")),
            "ResourceGroupNotFound");
  EXPECT_EQ(refusal(put(ResourceId::group("00000000-0000-0000-0000-000000000000", "rg"),
                        R"({"location":"eastus"})")),
            "SubscriptionNotFound");
  set_up_all();
  EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "none", "e"), "{}")),
            "ParentResourceNotFound");
  EXPECT_EQ(refusal(put(resources->hub_id("rg", "hub9"), "{}")), "LocationRequired");
  ASSERT_EQ(refusal(put(resources->group_id("rg2"), R"({"location":"eastus"})")), "");
  EXPECT_EQ(refusal(put(resources->hub_id("rg2", "HUB1"), R"({"location":"eastus"})")),
            "NameNotAvailable");
  const auto group = resources->event_hub_id("rg", "ns1", "none").child("consumergroups", "cg");
  EXPECT_EQ(refusal(put(group, "{}")), "ParentResourceNotFound");
}

TEST_F(ResourcesTest, RefusesBadNamesAndNumbers) {
  set_up_all();
  for (const char* name : {"a", "-ab", "ab-", "a_b", "a b", "",
                           "0123456789012345678901234567890123456789012345678901"})
    EXPECT_EQ(refusal(put(resources->hub_id("rg", name), R"({"location":"eastus"})")),
              "InvalidResourceName")
        << name;
  // Hub and event hubs share link addresses on one host name.
  for (const char* name : {"devices", "Messages", "TWINS", "$cbs", "$x", "a/b"})
    EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "ns1", name), "{}")), "InvalidResourceName")
        << name;
  for (const char* count : {"0", "33", "-1", "1.5", "\"2\"", "99999999999999999999"})
    EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "ns1", "e"),
                          std::string(R"({"properties":{"partitionCount":)") + count + "}}")),
              "InvalidParameter")
        << count;
  EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "ns1", "e"),
                        R"({"properties":{"messageRetentionInDays":91}})")),
            "InvalidParameter");
  EXPECT_EQ(refusal(put(resources->event_hub_id("rg", "ns1", "lifecycleevents"),
                        R"({"properties":{"partitionCount":3}})")),
            "InvalidParameter")
      << "devices keep their partition";
  EXPECT_EQ(refusal(put(resources->group_id("ends."), R"({"location":"eastus"})")),
            "InvalidResourceGroup");
  EXPECT_EQ(refusal(put(resources->group_id("rg"), R"({"location":"eastus","tags":{"a":1}})")),
            "InvalidParameter");
}

TEST_F(ResourcesTest, RefusesBadRoutingWithAReason) {
  set_up_all();
  resources->set_route_validator([](std::string_view, std::string_view condition) -> Status {
    if (condition == "broken(") return fail(Code::invalid_argument, "no closing parenthesis");
    return {};
  });
  const auto refuse = [this](std::string_view routing, std::string_view reason) {
    const auto outcome =
        put(resources->hub_id("rg", "hub1"),
            R"({"location":"eastus","properties":{"routing":)" + std::string(routing) + "}}");
    ASSERT_FALSE(outcome) << routing;
    EXPECT_THAT(outcome.error().message, HasSubstr(reason)) << routing;
  };
  refuse(R"({"routes":[{"name":"r","source":"Nonsense","endpointNames":["events"]}]})",
         "unknown source");
  refuse(R"({"routes":[{"name":"r","source":"DeviceMessages","endpointNames":["nowhere"]}]})",
         "does not exist");
  refuse(R"({"routes":[{"name":"r","source":"DeviceMessages"}]})", "needs an endpoint");
  refuse(
      R"({"routes":[{"name":"r","source":"DeviceMessages","condition":"broken(","endpointNames":["events"]}]})",
      "no closing parenthesis");
  refuse(R"({"routes":[{"name":"r","source":"DeviceMessages","endpointNames":["events"]},
                       {"name":"R","source":"DeviceMessages","endpointNames":["events"]}]})",
         "Two routes");
  refuse(R"({"endpoints":{"serviceBusQueues":[{"name":"q"}]}})", "not possible here");
  refuse(R"({"endpoints":{"eventHubs":[{"name":"events","connectionString":"x"}]}})", "built-in");
  refuse(
      R"({"endpoints":{"eventHubs":[{"name":"e","connectionString":"Endpoint=sb://localhost/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=d3Jvbmc=;EntityPath=lifecycleevents"}]}})",
      "not one of the event hub's");
  refuse(
      R"({"endpoints":{"eventHubs":[{"name":"e","connectionString":"Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=c"}]}})",
      "Only event hubs of this server");
  EXPECT_EQ(resources->catalog()->find_hub("hub1")->routes.size(), 1u)
      << "refused changes change nothing";
}

TEST_F(ResourcesTest, ALinkedHubNeedsAGoodKey) {
  set_up_all();
  const auto link = [this](const std::string& connection) {
    return put(resources->dps_id("rg", "dps2"),
               R"({"location":"eastus","properties":{"iotHubs":[{"connectionString":")" +
                   connection + R"(","location":"eastus"}]}})");
  };
  EXPECT_EQ(
      refusal(link("HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=d3Jvbmc=")),
      "InvalidParameter");
  EXPECT_EQ(refusal(link(*resources->hub_connection_string("hub1", "device"))), "InvalidParameter");
  EXPECT_EQ(refusal(link("HostName=localhost")), "InvalidParameter");
  EXPECT_EQ(
      refusal(link("HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=****")),
      "InvalidParameter");
  // A hub elsewhere is taken at its word.
  EXPECT_EQ(
      refusal(link("HostName=hub.example;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5")),
      "");
  EXPECT_FALSE(resources->catalog()->find_dps("dps2")->linked_hubs[0].hub.has_value());
  EXPECT_EQ(resources->catalog()->find_dps("dps2")->id_scope, IdScope("0ne00000002"));
}

TEST_F(ResourcesTest, TheDefaultConsumerGroupStays) {
  set_up_all();
  const auto group =
      resources->event_hub_id("rg", "ns1", "lifecycleevents").child("consumergroups", "$Default");
  EXPECT_EQ(run(executor, resources->remove(group)).error().name(), "BadRequest");
  EXPECT_EQ(refusal(put(group, "{}")), "");
  const auto added =
      resources->event_hub_id("rg", "ns1", "lifecycleevents").child("consumergroups", "cg1");
  EXPECT_EQ(refusal(put(added, "{}")), "");
  EXPECT_THAT(resources->catalog()->find_event_hub("ns1", "lifecycleevents")->consumer_groups,
              ElementsAre("$Default", "cg1"));
}

}  // namespace
}  // namespace doppel::resources::testing
