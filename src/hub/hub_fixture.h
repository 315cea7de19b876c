// What tests of the hub start from: one hub over the memory store, everything on one hand-cranked
// executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/testing.h"
#include "events/api.h"
#include "hub/hubs.h"
#include "resources/catalog.h"
#include "security/keys.h"
#include "security/sas.h"
#include "store/memory/memory_store.h"

namespace doppel::hub {

class HubFixture : public ::testing::Test {
 protected:
  HubFixture() { set_catalog(default_hub()); }

  static resources::Hub default_hub() {
    resources::Hub made;
    made.name = HubName("contoso");
    made.id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/contoso";
    made.host_name = "contoso.test";
    made.host_names = {"contoso.test", "localhost"};
    made.fallback_endpoint_names = {"events"};
    const auto policy = [&](std::string_view name, std::uint8_t rights) {
      made.policies.push_back({.name = std::string(name),
                               .primary_key = key_of(std::string(name) + "1"),
                               .secondary_key = key_of(std::string(name) + "2"),
                               .rights = rights});
    };
    policy("iothubowner", 15);
    policy("service", 4);
    policy("device", 8);
    policy("registryRead", 1);
    return made;
  }

  // A key that is the same in every run.
  static std::string key_of(std::string_view name) { return base64_encode(security::sha256(name)); }

  void set_catalog(resources::Hub only, std::vector<resources::EventSpace> spaces = {}) {
    auto made = std::make_shared<resources::Catalog>();
    made->hubs.push_back(std::move(only));
    made->event_spaces = std::move(spaces);
    made->finish();
    catalog = std::move(made);
  }

  template <class T>
  T run(Task<T> task) {
    return testing::run(executor, std::move(task));
  }

  Identity make_device(std::string_view id, Identity wanted = {}) {
    wanted.device_id = DeviceId(id);
    auto made = run(hubs.create_identity(hub, std::move(wanted)));
    EXPECT_TRUE(made) << made.error().message;
    return *made;
  }
  Result<Identity> get_device(std::string_view id, std::string_view module = {}) {
    return run(hubs.get_identity(hub, DeviceId(id), ModuleId(module)));
  }

  std::string token(std::string_view resource, std::string_view key, std::string_view policy = {},
                    Duration life = std::chrono::hours(1)) {
    return *security::make_sas(resource, key, security::KeyForm::base64, policy,
                               clock.now() + life);
  }
  std::string device_token(const Identity& identity) {
    return token("contoso.test/devices/" + identity.device_id.str(),
                 identity.authentication.primary_key);
  }

  // All events of a log, oldest partition first.
  std::vector<events::Event> events_in(const events::LogName& name, std::uint32_t partitions = 4) {
    std::vector<events::Event> all;
    for (std::uint32_t i = 0; i < partitions; ++i) {
      auto read = run(log.read({.log = name, .index = i}, {}, 1000));
      EXPECT_TRUE(read);
      for (auto& stored : *read) all.push_back(std::move(stored.event));
    }
    return all;
  }
  std::vector<events::Event> activity() { return events_in(activity_log(hub)); }
  std::vector<events::Event> builtin() { return events_in(builtin_log(hub)); }

  static json::Value parse(std::string_view text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return *value;
  }
  static json::Object object(std::string_view text) { return parse(text).get_object(); }

  testing::ManualClock clock;
  testing::ManualExecutor executor{clock};
  SeededRandom random{7};
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store = store::open_memory(clock, {.faults = &faults});
  events::EventLog log{*store, clock};
  std::shared_ptr<const resources::Catalog> catalog;
  const HubName hub{"contoso"};
  HubService hubs{HubParts{
      .store = *store,
      .log = log,
      .catalog = [this] { return catalog; },
      .box = security::SecretBox(security::MasterKey::generate(random), random),
      .clock = clock,
      .random = random,
  }};
};

// A connection that remembers what it was told.
class RecordedConnection final : public DeviceConnection {
 public:
  void close(CloseCause cause) override { closed.emplace_back(to_text(cause)); }
  void push_desired(const std::string& body, std::int64_t version) override {
    pushed.emplace_back(version, body);
  }
  std::vector<std::string> closed;
  std::vector<std::pair<std::int64_t, std::string>> pushed;
};

}  // namespace doppel::hub
