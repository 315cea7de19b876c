#include <gmock/gmock.h>

#include "errors/hub.h"
#include "hub/hub_fixture.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RegistryQueryTest : public HubFixture {
 protected:
  void make(std::string_view id, std::string_view tags, std::string_view reported = "{}") {
    const auto device = make_device(id);
    ASSERT_TRUE(run(hubs.update_twin(hub, DeviceId(id), ModuleId(),
                                     {.tags = object(tags), .desired = std::nullopt}, "*")));
    ASSERT_TRUE(run(hubs.patch_reported(hub, DeviceId(id), ModuleId(), device.generation,
                                        object(reported), std::nullopt)));
  }
  Result<HubService::QueryPage> page(std::string text, std::size_t size = 100,
                                     std::string continuation = {}) {
    return run(hubs.query(hub, std::move(text), size, std::move(continuation)));
  }
  // All rows of all pages as texts.
  std::vector<std::string> rows(std::string text, std::size_t size = 100) {
    std::vector<std::string> all;
    std::string continuation;
    do {
      const auto one = page(text, size, continuation);
      EXPECT_TRUE(one) << one.error().message;
      if (!one) return all;
      for (const auto& item : one->items) all.push_back(json::write(item));
      continuation = one->continuation;
    } while (!continuation.empty());
    return all;
  }
  std::vector<std::string> ids(const std::string& where) {
    std::vector<std::string> all;
    for (const auto& row : rows("SELECT deviceId FROM devices WHERE " + where))
      all.push_back(std::string(*json::find_string(parse(row), "deviceId")));
    return all;
  }
};

TEST_F(RegistryQueryTest, FindsDevicesByTagsPropertiesAndFields) {
  make("a", R"({"site":"x","n":1})", R"({"temp":20})");
  make("b", R"({"site":"y","n":2})", R"({"temp":30})");
  make("c", "{}");
  EXPECT_THAT(ids("tags.site = 'x'"), ElementsAre("a"));
  EXPECT_THAT(ids("tags.n >= 1 AND properties.reported.temp > 25"), ElementsAre("b"));
  EXPECT_THAT(ids("tags.site IN ['x', 'y']"), ElementsAre("a", "b"));
  EXPECT_THAT(ids("NOT IS_DEFINED(tags.site)"), ElementsAre("c"));
  EXPECT_THAT(ids("tags.site != 'x'"), ElementsAre("b"));
  EXPECT_THAT(ids("STARTSWITH(deviceId, 'b') OR deviceId = 'c'"), ElementsAre("b", "c"));
  EXPECT_THAT(ids("status = 'enabled' AND connectionState = 'Disconnected'"),
              ElementsAre("a", "b", "c"));
  EXPECT_THAT(ids("properties.reported.$version = 2"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(ids("capabilities.iotEdge = true"), IsEmpty());
}

TEST_F(RegistryQueryTest, SelectStarShowsWholeTwins) {
  make("a", R"({"site":"x"})");
  const auto found = page("SELECT * FROM devices");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->item_type, "Twin");
  ASSERT_THAT(found->items, SizeIs(1));
  EXPECT_EQ(json::write(found->items[0]),
            json::write(twin_document(*run(hubs.get_twin(hub, DeviceId("a"), ModuleId())))));
  EXPECT_EQ(found->continuation, "");
}

TEST_F(RegistryQueryTest, ProjectsAndCounts) {
  make("a", R"({"site":"x"})");
  make("b", R"({"site":"x"})");
  EXPECT_THAT(rows("SELECT deviceId, tags.site AS place FROM devices WHERE deviceId = 'a'"),
              ElementsAre(R"({"deviceId":"a","place":"x"})"));
  EXPECT_EQ(page("SELECT deviceId FROM devices")->item_type, "Raw");
  EXPECT_THAT(rows("SELECT COUNT() AS total FROM devices"), ElementsAre(R"({"total":2})"));
  EXPECT_THAT(rows("SELECT COUNT() AS total FROM devices WHERE tags.site = 'none'"),
              ElementsAre(R"({"total":0})"));
  EXPECT_THAT(rows("SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site"),
              ElementsAre(R"({"site":"x","n":2})"));
}

TEST_F(RegistryQueryTest, PagesGoOnInTheOrderOfIds) {
  for (const auto id : {"e", "b", "d", "a", "c"}) make_device(id);
  auto first = page("SELECT deviceId FROM devices", 2);
  ASSERT_TRUE(first);
  EXPECT_THAT(first->items, SizeIs(2));
  EXPECT_NE(first->continuation, "");
  EXPECT_THAT(rows("SELECT deviceId FROM devices", 2),
              ElementsAre(R"({"deviceId":"a"})", R"({"deviceId":"b"})", R"({"deviceId":"c"})",
                          R"({"deviceId":"d"})", R"({"deviceId":"e"})"));
  // Deleting what the continuation names does not lose the place.
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("b"), ModuleId(), "*")));
  const auto second = page("SELECT deviceId FROM devices", 2, first->continuation);
  EXPECT_EQ(json::write(second->items[0]), R"({"deviceId":"c"})");
}

TEST_F(RegistryQueryTest, TopBoundsAllPagesTogether) {
  for (const auto id : {"a", "b", "c", "d", "e"}) make_device(id);
  EXPECT_THAT(rows("SELECT TOP 3 deviceId FROM devices", 2), SizeIs(3));
  EXPECT_THAT(rows("SELECT TOP 0 deviceId FROM devices", 2), IsEmpty());
}

TEST_F(RegistryQueryTest, WalksMoreThanOneBatch) {
  for (int i = 0; i < 1200; ++i) make_device("d" + std::to_string(i));
  EXPECT_THAT(rows("SELECT COUNT() AS n FROM devices"), ElementsAre(R"({"n":1200})"));
  EXPECT_THAT(rows("SELECT * FROM devices", 700), SizeIs(1200));
  EXPECT_EQ(run(hubs.statistics(hub))->total, 1200);
}

TEST_F(RegistryQueryTest, ModulesAreAWorldOfTheirOwn) {
  make_device("a");
  ASSERT_TRUE(
      run(hubs.create_identity(hub, {.device_id = DeviceId("a"), .module_id = ModuleId("m")})));
  EXPECT_THAT(rows("SELECT deviceId, moduleId FROM devices.modules WHERE devices.deviceId = 'a'"),
              ElementsAre(R"({"deviceId":"a","moduleId":"m"})"));
  EXPECT_THAT(rows("SELECT deviceId FROM devices"), SizeIs(1));
  const auto jobs = page("SELECT * FROM devices.jobs");
  EXPECT_EQ(jobs->item_type, "DeviceJob");
  EXPECT_THAT(jobs->items, IsEmpty());
}

TEST_F(RegistryQueryTest, RefusesWhatDoesNotParseAndForeignContinuations) {
  const auto refused = page("SELECT FROM WHERE");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().service, &errors::hub::kArgumentInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("line 1"));
  for (const auto token : {"x", "!!!", "MQ", "MQphAAFiAAE"}) {
    const auto bad = page("SELECT * FROM devices", 10, token);
    ASSERT_FALSE(bad) << token;
    EXPECT_EQ(bad.error().service, &errors::hub::kArgumentInvalid);
  }
}

}  // namespace
}  // namespace doppel::hub
