#include "resources/resources_testing.h"

namespace doppel::resources::testing {
namespace {

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

// Whoever gives the server the name of an instance means that instance.
TEST_F(ResourcesTest, AnInstancesOwnNameIsNotAnAliasOfTheFirst) {
  set_up_all();
  ASSERT_EQ(refusal(put(resources->hub_id("rg", "hub2"), R"({"location":"eastus"})")), "");
  for (const auto& server_names : {std::vector<std::string>{"localhost", "hub2.localhost"},
                                   std::vector<std::string>{"plant.example", "hub2.localhost"}}) {
    defaults.host_names = server_names;
    open();
    const auto now = resources->catalog();
    ASSERT_NE(now->find_hub_by_host("hub2.localhost"), nullptr);
    EXPECT_EQ(now->find_hub_by_host("hub2.localhost")->name, HubName("hub2"));
    EXPECT_EQ(now->find_hubs_by_host("hub2.localhost").size(), 1u);
    EXPECT_EQ(now->find_hub_by_host("localhost")->name, HubName("hub1"));
    EXPECT_EQ(now->find_hub_by_host(server_names.front())->name, HubName("hub1"));
    // Of a kind that has nothing of that name it stays an alias.
    EXPECT_NE(now->find_twins_by_host("hub2.localhost"), nullptr);
  }
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

}  // namespace
}  // namespace doppel::resources::testing
