// The built-in functions over the real hub and twin graph, on the store in memory: what a device's
// life does to its digital twin.
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "functions/activity_consumer.h"
#include "functions/allocation.h"
#include "functions/dead_letters.h"
#include "functions/parking.h"
#include "hub/hubs.h"
#include "store/memory/memory_store.h"
#include "twins/twin_service.h"

namespace doppel::functions {
namespace {

using doppel::testing::ManualClock;
using doppel::testing::ManualExecutor;

constexpr std::string_view kModels = R"([
  {"@id": "dtmi:test:Thermostat;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2",
   "contents": [{"@type": "Property", "name": "Temperature", "schema": "double"},
                {"@type": "Property", "name": "Label", "schema": "string"},
                {"@type": "Property", "name": "Notes", "schema": {"@type": "Map",
                 "mapKey": {"name": "k", "schema": "string"},
                 "mapValue": {"name": "v", "schema": "string"}}},
                {"@type": "Relationship", "name": "contains"}]},
  {"@id": "dtmi:test:Valve;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2",
   "contents": [{"@type": "Property", "name": "Open", "schema": "boolean"}]}])";

const HubName kHub("hub1");
const TwinsInstanceName kInstance("twins1");

class ConsumerTest : public ::testing::Test {
 protected:
  ConsumerTest() {
    auto made = std::make_shared<resources::Catalog>();
    resources::Hub hub;
    hub.name = kHub;
    hub.host_name = "localhost";
    hub.host_names = {"localhost"};
    hub.fallback_endpoint_names = {"events"};
    made->hubs.push_back(hub);
    catalog = made;
    settings.instance = kInstance;
    settings.default_model = Dtmi("dtmi:test:Thermostat;1");
    settings.hubs = {kHub};
    auto models = json::parse(kModels);
    EXPECT_TRUE(run(twins.create_models(kInstance, models->get_array(), false)).has_value());
  }

  template <class T>
  T run(Task<T> task) {
    return doppel::testing::run(executor, std::move(task));
  }

  hub::Identity make_device(const std::string& id, bool names_twin = false) {
    auto made = run(hubs.create_identity(kHub, hub::Identity{.device_id = DeviceId(id)}));
    EXPECT_TRUE(made.has_value());
    if (names_twin) {
      hub::TwinWrite write{.tags = json::Object{{"dtId", id}}, .desired = {}, .replace = false};
      EXPECT_TRUE(run(hubs.update_twin(kHub, DeviceId(id), ModuleId(), write, "*")).has_value());
    }
    return *made;
  }

  void make_twin(const std::string& id, std::optional<GenerationId> made_for = {}) {
    const std::function<Task<Result<bool>>(store::Transaction&)> body =
        [&](store::Transaction& tx) -> Task<Result<bool>> {
      auto twin = co_await twins.put_twin(
          tx, kInstance, DigitalTwinId(id),
          json::Object{{"$metadata", json::Object{{"$model", "dtmi:test:Thermostat;1"}}},
                       {"Temperature", 0.0}});
      if (!twin) co_return fail(std::move(twin.error()));
      if (made_for) {
        auto bound = co_await twins.bind_device(tx, kInstance, DigitalTwinId(id),
                                                {kHub, DeviceId(id), *made_for});
        if (!bound) co_return fail(std::move(bound.error()));
      }
      co_return true;
    };
    EXPECT_TRUE(run(store::transact<bool>(*store, body)).has_value());
  }

  void deliver(const hub::Identity& device, const std::string& body) {
    hub::DeviceMessage message{.device_id = device.device_id,
                               .module_id = {},
                               .generation = device.generation,
                               .auth_method = "{}",
                               .event = {}};
    message.event.body = body;
    std::optional<bool> sent;
    executor.post([&] {
      hubs.send(kHub, message, executor,
                [&](const Result<store::Committed>& committed) { sent = committed.has_value(); });
    });
    executor.run_until_idle();
    ASSERT_EQ(sent, true);
  }
  // The same, and its effect.
  void send(const hub::Identity& device, const std::string& body) {
    deliver(device, body);
    settle();
  }

  void remove_device(const std::string& id) {
    EXPECT_TRUE(run(hubs.delete_identity(kHub, DeviceId(id), ModuleId(), "*")).has_value());
  }

  std::optional<twins::DigitalTwin> twin(const std::string& id) {
    return *run(twins.get_twin(kInstance, DigitalTwinId(id)));
  }
  double temperature(const std::string& id) {
    return json::to_double(twin(id)->document.at("Temperature"));
  }

  // Starts a consumer for every partition.
  void start() {
    stop.emplace();
    for (std::uint32_t p = 0; p < hub::kActivityPartitions; ++p) {
      consumers.push_back(std::make_unique<ActivityConsumer>(
          ActivityConsumer::Deps{
              .store = *store, .log = log, .hubs = hubs, .twins = twins, .clock = clock},
          "app", settings, kHub, p));
      executor.post([this, consumer = consumers.back().get()] {
        ++running;
        spawn(consumer->run(stop->get_token()), [this] { --running; });
      });
    }
    executor.run_until_idle();
  }
  void end() {
    stop->request_stop();
    executor.run_until_idle();
    EXPECT_EQ(running, 0);
    consumers.clear();
  }
  void settle() { executor.advance(kGatherFor); }

  std::vector<DeadLetter> letters(std::string_view function) {
    store::Transaction tx(*store);
    return *run(list_dead_letters(tx, "app", std::string(function), "", 100));
  }

  ManualClock clock;
  ManualExecutor executor{clock};
  SeededRandom random{7};
  store::FaultInjection faults;
  std::unique_ptr<store::Store> store = store::open_memory(clock, {.faults = &faults});
  events::EventLog log{*store, clock};
  std::shared_ptr<const resources::Catalog> catalog;
  hub::HubService hubs{
      hub::HubParts{.store = *store,
                    .log = log,
                    .catalog = [this] { return catalog; },
                    .box = security::SecretBox(security::MasterKey::generate(random), random),
                    .clock = clock,
                    .random = random}};
  twins::TwinService twins{*store, clock, random};
  AppSettings settings;
  std::optional<std::stop_source> stop;
  std::vector<std::unique_ptr<ActivityConsumer>> consumers;
  int running = 0;
};

TEST_F(ConsumerTest, TelemetryUpdatesThePropertiesOfTheModelAndNothingElse) {
  const auto device = make_device("t1");
  make_twin("t1", device.generation);
  start();
  send(device, R"({"Temperature": 21.5, "Label": "hall", "Humidity": 40, "Other": {"a": 1}})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 21.5);
  EXPECT_EQ(twin("t1")->document.at("Label"), "hall");
  EXPECT_FALSE(twin("t1")->document.contains("Humidity"));
  // A value that does not fit, a body that is no object, a body that is no JSON: skipped, not
  // fatal.
  for (const char* body : {R"({"Temperature": "hot"})", "[1]", "\xFF\xFE", ""}) send(device, body);
  send(device, R"({"Temperature": 22.5})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 22.5);
  EXPECT_TRUE(letters(kTelemetryFunction).empty());
  end();
}

TEST_F(ConsumerTest, ABatchOfTelemetryCostsOneChangeOfTheTwin) {
  const auto device = make_device("t1");
  make_twin("t1", device.generation);
  for (int i = 0; i < 20; ++i) send(device, R"({"Temperature": )" + std::to_string(i) + "}");
  const auto before = store->snapshot()->version();
  start();
  EXPECT_DOUBLE_EQ(temperature("t1"), 19);
  EXPECT_EQ(store->snapshot()->version().value, before.value + 1);
  end();
}

TEST_F(ConsumerTest, DeletingTheDeviceDeletesItsTwinWithRelationshipsBothWays) {
  const auto device = make_device("t1");
  make_twin("t1", device.generation);
  make_twin("other");
  const std::function<Task<Result<bool>>(store::Transaction&)> link =
      [&](store::Transaction& tx) -> Task<Result<bool>> {
    auto out = co_await twins.put_relationship_if(
        tx, kInstance, DigitalTwinId("t1"), RelationshipId("out"),
        json::Object{{"$targetId", "other"}, {"$relationshipName", "contains"}}, {});
    if (!out) co_return fail(std::move(out.error()));
    auto in = co_await twins.put_relationship_if(
        tx, kInstance, DigitalTwinId("other"), RelationshipId("in"),
        json::Object{{"$targetId", "t1"}, {"$relationshipName", "contains"}}, {});
    if (!in) co_return fail(std::move(in.error()));
    co_return true;
  };
  ASSERT_TRUE(run(store::transact<bool>(*store, link)).has_value());
  start();
  send(device, R"({"Temperature": 21.5})");
  remove_device("t1");
  settle();
  EXPECT_FALSE(twin("t1").has_value());
  EXPECT_TRUE(twin("other").has_value());
  end();
}

// Hole 4 of the cloud pattern: the deletion of an earlier device arrives when its successor is
// already there.
TEST_F(ConsumerTest, ALateDeletionDoesNotTouchTheTwinOfTheNextDeviceOfThatName) {
  make_device("t1");
  make_twin("t1", GenerationId("an earlier one"));
  remove_device("t1");
  const auto next = make_device("t1");
  const std::function<Task<Result<bool>>(store::Transaction&)> rebind =
      [&](store::Transaction& tx) -> Task<Result<bool>> {
    auto bound = co_await twins.bind_device(tx, kInstance, DigitalTwinId("t1"),
                                            {kHub, DeviceId("t1"), next.generation});
    if (!bound) co_return fail(std::move(bound.error()));
    co_return true;
  };
  ASSERT_TRUE(run(store::transact<bool>(*store, rebind)).has_value());
  start();
  EXPECT_TRUE(twin("t1").has_value());
  remove_device("t1");
  settle();
  EXPECT_FALSE(twin("t1").has_value());
  end();
}

TEST_F(ConsumerTest, ATwinMadeByHandGoesWithTheDeviceOfItsName) {
  make_twin("hand");
  make_device("hand");
  start();
  remove_device("hand");
  settle();
  EXPECT_FALSE(twin("hand").has_value());
  end();
}

TEST_F(ConsumerTest, TelemetryOfAnEarlierGenerationIsSkipped) {
  auto device = make_device("t1");
  make_twin("t1", device.generation);
  device.generation = GenerationId("earlier");
  start();
  send(device, R"({"Temperature": 99})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 0);
  end();
}

TEST_F(ConsumerTest, TelemetryWaitsForATwinThatIsExpectedAndThenTakesEffectInOrder) {
  const auto device = make_device("t1", true);
  start();
  send(device, R"({"Temperature": 1, "Label": "first"})");
  send(device, R"({"Temperature": 2})");
  make_twin("t1", device.generation);
  send(device, R"({"Temperature": 3})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 3);
  EXPECT_EQ(twin("t1")->document.at("Label"), "first");
  end();
}

// A busy partition costs one commit for what came within kGatherFor; a quiet one does not wait.
TEST_F(ConsumerTest, WhatComesInARowIsTakenTogetherAndTheFirstAtOnce) {
  const auto device = make_device("t1");
  make_twin("t1", device.generation);
  start();
  settle();
  deliver(device, R"({"Temperature": 1})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 1);
  deliver(device, R"({"Temperature": 2})");
  deliver(device, R"({"Temperature": 3})");
  EXPECT_DOUBLE_EQ(temperature("t1"), 1);
  const auto before = store->snapshot()->version();
  executor.advance(kGatherFor);
  EXPECT_DOUBLE_EQ(temperature("t1"), 3);
  EXPECT_EQ(store->snapshot()->version(), before.next());
  end();
}

TEST_F(ConsumerTest, ParkedTelemetryTakesEffectWithoutFurtherMessages) {
  const auto device = make_device("t1", true);
  start();
  send(device, R"({"Temperature": 5})");
  make_twin("t1", device.generation);
  executor.advance(kParkedLookEvery * 3);
  EXPECT_DOUBLE_EQ(temperature("t1"), 5);
  end();
}

TEST_F(ConsumerTest, WhatWaitsTooLongOrIsTooMuchBecomesADeadLetterAndCanBeReplayed) {
  const auto device = make_device("t1", true);
  start();
  for (std::size_t i = 0; i < kParkedEventsMax + 1; ++i) send(device, R"({"Temperature": 5})");
  ASSERT_EQ(letters(kTelemetryFunction).size(), 1u);
  executor.advance(kParkedFor + std::chrono::seconds(5));
  EXPECT_EQ(letters(kTelemetryFunction).size(), 100u);  // the listing's limit
  store::Transaction tx(*store);
  EXPECT_TRUE(run(parked_for(tx, "app",
                             {hub::activity_log(kHub),
                              events::partition_of("t1", hub::kActivityPartitions)},
                             DeviceId("t1")))
                  ->empty());
  end();
}

// Fits the model, but not into a digital twin.
std::string oversized_notes() {
  json::Object notes;
  for (int i = 0; i < 20; ++i) notes["k" + std::to_string(i)] = std::string(4000, 'x');
  return json::write(json::Object{{"Notes", std::move(notes)}});
}

// The event that cannot be taken is the dead letter, not the ones that came after it.
TEST_F(ConsumerTest, AParkedEventThatCannotBeTakenIsTheDeadLetterItself) {
  const auto device = make_device("t1", true);
  start();
  send(device, R"({"Label": "first"})");
  send(device, oversized_notes());
  send(device, R"({"Temperature": 1})");
  make_twin("t1", device.generation);
  send(device, R"({"Temperature": 3})");
  send(device, R"({"Temperature": 4})");
  executor.advance(std::chrono::seconds(30));

  const auto dead = letters(kTelemetryFunction);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead.front().event.body, oversized_notes());
  EXPECT_EQ(dead.front().attempts, static_cast<std::uint32_t>(kAttemptsMax));
  EXPECT_DOUBLE_EQ(temperature("t1"), 4);
  EXPECT_EQ(twin("t1")->document.at("Label"), "first");
  end();
}

TEST_F(ConsumerTest, AParkedEventThatCannotBeTakenDoesNotWaitForFurtherMessages) {
  const auto device = make_device("t1", true);
  start();
  send(device, oversized_notes());
  send(device, R"({"Temperature": 1})");
  make_twin("t1", device.generation);
  executor.advance(std::chrono::seconds(30));
  const auto dead = letters(kTelemetryFunction);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead.front().event.body, oversized_notes());
  EXPECT_DOUBLE_EQ(temperature("t1"), 1);
  end();
}

// Effect and checkpoint are one commit: whatever happens to a flush, each event counts once.
TEST_F(ConsumerTest, AFailedFlushNeitherLosesNorRepeatsAnEffect) {
  const auto device = make_device("t1");
  make_twin("t1", device.generation);
  send(device, R"({"Temperature": 8})");
  faults.fail_next_flush(store::FaultInjection::Fault::lose_answer);
  start();
  executor.advance(std::chrono::seconds(30));
  EXPECT_DOUBLE_EQ(temperature("t1"), 8);
  const auto etag = twin("t1")->etag;
  end();
  start();  // again from the checkpoint
  executor.advance(std::chrono::seconds(1));
  EXPECT_EQ(twin("t1")->etag, etag);
  end();
}

class AllocationTest : public ConsumerTest {
 protected:
  Result<AllocationAnswer> allocate(std::string_view request) {
    const std::function<Task<Result<AllocationAnswer>>(store::Transaction&)> body =
        [&](store::Transaction& tx) {
          return allocate_digital_twin(tx, twins, settings, *json::parse(request));
        };
    return run(store::transact<AllocationAnswer>(*store, body));
  }
  static std::string request(std::string_view payload) {
    return R"({"deviceRuntimeContext":{"registrationId":"d1")" + std::string(payload) +
           R"(},"linkedHubs":["h1","h2"]})";
  }
};

TEST_F(AllocationTest, MakesTheTwinAndAnswersAsTheSampleDoes) {
  const auto answer = allocate(request(R"(,"payload":{"modelId":"dtmi:test:Thermostat;1"})"));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(
      json::write(to_json(*answer)),
      R"({"iotHubHostName":"h1","initialTwin":{"tags":{"dtmi":"dtmi:test:Thermostat;1","dtId":"d1"},"properties":{"desired":{}}}})");
  EXPECT_DOUBLE_EQ(temperature("d1"), 0);
}

TEST_F(AllocationTest, KeepsATwinOfTheSameModelUntouched) {
  make_twin("d1");
  const auto etag = twin("d1")->etag;
  ASSERT_TRUE(allocate(request(R"(,"payload":{"modelId":"DTMI:test:thermostat;1"})")).has_value());
  EXPECT_EQ(twin("d1")->etag, etag);
  // Without a modelId the twin's own model holds.
  ASSERT_TRUE(allocate(request("")).has_value());
  EXPECT_EQ(twin("d1")->etag, etag);
}

TEST_F(AllocationTest, AnotherModelIsSettledByTheSetting) {
  make_twin("d1");
  const auto other = request(R"(,"payload":{"modelId":"dtmi:test:Valve;1"})");
  settings.on_model_change = OnModelChange::keep;
  EXPECT_EQ(allocate(other)->initial_twin->tags.at("dtmi"), "dtmi:test:Thermostat;1");
  settings.on_model_change = OnModelChange::fail;
  EXPECT_EQ(allocate(other).error().code, Code::invalid_argument);
  EXPECT_EQ(twin("d1")->model.view(), "dtmi:test:Thermostat;1");
  settings.on_model_change = OnModelChange::replace;
  ASSERT_TRUE(allocate(other).has_value());
  EXPECT_EQ(twin("d1")->model.view(), "dtmi:test:Valve;1");
  EXPECT_FALSE(twin("d1")->document.contains("Temperature"));
}

TEST_F(AllocationTest, RefusesWithTheSamplesTexts) {
  EXPECT_EQ(allocate("{}").error().message, "Registration ID not provided for the device.");
  EXPECT_EQ(allocate(R"({"deviceRuntimeContext":{"registrationId":"d1"},"linkedHubs":[]})")
                .error()
                .message,
            "No hub group defined for the enrollment.");
  const auto unknown = allocate(request(R"(,"payload":{"modelId":"dtmi:test:None;1"})"));
  EXPECT_EQ(unknown.error().code, Code::internal);
  EXPECT_NE(unknown.error().message.find("dtmi:test:None;1"), std::string::npos);
  settings.default_model = Dtmi();
  EXPECT_EQ(allocate(request("")).error().code, Code::invalid_argument);
  EXPECT_FALSE(twin("d1").has_value());
}

}  // namespace
}  // namespace doppel::functions
