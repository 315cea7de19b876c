#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "resources/api.h"
#include "resources/types.h"
#include "store/memory/memory_store.h"

namespace doppel::resources {
namespace {

using doppel::testing::ManualClock;
using doppel::testing::ManualExecutor;
using doppel::testing::run;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Fault = store::FaultInjection::Fault;

class ResourcesTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    resources.reset();
    auto opened = run(executor, Resources::open(*store, executor, clock, random,
                                                security::SecretBox(key, random), defaults));
    ASSERT_TRUE(opened) << opened.error().message;
    resources = std::move(*opened);
  }

  json::Object body(std::string_view text) { return json::parse(text)->get_object(); }
  Result<PutOutcome> put(const ResourceId& id, std::string_view text, std::string if_match = {}) {
    return run(executor, resources->put(id, body(text), std::move(if_match)));
  }
  // The name of the error, or "" when it succeeded.
  static std::string refusal(const Result<PutOutcome>& outcome) {
    return outcome ? "" : std::string(outcome.error().name());
  }
  std::string shown(const ResourceId& id) {
    const auto found = resources->get(id);
    return found ? json::write(resources->visible(**found)) : std::string(found.error().name());
  }

  // A group with one of everything, wired as the integration guide wires it.
  void set_up_all() {
    ASSERT_EQ(refusal(put(resources->group_id("rg"), R"({"location":"eastus"})")), "");
    ASSERT_EQ(refusal(put(resources->event_space_id("rg", "ns1"), R"({"location":"eastus"})")), "");
    ASSERT_EQ(refusal(put(resources->event_hub_id("rg", "ns1", "lifecycleevents"),
                          R"({"properties":{"partitionCount":2,"messageRetentionInDays":1}})")),
              "");
    const std::string events = *resources->event_connection_string("ns1", "lifecycleevents");
    ASSERT_EQ(
        refusal(put(
            resources->hub_id("rg", "hub1"),
            R"({"location":"eastus","properties":{"routing":{"endpoints":{"eventHubs":[{"name":"life",
                             "connectionString":")" +
                events + R"("}]},"routes":[{"name":"life","source":"devicelifecycleevents",
                             "condition":"opType='deleteDeviceIdentity'","endpointNames":["life"],"isEnabled":true}]}}})")),
        "");
    const std::string hub = *resources->hub_connection_string("hub1");
    ASSERT_EQ(refusal(put(
                  resources->dps_id("rg", "dps1"), R"({"location":"eastus","properties":{"iotHubs":[
                          {"connectionString":")" + hub +
                                                       R"(","location":"eastus"}]}})")),
              "");
    ASSERT_EQ(refusal(put(resources->twins_id("rg", "adt1"), R"({"location":"eastus"})")), "");
    ASSERT_EQ(
        refusal(put(resources->twins_endpoint_id("rg", "adt1", "lifecycle"),
                    R"({"properties":{"endpointType":"EventHub","connectionStringPrimaryKey":")" +
                        events + R"("}})")),
        "");
    ASSERT_EQ(refusal(put(resources->function_app_id("rg", "app1"),
                          R"({"location":"eastus","properties":{"siteConfig":{"appSettings":[
                             {"name":"ADT_SERVICE_URL","value":"https://localhost"}]}}})")),
              "");
  }

  ManualClock clock;
  ManualExecutor executor{clock};
  SystemRandom random;
  security::MasterKey key = security::MasterKey::generate(random);
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store = store::open_memory(clock, {.faults = &faults});
  ResourceDefaults defaults;
  std::unique_ptr<Resources> resources;
};

TEST_F(ResourcesTest, TheCatalogHasTypedViewsOfEverything) {
  set_up_all();
  const auto now = resources->catalog();

  const Hub* hub = now->find_hub("HUB1");
  ASSERT_NE(hub, nullptr);
  EXPECT_EQ(hub->host_name, "localhost");
  EXPECT_EQ(hub->policies.size(), 5u);
  EXPECT_TRUE(hub->find_policy("registryReadWrite")->allows(HubRight::registry_read));
  EXPECT_FALSE(hub->find_policy("service")->allows(HubRight::registry_read));
  ASSERT_EQ(hub->routes.size(), 1u);
  EXPECT_EQ(hub->routes[0].source, "DeviceLifecycleEvents")
      << "in Azure's spelling, however it was typed";
  EXPECT_EQ(hub->routes[0].condition, "opType='deleteDeviceIdentity'");
  ASSERT_EQ(hub->endpoints.size(), 1u);
  EXPECT_EQ(hub->endpoints[0].event_space, "ns1");
  EXPECT_EQ(hub->endpoints[0].event_hub, "lifecycleevents");
  EXPECT_FALSE(hub->fallback_enabled) << "a routing object without fallbackRoute has none";
  EXPECT_THAT(hub->consumer_groups, ElementsAre("$Default"));

  const Dps* dps = now->find_dps_by_scope("0NE00000001");
  ASSERT_NE(dps, nullptr);
  ASSERT_EQ(dps->linked_hubs.size(), 1u);
  EXPECT_EQ(dps->linked_hubs[0].hub, HubName("hub1"));
  EXPECT_EQ(dps->linked_hubs[0].host_name, "localhost");
  EXPECT_TRUE(
      dps->find_policy("provisioningserviceowner")->allows(DpsRight::registration_status_write));

  ASSERT_NE(now->find_twins_by_host("LOCALHOST:8443"), nullptr);
  EXPECT_EQ(now->find_twins("adt1")->find_endpoint("lifecycle")->event_hub, "lifecycleevents");
  const EventHub* events = now->find_event_hub("ns1", "LifecycleEvents");
  ASSERT_NE(events, nullptr);
  EXPECT_EQ(events->partitions, 2u);
  EXPECT_EQ(events->retention, std::chrono::hours(24));
  EXPECT_EQ(now->find_function_app("app1")->setting("adt_service_url"), "https://localhost");
}

TEST_F(ResourcesTest, EverythingIsThereAgainAfterARestart) {
  set_up_all();
  const std::string before = *resources->hub_connection_string("hub1");
  open();
  EXPECT_EQ(*resources->hub_connection_string("hub1"), before);
  EXPECT_EQ(resources->catalog()->documents.size(), 12u);
}

TEST_F(ResourcesTest, AnotherMasterKeyIsRefusedAtOpen) {
  set_up_all();
  resources.reset();
  const security::SecretBox other(security::MasterKey::generate(random), random);
  const auto opened =
      run(executor, Resources::open(*store, executor, clock, random, other, defaults));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("another master key"));
}

TEST_F(ResourcesTest, NoSecretIsReadableInTheStore) {
  set_up_all();
  const std::string key_text = resources->catalog()->find_hub("hub1")->policies[0].primary_key;
  const auto snapshot = store->snapshot();
  const auto entries = run(executor, snapshot->scan("", "", 10'000));
  ASSERT_TRUE(entries);
  ASSERT_GT(entries->size(), 12u);
  for (const auto& entry : *entries) {
    EXPECT_EQ(entry.value.find(key_text), std::string::npos) << entry.key;
    EXPECT_EQ(entry.value.find("SharedAccessKey"), std::string::npos) << entry.key;
  }
}

TEST_F(ResourcesTest, ShowsNoSecrets) {
  set_up_all();
  const auto now = resources->catalog();
  for (const auto& [id, document] : now->documents) {
    const std::string text = json::write(resources->visible(*document));
    for (const auto& policy : now->find_hub("hub1")->policies)
      EXPECT_THAT(text, Not(HasSubstr(policy.primary_key)));
    for (const auto& policy : now->find_dps("dps1")->policies)
      EXPECT_THAT(text, Not(HasSubstr(policy.primary_key)));
    for (const auto& rule : now->find_event_space("ns1")->rules)
      EXPECT_THAT(text, Not(HasSubstr(rule.primary_key)));
    EXPECT_THAT(text, Not(HasSubstr(now->find_function_app("app1")->master_key)));
    EXPECT_THAT(text, Not(HasSubstr("https://localhost\"")))
        << "app settings may be secrets: " << id;
    EXPECT_THAT(text, Not(HasSubstr("$doppel")));
  }
}

// az and the portal read the whole hub, change one thing and put all of it back.
TEST_F(ResourcesTest, PuttingBackWhatWasShownKeepsTheSecrets) {
  set_up_all();
  const auto before = resources->catalog();
  for (const auto& id : {resources->hub_id("rg", "hub1"), resources->dps_id("rg", "dps1"),
                         resources->twins_endpoint_id("rg", "adt1", "lifecycle"),
                         resources->event_hub_id("rg", "ns1", "lifecycleevents"),
                         resources->function_app_id("rg", "app1")}) {
    const auto document = resources->get(id);
    ASSERT_TRUE(document) << id.text();
    const auto outcome = run(executor, resources->put(id, resources->visible(**document)));
    ASSERT_TRUE(outcome) << id.text() << ": " << outcome.error().message;
    EXPECT_FALSE(outcome->created);
  }
  const auto after = resources->catalog();
  EXPECT_EQ(after->find_hub("hub1")->policies[0].primary_key,
            before->find_hub("hub1")->policies[0].primary_key);
  EXPECT_EQ(after->find_hub("hub1")->endpoints.size(), 1u);
  EXPECT_EQ(after->find_dps("dps1")->linked_hubs[0].connection_string,
            before->find_dps("dps1")->linked_hubs[0].connection_string);
  EXPECT_EQ(after->find_dps("dps1")->id_scope, before->find_dps("dps1")->id_scope);
  EXPECT_EQ(after->find_hub("hub1")->generation, before->find_hub("hub1")->generation);
  EXPECT_EQ(after->find_function_app("app1")->master_key,
            before->find_function_app("app1")->master_key);
  EXPECT_EQ(after->find_function_app("app1")->settings,
            before->find_function_app("app1")->settings);
  EXPECT_EQ(after->find_event_hub("ns1", "lifecycleevents")->retention, std::chrono::hours(24));
}

TEST_F(ResourcesTest, AMaskedConnectionStringOfSomethingElseIsRefused) {
  set_up_all();
  const auto other = put(resources->hub_id("rg", "hub1"),
                         R"({"location":"eastus","properties":{"routing":{"endpoints":
      {"eventHubs":[{"name":"life","connectionString":"Endpoint=sb://other/;SharedAccessKeyName=r;SharedAccessKey=****;EntityPath=x"}]}}}})");
  EXPECT_EQ(refusal(other), "InvalidParameter");
  EXPECT_THAT(other.error().message, HasSubstr("masked"));
}

TEST_F(ResourcesTest, TwoHubsHaveTwoHostNames) {
  set_up_all();
  ASSERT_EQ(refusal(put(resources->hub_id("rg", "Hub2"), R"({"location":"eastus"})")), "");
  const auto now = resources->catalog();
  EXPECT_EQ(now->find_hub("hub2")->host_name, "Hub2.localhost");
  EXPECT_EQ(now->find_hub_by_host("localhost")->name, HubName("hub1"));
  EXPECT_EQ(now->find_hub_by_host("hub2.LOCALHOST:8883")->name, HubName("Hub2"));
  EXPECT_EQ(now->find_hub_by_host("hub2.azure-devices.net")->name, HubName("Hub2"));
  EXPECT_EQ(now->find_hub_by_host("elsewhere"), nullptr);
  EXPECT_TRUE(now->find_hub("hub2")->fallback_enabled) << "made without routing";
}

// The server's own name goes to the next hub that is made, never to two.
TEST_F(ResourcesTest, TheServersNameIsFreeAgainWhenItsHubIsGone) {
  set_up_all();
  ASSERT_TRUE(run(executor, resources->remove(resources->hub_id("rg", "hub1"))));
  EXPECT_EQ(resources->catalog()->find_hub_by_host("localhost"), nullptr);
  ASSERT_EQ(refusal(put(resources->hub_id("rg", "hub3"), R"({"location":"eastus"})")), "");
  EXPECT_EQ(resources->catalog()->find_hub_by_host("localhost")->name, HubName("hub3"));
}

TEST_F(ResourcesTest, HostNamesFollowTheSettingsOfTheServer) {
  set_up_all();
  defaults.host_names = {"factory.example", "localhost"};
  defaults.https_port = 8443;
  defaults.amqp_port = 15671;
  open();
  const auto now = resources->catalog();
  EXPECT_EQ(now->find_hub("hub1")->host_name, "factory.example");
  EXPECT_EQ(now->find_hub_by_host("localhost")->name, HubName("hub1"));
  EXPECT_EQ(now->find_dps("dps1")->linked_hubs[0].host_name, "factory.example")
      << "linked as localhost, still ours";
  EXPECT_EQ(now->find_twins("adt1")->host_name, "factory.example:8443");
  EXPECT_THAT(*resources->event_connection_string("ns1", ""),
              HasSubstr("sb://factory.example:15671/"));
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

TEST_F(ResourcesTest, PatchReplacesTagsAndNothingElse) {
  set_up_all();
  const auto id = resources->hub_id("rg", "hub1");
  const auto before = resources->catalog();
  const auto patched = run(executor, resources->patch(id, body(R"({"tags":{"a":"b"}})")));
  ASSERT_TRUE(patched) << patched.error().message;
  EXPECT_THAT(shown(id), HasSubstr(R"("tags":{"a":"b"})"));
  EXPECT_EQ(resources->catalog()->find_hub("hub1")->routes.size(), 1u);
  EXPECT_EQ(resources->catalog()->find_hub("hub1")->policies[0].primary_key,
            before->find_hub("hub1")->policies[0].primary_key);
  EXPECT_EQ(
      run(executor, resources->patch(resources->hub_id("rg", "none"), body("{}"))).error().name(),
      "ResourceNotFound");
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

TEST_F(ResourcesTest, DeletingAGroupRemovesAllInItAndPurgesTheData) {
  set_up_all();
  std::vector<std::string> purged;
  resources->on_deleted([&purged](DeletedResource gone) -> Task<Status> {
    purged.push_back(gone.event_space + "/" + gone.name + ":" + std::to_string(gone.partitions));
    co_return Status{};
  });
  ASSERT_TRUE(run(executor, resources->remove(resources->group_id("RG"))));
  EXPECT_THAT(purged, ::testing::UnorderedElementsAre("/adt1:0", "/hub1:4", "/dps1:0", "/app1:0",
                                                      "ns1/lifecycleevents:2"));
  EXPECT_TRUE(resources->catalog()->documents.empty());
  EXPECT_EQ(resources->catalog()->find_hub("hub1"), nullptr);
  EXPECT_EQ(run(executor, resources->remove(resources->group_id("rg"))).error().name(),
            "ResourceGroupNotFound");
  set_up_all();  // every name is free again
}

// A crash between the deletion and its purge: the record stays, and the name is not given away
// before it is done.
TEST_F(ResourcesTest, AnInterruptedPurgeIsFinishedBeforeTheNameIsUsedAgain) {
  set_up_all();
  bool works = false;
  int calls = 0;
  const auto hook = [&](DeletedResource) -> Task<Status> {
    ++calls;
    if (!works) co_return fail(Code::unavailable, "not now");
    co_return Status{};
  };
  resources->on_deleted(hook);
  EXPECT_TRUE(run(executor, resources->remove(resources->hub_id("rg", "hub1"))))
      << "it is gone for the client";
  EXPECT_EQ(refusal(put(resources->hub_id("rg", "hub1"), R"({"location":"eastus"})")),
            "ResourceBeingDeleted");

  open();
  resources->on_deleted(hook);
  EXPECT_FALSE(run(executor, resources->finish_deletions()));
  works = true;
  const int before = calls;
  EXPECT_TRUE(run(executor, resources->finish_deletions()));
  EXPECT_EQ(calls, before + 1);
  EXPECT_TRUE(run(executor, resources->finish_deletions()));
  EXPECT_EQ(calls, before + 1) << "done once";
  EXPECT_EQ(refusal(put(resources->hub_id("rg", "hub1"), R"({"location":"eastus"})")), "");
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

TEST_F(ResourcesTest, AFailedCommitLeavesTheCatalogAsItWas) {
  set_up_all();
  faults.fail_next_flush(Fault::lose_write);
  EXPECT_FALSE(put(resources->hub_id("rg", "hub2"), R"({"location":"eastus"})"));
  executor.run_until_idle();
  EXPECT_EQ(resources->catalog()->find_hub("hub2"), nullptr);
  EXPECT_NE(resources->catalog()->find_hub("hub1"), nullptr);
}

// The flush took place, only its answer was lost: after the store reopened the catalog must show
// it.
TEST_F(ResourcesTest, ALostAnswerShowsInTheCatalogAfterReopening) {
  set_up_all();
  faults.fail_next_flush(Fault::lose_answer);
  EXPECT_EQ(put(resources->hub_id("rg", "hub2"), R"({"location":"eastus"})").error().code,
            Code::unavailable);
  executor.run_until_idle();
  EXPECT_NE(resources->catalog()->find_hub("hub2"), nullptr);
}

class CredentialsTest : public ResourcesTest {
 protected:
  std::string token(std::string_view scope = "https://digitaltwins.azure.net/.default") {
    const auto issued = resources->issue_token("app", "secret", scope);
    return issued ? "Bearer " + issued->token : "";
  }
};

TEST_F(CredentialsTest, IssuesATokenForTheRightSecretOnly) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_FALSE(resources->issue_token("app", "wrong", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("nobody", "secret", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("app", "", "https://x/.default"));
  EXPECT_FALSE(resources->issue_token("app", "secret", ""));
  EXPECT_FALSE(resources->issue_token("app", "secret", "/.default"));
  EXPECT_EQ(run(executor, resources->create_admin_credential("APP", "x")).error().code,
            Code::already_exists);
  const auto generated = run(executor, resources->create_admin_credential());
  ASSERT_TRUE(generated);
  EXPECT_TRUE(
      resources->issue_token(generated->client_id, generated->secret, "https://x/.default"));
}

TEST_F(CredentialsTest, ATokenOpensTheServiceItIsFor) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_TRUE(resources->authenticate_bearer(token(), Audience::digital_twins));
  EXPECT_FALSE(resources->authenticate_bearer(token(), Audience::management));
  // The package adds "/.default" to the endpoint; az's resource id ends in a slash itself.
  for (const char* scope : {"https://localhost:8443/.default", "https://localhost:8443//.default",
                            "https://management.azure.com/.default"}) {
    EXPECT_TRUE(resources->authenticate_bearer(token(scope), Audience::management)) << scope;
    EXPECT_FALSE(resources->authenticate_bearer(token(scope), Audience::digital_twins)) << scope;
  }
  EXPECT_TRUE(resources->authenticate_bearer(token("https://eventhubs.azure.net//.default"),
                                             Audience::event_hubs));
  for (const char* header :
       {"", "Bearer", "Bearer ", "Bearer x", "Basic abc", "SharedAccessSignature sr=x"})
    EXPECT_FALSE(resources->authenticate_bearer(header, Audience::management)) << header;
}

TEST_F(CredentialsTest, ATokenEndsWithItsTimeAndWithItsPrincipalAndOutlivesARestart) {
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  const std::string header = token();
  open();
  EXPECT_TRUE(resources->authenticate_bearer(header, Audience::digital_twins));
  clock.advance(std::chrono::minutes(64));
  EXPECT_TRUE(resources->authenticate_bearer(header, Audience::digital_twins))
      << "within the leeway";
  clock.advance(std::chrono::minutes(2));
  EXPECT_FALSE(resources->authenticate_bearer(header, Audience::digital_twins));

  const std::string fresh = token();
  EXPECT_TRUE(resources->authenticate_bearer(fresh, Audience::digital_twins));
  ASSERT_TRUE(run(executor, resources->remove_principal("app")));
  EXPECT_FALSE(resources->authenticate_bearer(fresh, Audience::digital_twins));
  ASSERT_TRUE(run(executor, resources->create_admin_credential("app", "secret")));
  EXPECT_FALSE(resources->authenticate_bearer(fresh, Audience::digital_twins))
      << "another one of the same name";
}

TEST_F(CredentialsTest, RolesReachAsFarAsTheirScope) {
  const Principal principal{
      .client_id = "c",
      .object_id = "o",
      .roles = {{.role = "Contributor", .scope = "/subscriptions/s/resourceGroups/rg"},
                {.role = "Reader", .scope = "/"},
                {.role = "Azure Digital Twins Data Reader", .scope = "/"}}};
  EXPECT_TRUE(principal.may_write("/subscriptions/S/resourcegroups/RG/providers/x"));
  EXPECT_TRUE(principal.may_write("/subscriptions/s/resourceGroups/rg"));
  EXPECT_FALSE(principal.may_write("/subscriptions/s/resourceGroups/rg2"));
  EXPECT_FALSE(principal.may_write("/subscriptions/s"));
  EXPECT_TRUE(principal.may_read("/subscriptions/s"));
  EXPECT_TRUE(principal.may_read_twins("/subscriptions/s/x"));
  EXPECT_FALSE(principal.may_write_twins("/subscriptions/s/x"));
}

TEST_F(ResourcesTest, VerifiesServiceTokensAgainstPolicies) {
  set_up_all();
  const auto now = resources->catalog();
  const Hub* hub = now->find_hub("hub1");
  const auto make = [&](std::string_view policy, std::string_view policy_key) {
    return *security::parse_sas(*security::make_sas("localhost", policy_key,
                                                    security::KeyForm::base64, policy,
                                                    clock.now() + std::chrono::hours(1)));
  };
  const auto verify = [&](const security::SasToken& token, HubRight right) {
    const auto verified =
        verify_policy(hub->policies, token, security::KeyForm::base64, right, clock.now());
    return verified ? std::string((*verified)->name)
                    : std::string(to_string(verified.error().code));
  };
  const auto service = make("service", hub->find_policy("service")->secondary_key);
  EXPECT_EQ(verify(service, HubRight::service_connect), "service");
  EXPECT_EQ(verify(service, HubRight::registry_read), to_string(Code::forbidden));
  EXPECT_EQ(verify(make("iothubowner", hub->find_policy("service")->primary_key),
                   HubRight::service_connect),
            to_string(Code::unauthenticated));
  EXPECT_EQ(
      verify(make("nobody", hub->find_policy("service")->primary_key), HubRight::service_connect),
      to_string(Code::unauthenticated));
}

}  // namespace
}  // namespace doppel::resources
