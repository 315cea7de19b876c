#include <gmock/gmock.h>

#include "base/time_text.h"
#include "errors/hub.h"
#include "hub/hub_fixture.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class DeviceTwinsTest : public HubFixture {
 protected:
  DeviceTwinsTest() { device = make_device("d1"); }

  Result<TwinView> write(TwinWrite wanted, std::string if_match = "*") {
    return run(
        hubs.update_twin(hub, DeviceId("d1"), ModuleId(), std::move(wanted), std::move(if_match)));
  }
  Result<TwinView> patch_desired(std::string_view text) {
    return write({.tags = std::nullopt, .desired = object(text)});
  }
  Result<std::int64_t> report(std::string_view text,
                              std::optional<std::int64_t> base = std::nullopt) {
    return run(hubs.patch_reported(hub, DeviceId("d1"), ModuleId(), device.generation, object(text),
                                   base));
  }
  TwinView twin() { return *run(hubs.get_twin(hub, DeviceId("d1"), ModuleId())); }

  // A hub whose twin change events go to the built-in endpoint.
  void route_twin_changes() {
    auto routed = default_hub();
    routed.routes.push_back({.name = "changes",
                             .source = "TwinChangeEvents",
                             .condition = "true",
                             .endpoint_names = {"events"}});
    set_catalog(std::move(routed));
  }

  template <class T>
  static void expect_error(const Result<T>& result, const ServiceError& error) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().service, &error) << result.error().message;
  }

  Identity device;
};

TEST_F(DeviceTwinsTest, AFreshTwinHasItsExactForm) {
  EXPECT_EQ(json::write(twin_document(twin())),
            R"({"deviceId":"d1","etag":"AAAAAAAAAAE=","deviceEtag":")" + device.etag.str() +
                R"(","status":"enabled","statusUpdateTime":"0001-01-01T00:00:00Z",)"
                R"("connectionState":"Disconnected","lastActivityTime":"0001-01-01T00:00:00Z",)"
                R"("cloudToDeviceMessageCount":0,"authenticationType":"sas",)"
                R"("x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null},)"
                R"("modelId":"","version":2,"tags":{},"properties":{)"
                R"("desired":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1},)"
                R"("reported":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1}},)"
                R"("capabilities":{"iotEdge":false}})");
}

TEST_F(DeviceTwinsTest, APatchOfSeveralSectionsIsOneVersionStep) {
  const auto written = write({.tags = object(R"({"site":"A"})"), .desired = object(R"({"t":1})")});
  ASSERT_TRUE(written);
  EXPECT_EQ(written->twin.version, 3);
  EXPECT_EQ(written->twin.desired_version, 2);
  EXPECT_EQ(written->twin.etag, 2u);
  const auto now = to_iso8601(clock.now());
  EXPECT_EQ(json::write(twin_properties(written->twin).at("desired")),
            R"({"t":1,"$metadata":{"$lastUpdated":")" + now + R"(","$lastUpdatedVersion":2,)" +
                R"("t":{"$lastUpdated":")" + now + R"(","$lastUpdatedVersion":2}},"$version":2})");
}

TEST_F(DeviceTwinsTest, TagsAloneLeaveDesiredAlone) {
  ASSERT_TRUE(write({.tags = object(R"({"a":1})"), .desired = std::nullopt}));
  const auto now = twin();
  EXPECT_EQ(now.twin.version, 3);
  EXPECT_EQ(now.twin.desired_version, 1);
  EXPECT_EQ(now.twin.etag, 2u);
}

TEST_F(DeviceTwinsTest, AnEmptyPatchChangesNothing) {
  ASSERT_TRUE(write({.tags = object("{}"), .desired = object("{}")}));
  EXPECT_EQ(twin().twin.version, 2);
  EXPECT_EQ(twin().twin.etag, 1u);
}

TEST_F(DeviceTwinsTest, ReplacingTouchesOnlyTheSectionsGiven) {
  ASSERT_TRUE(write({.tags = object(R"({"a":1})"), .desired = object(R"({"x":1,"y":2})")}));
  ASSERT_TRUE(write({.tags = std::nullopt, .desired = object(R"({"y":3})"), .replace = true}));
  EXPECT_EQ(json::write(twin().twin.tags), R"({"a":1})");
  EXPECT_EQ(json::write(twin().twin.desired), R"({"y":3})");
  ASSERT_TRUE(write({.tags = object("{}"), .desired = std::nullopt, .replace = true}));
  EXPECT_THAT(twin().twin.tags, IsEmpty());
}

TEST_F(DeviceTwinsTest, EtagsGuardWritesOfServices) {
  expect_error(write({.tags = object(R"({"a":1})"), .desired = std::nullopt}, "\"AAAAAAAAAP8=\""),
               errors::hub::kPreconditionFailed);
  EXPECT_TRUE(write({.tags = object(R"({"a":1})"), .desired = std::nullopt}, "\"AAAAAAAAAAE=\""));
  expect_error(write({.tags = object(R"({"a":2})"), .desired = std::nullopt}, "AAAAAAAAAAE="),
               errors::hub::kPreconditionFailed);
  EXPECT_TRUE(write({.tags = object(R"({"a":2})"), .desired = std::nullopt}, "\"*\""));
}

TEST_F(DeviceTwinsTest, ReportedPropertiesCountOnTheirOwnAndKeepTheEtag) {
  EXPECT_EQ(*report(R"({"fw":"1.0","net":{"ip":"10.0.0.1","up":true},"gone":1})"), 2);
  EXPECT_EQ(*report(R"({"gone":null,"net":{"up":false}})"), 3);
  const auto now = twin().twin;
  EXPECT_EQ(json::write(now.reported), R"({"fw":"1.0","net":{"ip":"10.0.0.1","up":false}})");
  EXPECT_EQ(now.version, 4);
  EXPECT_EQ(now.etag, 1u);
  EXPECT_FALSE(now.reported_metadata.contains("gone"));
}

TEST_F(DeviceTwinsTest, ReportedPatchesCanBeConditional) {
  expect_error(report(R"({"a":1})", 7), errors::hub::kPreconditionFailed);
  EXPECT_EQ(*report(R"({"a":1})", 1), 2);
}

TEST_F(DeviceTwinsTest, RefusesBadPatches) {
  expect_error(report(R"({"a.b":1,"$x":2})"), errors::hub::kArgumentInvalid);
  expect_error(patch_desired(R"({"a":[null]})"), errors::hub::kArgumentInvalid);
  expect_error(write({.tags = object(R"({"a b":1})"), .desired = std::nullopt}),
               errors::hub::kArgumentInvalid);
  EXPECT_EQ(twin().twin.version, 2);
}

TEST_F(DeviceTwinsTest, RefusesASectionThatGrowsOverItsLimit) {
  std::string big = R"({"a":")" + std::string(4000, 'x') + R"(","b":")" + std::string(4000, 'x') +
                    R"(","c":")" + std::string(200, 'x') + R"("})";
  expect_error(write({.tags = object(big), .desired = std::nullopt}),
               errors::hub::kArgumentInvalid);
  EXPECT_TRUE(write({.tags = std::nullopt, .desired = object(big)}));
}

TEST_F(DeviceTwinsTest, TheDeviceSeesItsOwnViewOnly) {
  ASSERT_TRUE(write({.tags = object(R"({"secret":1})"), .desired = object(R"({"t":1})")}));
  ASSERT_TRUE(report(R"({"fw":1})"));
  EXPECT_EQ(*run(hubs.get_twin_for_device(hub, DeviceId("d1"), ModuleId())),
            R"({"desired":{"t":1,"$version":2},"reported":{"fw":1,"$version":2}})");
}

TEST_F(DeviceTwinsTest, AnEarlierIdentityCannotWrite) {
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  expect_error(report(R"({"a":1})"), errors::hub::kDeviceNotFound);
  make_device("d1");
  expect_error(report(R"({"a":1})"), errors::hub::kDeviceNotFound);
}

TEST_F(DeviceTwinsTest, ModulesHaveTwinsOfTheirOwn) {
  const ModuleId module("m1");
  ASSERT_TRUE(run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = module})));
  ASSERT_TRUE(run(hubs.update_twin(hub, DeviceId("d1"), module,
                                   {.tags = object(R"({"m":1})"), .desired = std::nullopt}, "")));
  EXPECT_THAT(twin().twin.tags, IsEmpty());
  const auto view = run(hubs.get_twin(hub, DeviceId("d1"), module));
  const auto document = twin_document(*view);
  EXPECT_EQ(document.at("moduleId").as_string(), "m1");
  EXPECT_EQ(json::write(document.at("tags")), R"({"m":1})");
  expect_error(run(hubs.get_twin(hub, DeviceId("d1"), ModuleId("none"))),
               errors::hub::kModuleNotFound);
  expect_error(run(hubs.get_twin(hub, DeviceId("none"), ModuleId())), errors::hub::kDeviceNotFound);
}

// ---- What connected devices are told ----

class DesiredPushTest : public DeviceTwinsTest {
 protected:
  DesiredPushTest() {
    const DeviceGrant grant{.identity = device, .auth_method = ""};
    ticket = *run(hubs.connect(hub, grant, "", connection, executor));
  }
  std::shared_ptr<RecordedConnection> connection = std::make_shared<RecordedConnection>();
  Connections::Ticket ticket = 0;
};

TEST_F(DesiredPushTest, IsThePatchWithItsVersionInCommitOrder) {
  ASSERT_TRUE(patch_desired(R"({"target":42,"old":null})"));
  ASSERT_TRUE(patch_desired(R"({"target":43})"));
  executor.run_until_idle();
  EXPECT_THAT(connection->pushed, ElementsAre(Pair(2, R"({"target":42,"old":null,"$version":2})"),
                                              Pair(3, R"({"target":43,"$version":3})")));
}

TEST_F(DesiredPushTest, AReplacementTellsWhatIsGone) {
  ASSERT_TRUE(patch_desired(R"({"a":1,"b":2})"));
  ASSERT_TRUE(write({.tags = std::nullopt, .desired = object(R"({"b":3})"), .replace = true}));
  executor.run_until_idle();
  EXPECT_EQ(connection->pushed.back().second, R"({"b":3,"a":null,"$version":3})");
}

TEST_F(DesiredPushTest, NothingIsPushedForTagsReportedOrAfterTheEnd) {
  ASSERT_TRUE(write({.tags = object(R"({"a":1})"), .desired = std::nullopt}));
  ASSERT_TRUE(report(R"({"a":1})"));
  hubs.disconnect(hub, device, ticket);
  ASSERT_TRUE(patch_desired(R"({"a":1})"));
  executor.run_until_idle();
  EXPECT_THAT(connection->pushed, IsEmpty());
}

TEST_F(DesiredPushTest, TheAnnouncedModelIsKeptWithoutANewVersion) {
  const DeviceGrant grant{.identity = device, .auth_method = ""};
  ASSERT_TRUE(run(hubs.connect(hub, grant, "dtmi:com:example:Thermostat;1", connection, executor)));
  EXPECT_EQ(twin().twin.model_id, "dtmi:com:example:Thermostat;1");
  EXPECT_EQ(twin().twin.version, 2);
  const auto version = store->snapshot()->version();
  ASSERT_TRUE(run(hubs.connect(hub, grant, "dtmi:com:example:Thermostat;1", connection, executor)));
  EXPECT_EQ(store->snapshot()->version(), version) << "connecting again writes nothing";
}

// ---- Twin change events ----

TEST_F(DeviceTwinsTest, NoTwinChangeEventWithoutARoute) {
  ASSERT_TRUE(patch_desired(R"({"a":1})"));
  EXPECT_THAT(builtin(), IsEmpty());
}

TEST_F(DeviceTwinsTest, AnUpdateEventShowsWhatChanged) {
  route_twin_changes();
  ASSERT_TRUE(
      write({.tags = object(R"({"site":"B"})"), .desired = object(R"({"t":1,"no":null})")}));
  const auto events = builtin();
  ASSERT_EQ(events.size(), 1u);
  const auto now = to_iso8601(clock.now());
  EXPECT_EQ(events[0].body,
            R"({"version":3,"tags":{"site":"B"},"properties":{"desired":{"t":1,"no":null,)"
            R"("$metadata":{"$lastUpdated":")" +
                now + R"(","$lastUpdatedVersion":2,"t":{"$lastUpdated":")" + now +
                R"(","$lastUpdatedVersion":2}},"$version":2}}})");
  EXPECT_EQ(events[0].property("opType"), "updateTwin");
  EXPECT_EQ(events[0].property("iothub-message-schema"), "twinChangeNotification");
  EXPECT_EQ(events[0].annotation("iothub-message-source"), "twinChangeEvents");
  EXPECT_EQ(activity().size(), 1u) << "only the lifecycle event";
}

TEST_F(DeviceTwinsTest, AReplaceEventShowsTheWholeTwin) {
  route_twin_changes();
  ASSERT_TRUE(write({.tags = object(R"({"a":1})"), .desired = std::nullopt, .replace = true}));
  const auto events = builtin();
  ASSERT_EQ(events.size(), 1u);
  const auto body = parse(events[0].body);
  EXPECT_EQ(body.at("deviceId").as_string(), "d1");
  EXPECT_EQ(body.at("etag").as_string(), "AAAAAAAAAAI=");
  EXPECT_EQ(json::write(body.at("tags")), R"({"a":1})");
  EXPECT_EQ(events[0].property("opType"), "replaceTwin");
}

TEST_F(DeviceTwinsTest, AReportedChangeRaisesAnEventToo) {
  route_twin_changes();
  ASSERT_TRUE(report(R"({"fw":2})"));
  const auto events = builtin();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(parse(events[0].body).at("properties").at("reported").at("fw").as_int64(), 2);
}

}  // namespace
}  // namespace doppel::hub
