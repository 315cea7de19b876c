// The fixture of this folder's tests: a Resources over a store in memory, and a way to fill it as
// the integration guide does.
#pragma once

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "resources/api.h"
#include "resources/types.h"
#include "store/memory/memory_store.h"

namespace doppel::resources::testing {

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

}  // namespace doppel::resources::testing
