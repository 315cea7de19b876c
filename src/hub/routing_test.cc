#include <gmock/gmock.h>

#include "errors/hub.h"
#include "hub/hub_fixture.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const events::LogName kAlarms{.space = "ns", .name = "alarms"};
const events::LogName kLifecycle{.space = "ns", .name = "lifecycleevents"};

class RoutingTest : public HubFixture {
 protected:
  RoutingTest() {
    device = make_device("d1");
    routed.endpoints = {{.name = "alarm-endpoint", .event_space = "NS", .event_hub = "alarms"},
                        {.name = "lifecycle", .event_space = "ns", .event_hub = "LifecycleEvents"},
                        {.name = "gone", .event_space = "ns", .event_hub = "deleted"}};
  }

  void route(std::string source, std::string condition, std::string endpoint, bool enabled = true) {
    routed.routes.push_back({.name = "r" + std::to_string(routed.routes.size()),
                             .source = std::move(source),
                             .condition = std::move(condition),
                             .endpoint_names = {std::move(endpoint)},
                             .enabled = enabled});
    apply();
  }
  void apply() {
    resources::EventSpace space;
    space.name = "ns";
    for (const auto name : {"alarms", "lifecycleevents"}) {
      resources::EventHub event_hub;
      event_hub.name = name;
      event_hub.partitions = 2;
      space.event_hubs.push_back(std::move(event_hub));
    }
    set_catalog(routed, {space});
  }

  Status send(events::Event event) {
    DeviceMessage message{.device_id = DeviceId("d1"),
                          .generation = device.generation,
                          .auth_method = R"({"scope":"device"})",
                          .event = std::move(event)};
    std::optional<Status> outcome;
    hubs.send(hub, std::move(message), executor, [&](const Result<store::Committed>& sent) {
      outcome = sent ? Status() : Status(fail(sent.error()));
    });
    executor.run_until_idle();
    EXPECT_TRUE(outcome.has_value());
    return outcome.value_or(Status());
  }
  std::vector<std::string> bodies(const events::LogName& name, std::uint32_t partitions) {
    std::vector<std::string> texts;
    for (const auto& event : events_in(name, partitions)) texts.push_back(event.body);
    return texts;
  }
  std::vector<std::string> telemetry_in_activity() {
    std::vector<std::string> texts;
    for (const auto& event : activity())
      if (event.annotation("iothub-message-source") == "Telemetry") texts.push_back(event.body);
    return texts;
  }

  Identity device;
  resources::Hub routed = default_hub();
};

TEST_F(RoutingTest, WithoutRoutesTelemetryGoesToTheBuiltinEndpoint) {
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(builtin_log(hub), 4), ElementsAre("m"));
  EXPECT_THAT(telemetry_in_activity(), ElementsAre("m"));
}

TEST_F(RoutingTest, WithoutRoutesAndFallbackTheBuiltinEndpointStillGetsIt) {
  routed.fallback_enabled = false;
  apply();
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(builtin_log(hub), 4), ElementsAre("m"));
}

TEST_F(RoutingTest, TheFallbackGetsOnlyWhatNoRouteMatched) {
  route("DeviceMessages", "level='alarm'", "alarm-endpoint");
  ASSERT_TRUE(send({.body = "plain"}));
  ASSERT_TRUE(send({.body = "loud", .application_properties = {{"level", "alarm"}}}));
  EXPECT_THAT(bodies(kAlarms, 2), ElementsAre("loud"));
  EXPECT_THAT(bodies(builtin_log(hub), 4), ElementsAre("plain"));
  EXPECT_THAT(telemetry_in_activity(), ElementsAre("plain", "loud"));
}

TEST_F(RoutingTest, WithAnyRouteAndNoFallbackUnmatchedTelemetryIsInTheActivityLogOnly) {
  routed.fallback_enabled = false;
  route("DeviceLifecycleEvents", "true", "lifecycle");
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(builtin_log(hub), 4), IsEmpty());
  EXPECT_THAT(telemetry_in_activity(), ElementsAre("m"));
}

TEST_F(RoutingTest, SeveralRoutesToOneEndpointDeliverOnce) {
  route("DeviceMessages", "true", "alarm-endpoint");
  route("DeviceMessages", "true", "Alarm-Endpoint");
  route("DeviceMessages", "true", "events");
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(kAlarms, 2), ElementsAre("m"));
  EXPECT_THAT(bodies(builtin_log(hub), 4), ElementsAre("m"));
}

TEST_F(RoutingTest, DisabledRoutesCountAsAbsent) {
  route("DeviceMessages", "true", "alarm-endpoint", false);
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(kAlarms, 2), IsEmpty());
  EXPECT_THAT(bodies(builtin_log(hub), 4), ElementsAre("m"));
}

// The sample's route: deletions, and nothing else, reach the event hub.
TEST_F(RoutingTest, LifecycleEventsFollowTheirCondition) {
  route("DeviceLifecycleEvents", "opType='deleteDeviceIdentity'", "lifecycle");
  make_device("d2");
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d2"), ModuleId(), "*")));
  const auto events = events_in(kLifecycle, 2);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].property("opType"), "deleteDeviceIdentity");
  EXPECT_EQ(events[0].property("deviceId"), "d2");
  EXPECT_THAT(bodies(builtin_log(hub), 4), IsEmpty()) << "no fallback for lifecycle events";
}

TEST_F(RoutingTest, ARouteToAnEventHubThatIsGoneDoesNotStopTheOthers) {
  route("DeviceMessages", "true", "gone");
  route("DeviceMessages", "true", "alarm-endpoint");
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_THAT(bodies(kAlarms, 2), ElementsAre("m"));
}

TEST_F(RoutingTest, ConditionsSeePropertiesSystemPropertiesAndBodies) {
  struct Case {
    std::string_view condition;
    bool matches;
  };
  for (const auto& [condition, matches] : {
           Case{"level = 'alarm'", true},
           Case{"LEVEL = 'alarm'", true},
           Case{"level = 'ALARM'", false},
           Case{"as_number(severity) >= 3", true},
           Case{"absent = 'x'", false},
           Case{"is_defined(absent)", false},
           Case{"$connectionDeviceId = 'd1'", true},
           Case{"$contentType = 'application/json'", true},
           Case{"$messageId = 'm-1'", true},
           Case{"$iothub-message-source = 'Telemetry'", true},
           Case{"$enqueuedTime > '2026-01-01T00:00:00Z'", true},
           Case{"$body.Temperature > 20", true},
           Case{"$body.deep.list[1] = 'b'", true},
           Case{"$body.none = 1", false},
           Case{"STARTS_WITH(level, 'al') AND NOT severity = '4'", true},
       }) {
    const auto parsed = RouteCondition::parse(condition);
    ASSERT_TRUE(parsed) << condition << ": " << parsed.error().message;
    const events::Event event{
        .body = R"({"Temperature":22.5,"deep":{"list":["a","b"]}})",
        .application_properties = {{"level", "alarm"}, {"severity", "3"}},
        .annotations = {{"iothub-connection-device-id", "d1"},
                        {"iothub-message-source", "Telemetry"},
                        {"iothub-enqueuedtime", "2027-01-15T08:00:00.0000000Z"}},
        .message_id = "m-1",
        .content_type = "application/json",
        .content_encoding = "utf-8"};
    auto seen = events::view(event);
    EXPECT_EQ(parsed->matches(RoutedEvent(seen)), matches) << condition;
    if (condition.find("$body") == std::string_view::npos) continue;
    seen.content_type = "text/plain";
    EXPECT_FALSE(parsed->matches(RoutedEvent(seen))) << condition << " without a JSON body";
  }
}

TEST_F(RoutingTest, ChecksRoutesWhenTheyAreMade) {
  EXPECT_TRUE(HubService::check_route("DeviceLifecycleEvents", "opType='deleteDeviceIdentity'"));
  EXPECT_TRUE(HubService::check_route("devicemessages", "true"));
  EXPECT_TRUE(HubService::check_route("DeviceMessages", ""));
  for (const auto& [source, condition] :
       {std::pair("Nonsense", "true"), std::pair("DeviceMessages", "a = "),
        std::pair("DeviceMessages", "$twin.tags.x = 1")}) {
    const auto refused = HubService::check_route(source, condition);
    ASSERT_FALSE(refused) << condition;
    EXPECT_EQ(refused.error().service, &errors::hub::kArgumentInvalid);
  }
}

// ---- Messages ----

TEST_F(RoutingTest, AMessageKeepsWhatTheDeviceSetAndGetsTheHubsAnnotations) {
  ASSERT_TRUE(send({.body = std::string("\0\xFFraw", 5),
                    .application_properties = {{"p", "1"}},
                    .message_id = "m-1",
                    .correlation_id = "c",
                    .content_type = "text/plain"}));
  const auto events = builtin();
  ASSERT_THAT(events, SizeIs(1));
  const auto& event = events[0];
  EXPECT_EQ(event.body, std::string("\0\xFFraw", 5));
  EXPECT_EQ(event.message_id, "m-1");
  EXPECT_EQ(event.content_type, "text/plain");
  EXPECT_EQ(event.property("p"), "1");
  EXPECT_EQ(event.annotation("iothub-connection-device-id"), "d1");
  EXPECT_EQ(event.annotation("iothub-connection-module-id"), std::nullopt);
  EXPECT_EQ(event.annotation("iothub-connection-auth-method"), R"({"scope":"device"})");
  EXPECT_EQ(event.annotation("iothub-connection-auth-generation-id"), device.generation.view());
  EXPECT_EQ(event.annotation("iothub-enqueuedtime"), "2027-01-15T08:00:00.0000000Z");
  EXPECT_EQ(event.annotation("iothub-message-source"), "Telemetry");
}

TEST_F(RoutingTest, TheSizeLimitCountsBodyAndProperties) {
  EXPECT_TRUE(send({.body = std::string(kMessageSizeMax, 'x')}));
  EXPECT_TRUE(send({.body = std::string(kMessageSizeMax - 10, 'x'),
                    .application_properties = {{"abc", "de"}},
                    .message_id = "12345"}));
  const auto refused = send({.body = std::string(kMessageSizeMax - 10, 'x'),
                             .application_properties = {{"abc", "de"}},
                             .message_id = "123456"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().service, &errors::hub::kMessageTooLarge);
  EXPECT_THAT(builtin(), SizeIs(2));
}

TEST_F(RoutingTest, AMessageForNoHubIsRefused) {
  std::optional<Status> outcome;
  hubs.send(HubName("none"), {.device_id = DeviceId("d1")}, executor,
            [&](const Result<store::Committed>& sent) {
              outcome = sent ? Status() : Status(fail(sent.error()));
            });
  EXPECT_FALSE(outcome.has_value()) << "never from within the call";
  executor.run_until_idle();
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().service, &errors::hub::kIotHubNotFound);
}

TEST_F(RoutingTest, AMessageIsAcknowledgedOnlyWhenItIsDurable) {
  faults.hold();
  std::optional<Status> outcome;
  hubs.send(hub, {.device_id = DeviceId("d1"), .event = {.body = "m"}}, executor,
            [&](const Result<store::Committed>& sent) {
              outcome = sent ? Status() : Status(fail(sent.error()));
            });
  executor.run_until_idle();
  EXPECT_FALSE(outcome.has_value());
  faults.release();
  executor.run_until_idle();
  EXPECT_TRUE(outcome && *outcome);
}

TEST_F(RoutingTest, AFailedFlushIsToldAndCommitsNothing) {
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto refused = send({.body = "m"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_THAT(builtin(), IsEmpty());
}

// One device, one partition: its deletion comes after all it sent.
TEST_F(RoutingTest, TelemetryAndDeletionReachTheActivityLogInOrder) {
  ASSERT_TRUE(send({.body = "1"}));
  ASSERT_TRUE(send({.body = "2"}));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  const events::Partition partition{.log = activity_log(hub),
                                    .index = events::partition_of("d1", kActivityPartitions)};
  const auto events = run(log.read(partition, {}, 100));
  ASSERT_THAT(*events, SizeIs(4));
  EXPECT_EQ((*events)[0].event.property("opType"), "createDeviceIdentity");
  EXPECT_EQ((*events)[1].event.body, "1");
  EXPECT_EQ((*events)[2].event.body, "2");
  EXPECT_EQ((*events)[3].event.property("opType"), "deleteDeviceIdentity");
}

TEST_F(RoutingTest, SendingCountsAsActivity) {
  clock.advance(std::chrono::minutes(3));
  ASSERT_TRUE(send({.body = "m"}));
  EXPECT_EQ(hubs.presence(hub, DeviceId("d1"), ModuleId()).last_activity, clock.now());
}

}  // namespace
}  // namespace doppel::hub
