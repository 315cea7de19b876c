#include <gmock/gmock.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "hub/hub_fixture.h"
#include "hub/identity_rules.h"
#include "hub/keys.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class IdentitiesTest : public HubFixture {
 protected:
  template <class T>
  static void expect_error(const Result<T>& result, const ServiceError& error) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().service, &error) << result.error().message;
  }
  Result<EnsuredIdentity> ensure(EnsureIdentity wanted) {
    std::function<Task<Result<EnsuredIdentity>>(store::Transaction&)> body =
        [this, wanted](store::Transaction& tx) -> Task<Result<EnsuredIdentity>> {
      co_return co_await hubs.ensure_identity(tx, hub, wanted);
    };
    return run(store::transact<EnsuredIdentity>(*store, std::move(body)));
  }
  std::uint64_t store_version() { return store->snapshot()->version().value; }
  std::optional<DeviceTwin> twin_of(std::string_view id) {
    store::Transaction tx(*store);
    return *run(hubs.find_twin(tx, hub, DeviceId(id)));
  }
};

TEST_F(IdentitiesTest, CreatingMakesKeysGenerationAndEtag) {
  const auto made = make_device("d1");
  EXPECT_EQ(base64_decode(made.authentication.primary_key)->size(), 32u);
  EXPECT_EQ(base64_decode(made.authentication.secondary_key)->size(), 32u);
  EXPECT_NE(made.authentication.primary_key, made.authentication.secondary_key);
  EXPECT_EQ(made.generation.str().size(), 18u);
  EXPECT_FALSE(made.etag.empty());
  const auto read = get_device("d1");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->authentication.primary_key, made.authentication.primary_key);
  EXPECT_EQ(read->generation, made.generation);
}

TEST_F(IdentitiesTest, KeysAreNotInTheStoreInClear) {
  const auto made = make_device("d1");
  const auto snapshot = store->snapshot();
  const auto entries = run(snapshot->scan("", "", 100));
  for (const auto& entry : *entries)
    EXPECT_THAT(entry.value, Not(HasSubstr(made.authentication.primary_key)));
}

TEST_F(IdentitiesTest, CreatingTwiceIsAConflict) {
  make_device("d1");
  expect_error(run(hubs.create_identity(hub, {.device_id = DeviceId("d1")})),
               errors::hub::kDeviceAlreadyExists);
}

TEST_F(IdentitiesTest, RefusesBadIdentities) {
  const auto refused = [&](Identity wanted) {
    expect_error(run(hubs.create_identity(hub, std::move(wanted))), errors::hub::kArgumentInvalid);
  };
  for (const auto id : {"", "a/b", "with space", "tab\t", "\xC3\xBC", "a\"b"})
    refused({.device_id = DeviceId(id)});
  refused({.device_id = DeviceId(std::string(129, 'a'))});
  refused({.device_id = DeviceId("d"), .authentication = {.primary_key = "not base64"}});
  refused({.device_id = DeviceId("d"), .authentication = {.primary_key = "c2hvcnQ="}});
  refused(
      {.device_id = DeviceId("d"), .authentication = {.type = AuthenticationType::self_signed}});
  refused({.device_id = DeviceId("d"),
           .authentication = {.type = AuthenticationType::self_signed,
                              .primary_thumbprint = std::string(39, 'A')}});
  EXPECT_TRUE(is_valid_device_id("aZ0-:.+%_#*?!(),=@;$'"));
  EXPECT_TRUE(is_valid_device_id(std::string(128, 'a')));
}

TEST_F(IdentitiesTest, EtagMatrix) {
  auto device = make_device("d1");
  const auto update = [&](std::string if_match) {
    return run(hubs.update_identity(hub, {.device_id = DeviceId("d1")}, std::move(if_match)));
  };
  const std::string first = device.etag.str();
  for (const auto& good : {std::string("*"), std::string("\"*\"")}) {
    const auto updated = update(good);
    ASSERT_TRUE(updated);
    EXPECT_NE(updated->etag.str(), first);
  }
  expect_error(update(first), errors::hub::kPreconditionFailed);
  expect_error(update("\"" + first + "\""), errors::hub::kPreconditionFailed);
  auto current = get_device("d1")->etag.str();
  ASSERT_TRUE(update("\"" + current + "\""));
  current = get_device("d1")->etag.str();
  ASSERT_TRUE(update(current));

  const auto remove = [&](std::string if_match) {
    return run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), std::move(if_match)));
  };
  expect_error(remove(current), errors::hub::kPreconditionFailed);
  EXPECT_TRUE(remove(get_device("d1")->etag.str()));
  expect_error(remove("*"), errors::hub::kDeviceNotFound);
  expect_error(update("*"), errors::hub::kDeviceNotFound);
}

TEST_F(IdentitiesTest, UpdatingKeepsKeysAndGenerationAndStampsAChangeOfStatus) {
  const auto before = make_device("d1");
  EXPECT_EQ(before.status_updated, TimePoint{});
  clock.advance(std::chrono::hours(1));
  const auto updated = run(hubs.update_identity(
      hub, {.device_id = DeviceId("d1"), .status = DeviceStatus::disabled, .status_reason = "test"},
      "*"));
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->authentication.primary_key, before.authentication.primary_key);
  EXPECT_EQ(updated->generation, before.generation);
  EXPECT_EQ(updated->status_updated, clock.now());
  EXPECT_EQ(updated->status_reason, "test");
}

TEST_F(IdentitiesTest, ChangingToKeysMakesKeysAndFromKeysForgetsThem) {
  const Authentication by_thumbprint{.type = AuthenticationType::self_signed,
                                     .primary_thumbprint = std::string(40, 'A')};
  make_device("d1");
  auto updated = run(hubs.update_identity(
      hub, {.device_id = DeviceId("d1"), .authentication = by_thumbprint}, "*"));
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->authentication.primary_key, "");
  updated = run(hubs.update_identity(hub, {.device_id = DeviceId("d1")}, "*"));
  ASSERT_TRUE(updated);
  EXPECT_EQ(base64_decode(updated->authentication.primary_key)->size(), 32u);
  EXPECT_EQ(updated->authentication.primary_thumbprint, "");
}

// Even within one tick of the clock.
TEST_F(IdentitiesTest, EachCreationHasAGenerationOfItsOwn) {
  const auto first = make_device("d1");
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "")));
  const auto second = make_device("d1");
  EXPECT_NE(first.generation, second.generation);
}

TEST_F(IdentitiesTest, LifecycleEventsHaveTheirExactForm) {
  const auto device = make_device("d1");
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  const auto events = activity();
  ASSERT_EQ(events.size(), 2u);
  const auto& created = events[0];
  EXPECT_EQ(created.body,
            R"({"deviceId":"d1","etag":"AAAAAAAAAAE=","version":2,"properties":{)"
            R"("desired":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1},)"
            R"("reported":{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1}}})");
  EXPECT_EQ(created.content_type, "application/json");
  EXPECT_EQ(created.content_encoding, "utf-8");
  EXPECT_EQ(created.user_id, "contoso");
  EXPECT_FALSE(created.correlation_id.empty());
  using Pair = std::pair<std::string, std::string>;
  const std::string now = "2027-01-15T08:00:00.0000000Z";
  EXPECT_THAT(created.application_properties,
              ElementsAre(Pair("hubName", "contoso"), Pair("deviceId", "d1"),
                          Pair("operationTimestamp", now), Pair("opType", "createDeviceIdentity"),
                          Pair("iothub-message-schema", "deviceLifecycleNotification"),
                          Pair("generationId", device.generation.str())));
  EXPECT_THAT(
      created.annotations,
      ElementsAre(Pair("iothub-connection-device-id", "d1"), Pair("iothub-enqueuedtime", now),
                  Pair("iothub-message-source", "deviceLifecycleEvents")));
  EXPECT_EQ(events[1].property("opType"), "deleteDeviceIdentity");
  EXPECT_EQ(events[1].property("generationId"), device.generation.view());
}

TEST_F(IdentitiesTest, TheDeleteEventShowsTheTwinAsItWas) {
  make_device("d1");
  ASSERT_TRUE(run(hubs.update_twin(
      hub, DeviceId("d1"), ModuleId(),
      {.tags = object(R"({"dtId":"t1"})"), .desired = object(R"({"a":1})")}, "*")));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  const auto body = parse(activity().back().body);
  EXPECT_EQ(json::write(body.at("tags")), R"({"dtId":"t1"})");
  EXPECT_EQ(body.at("version").as_int64(), 3);
  EXPECT_EQ(body.at("properties").at("desired").at("a").as_int64(), 1);
}

TEST_F(IdentitiesTest, DeletingRemovesTheTwinAndAllModules) {
  make_device("d1");
  make_device("d10");
  for (const auto module : {"m1", "m2"})
    ASSERT_TRUE(run(
        hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = ModuleId(module)})));
  ASSERT_TRUE(
      run(hubs.create_identity(hub, {.device_id = DeviceId("d10"), .module_id = ModuleId("m1")})));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  EXPECT_EQ(twin_of("d1"), std::nullopt);
  EXPECT_FALSE(get_device("d1", "m1"));
  EXPECT_TRUE(get_device("d10", "m1"));
  make_device("d1");
  EXPECT_TRUE(run(hubs.list_modules(hub, DeviceId("d1")))->empty());
}

TEST_F(IdentitiesTest, ModulesNeedTheirDeviceAndHaveALimit) {
  const Identity module{.device_id = DeviceId("d1"), .module_id = ModuleId("m")};
  expect_error(run(hubs.create_identity(hub, module)), errors::hub::kDeviceNotFound);
  make_device("d1");
  ASSERT_TRUE(run(hubs.create_identity(hub, module)));
  expect_error(run(hubs.create_identity(hub, module)), errors::hub::kModuleAlreadyExistsOnDevice);
  for (std::size_t i = 1; i < kModulesPerDeviceMax; ++i) {
    ASSERT_TRUE(run(hubs.create_identity(
        hub, {.device_id = DeviceId("d1"), .module_id = ModuleId("m" + std::to_string(i))})));
  }
  expect_error(
      run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = ModuleId("z")})),
      errors::hub::kTooManyModulesOnDevice);
  expect_error(get_device("d1", "none"), errors::hub::kModuleNotFound);
  expect_error(get_device("none", "m"), errors::hub::kDeviceNotFound);
  expect_error(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId("none"), "*")),
               errors::hub::kModuleNotFound);
}

// A consumer that removes a digital twin for each deleteDeviceIdentity must not see a module as
// one.
TEST_F(IdentitiesTest, ModuleEventsHaveNamesOfTheirOwn) {
  make_device("d1");
  const ModuleId module("m1");
  ASSERT_TRUE(run(hubs.create_identity(hub, {.device_id = DeviceId("d1"), .module_id = module})));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), module, "")));
  const auto events = activity();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].property("opType"), "createModuleIdentity");
  EXPECT_EQ(events[1].property("moduleId"), "m1");
  EXPECT_EQ(events[2].property("opType"), "deleteModuleIdentity");
}

TEST_F(IdentitiesTest, ListsDevicesInOrderAfterOne) {
  for (const auto id : {"b", "a", "c", "ab"}) make_device(id);
  const auto ids = [&](std::string_view after, std::size_t limit) {
    std::vector<std::string> texts;
    for (const auto& id : *run(hubs.list_devices(hub, DeviceId(after), limit)))
      texts.push_back(id.str());
    return texts;
  };
  EXPECT_THAT(ids("", 10), ElementsAre("a", "ab", "b", "c"));
  EXPECT_THAT(ids("ab", 10), ElementsAre("b", "c"));
  EXPECT_THAT(ids("", 2), ElementsAre("a", "ab"));
  EXPECT_EQ(run(hubs.list_identities(hub, 3))->size(), 3u);
}

TEST_F(IdentitiesTest, CountsEnabledAndDisabledDevices) {
  make_device("a");
  make_device("b", {.status = DeviceStatus::disabled});
  const auto counts = run(hubs.statistics(hub));
  EXPECT_EQ(counts->total, 2);
  EXPECT_EQ(counts->enabled, 1);
  EXPECT_EQ(counts->disabled, 1);
}

TEST_F(IdentitiesTest, PurgingForgetsEverythingOfTheHub) {
  make_device("a");
  ASSERT_TRUE(
      run(hubs.create_identity(hub, {.device_id = DeviceId("a"), .module_id = ModuleId("m")})));
  ASSERT_TRUE(run(hubs.purge(hub, 4)));
  EXPECT_FALSE(get_device("a"));
  EXPECT_TRUE(activity().empty());
  const auto snapshot = store->snapshot();
  EXPECT_TRUE(run(snapshot->scan("", "", 10))->empty());
  EXPECT_TRUE(run(hubs.purge(hub, 4)));
}

// ---- ensure_identity: what provisioning repeats ----

TEST_F(IdentitiesTest, EnsuringCreatesWithTheInitialTwinInOneVersion) {
  const auto ensured = ensure({.device_id = DeviceId("d1"),
                               .authentication = {.primary_key = key_of("p")},
                               .initial_twin = InitialTwin{.tags = object(R"({"dtId":"d1"})"),
                                                           .desired = object(R"({"rate":5})")}});
  ASSERT_TRUE(ensured) << ensured.error().message;
  EXPECT_TRUE(ensured->created);
  EXPECT_EQ(ensured->identity.authentication.primary_key, key_of("p"));
  EXPECT_FALSE(ensured->identity.authentication.secondary_key.empty());
  const auto twin = twin_of("d1");
  EXPECT_EQ(json::write(twin->tags), R"({"dtId":"d1"})");
  EXPECT_EQ(twin->desired_version, 1);
  EXPECT_EQ(twin->version, 2);
  EXPECT_EQ(json::write(parse(activity().at(0).body).at("tags")), R"({"dtId":"d1"})");
}

TEST_F(IdentitiesTest, EnsuringAgainWritesNothing) {
  const EnsureIdentity wanted{
      .device_id = DeviceId("d1"),
      .authentication = {.primary_key = key_of("p"), .secondary_key = key_of("s")},
      .initial_twin = InitialTwin{.tags = object(R"({"a":1})"), .desired = {}}};
  const auto first = ensure(wanted);
  const auto version = store_version();
  const auto second = ensure(wanted);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(second->identity.generation, first->identity.generation);
  EXPECT_EQ(second->identity.etag, first->identity.etag);
  EXPECT_EQ(store_version(), version);
}

TEST_F(IdentitiesTest, EnsuringRefreshesCredentialsAndKeepsTheGeneration) {
  const auto first =
      ensure({.device_id = DeviceId("d1"), .authentication = {.primary_key = key_of("p")}});
  const auto second =
      ensure({.device_id = DeviceId("d1"), .authentication = {.primary_key = key_of("q")}});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->identity.generation, first->identity.generation);
  EXPECT_NE(second->identity.etag, first->identity.etag);
  EXPECT_EQ(get_device("d1")->authentication.primary_key, key_of("q"));
  EXPECT_EQ(activity().size(), 1u) << "no second lifecycle event";
}

TEST_F(IdentitiesTest, EnsuringKeepsTheTwinUnlessAskedToReset) {
  const EnsureIdentity wanted{
      .device_id = DeviceId("d1"),
      .authentication = {.primary_key = key_of("p"), .secondary_key = key_of("s")},
      .initial_twin = InitialTwin{.tags = object(R"({"a":1})"), .desired = object(R"({"x":1})")}};
  const auto made = ensure(wanted);
  ASSERT_TRUE(
      run(hubs.update_twin(hub, DeviceId("d1"), ModuleId(),
                           {.tags = std::nullopt, .desired = object(R"({"x":2,"y":3})")}, "*")));
  ASSERT_TRUE(run(hubs.patch_reported(hub, DeviceId("d1"), ModuleId(), made->identity.generation,
                                      object(R"({"fw":1})"), std::nullopt)));
  ASSERT_TRUE(ensure(wanted));
  EXPECT_EQ(json::write(twin_of("d1")->desired), R"({"x":2,"y":3})");

  auto reset = wanted;
  reset.reset_twin = true;
  ASSERT_TRUE(ensure(reset));
  const auto twin = twin_of("d1");
  EXPECT_EQ(json::write(twin->desired), R"({"x":1})");
  EXPECT_TRUE(twin->reported.empty());
  EXPECT_EQ(twin->desired_version, 3) << "versions never go back";
  const auto version = store_version();
  ASSERT_TRUE(ensure(reset));
  EXPECT_EQ(store_version(), version) << "it was in its initial state already";
}

// A device that moves to this hub brings its reported properties, and is shut out if it was.
TEST_F(IdentitiesTest, EnsuringTakesWhatADeviceBringsFromAnotherHub) {
  EnsureIdentity moved{.device_id = DeviceId("d1"),
                       .authentication = {.primary_key = key_of("p"), .secondary_key = key_of("s")},
                       .initial_twin = InitialTwin{.tags = object(R"({"a":1})"),
                                                   .desired = {},
                                                   .reported = object(R"({"fw":2})")},
                       .status = DeviceStatus::disabled,
                       .status_reason = "stolen"};
  ASSERT_TRUE(ensure(moved));
  EXPECT_EQ(json::write(twin_of("d1")->reported), R"({"fw":2})");
  EXPECT_EQ(get_device("d1")->status, DeviceStatus::disabled);
  EXPECT_EQ(get_device("d1")->status_reason, "stolen");
  moved.reset_twin = true;
  const auto version = store_version();
  ASSERT_TRUE(ensure(moved));
  EXPECT_EQ(store_version(), version);
  moved.initial_twin->reported = object(R"({"fw":3})");
  ASSERT_TRUE(ensure(moved));
  EXPECT_EQ(json::write(twin_of("d1")->reported), R"({"fw":3})");
}

TEST_F(IdentitiesTest, EnsuringRefusesABadInitialTwin) {
  expect_error(ensure({.device_id = DeviceId("d1"),
                       .initial_twin = InitialTwin{.tags = object(R"({"a.b":1})"), .desired = {}}}),
               errors::hub::kArgumentInvalid);
  EXPECT_FALSE(get_device("d1"));
}

TEST_F(IdentitiesTest, AFailedCommitLeavesNothingBehind) {
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto refused = run(hubs.create_identity(hub, {.device_id = DeviceId("d1")}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_FALSE(get_device("d1"));
  EXPECT_TRUE(activity().empty());
  make_device("d1");
  EXPECT_EQ(activity().size(), 1u);
}

TEST_F(IdentitiesTest, RemovingWhatIsNotThereSucceeds) {
  store::Transaction tx(*store);
  EXPECT_TRUE(run(hubs.remove_identity(tx, hub, DeviceId("none"))));
}

}  // namespace
}  // namespace doppel::hub
