#include "twins/twin_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "twins/changes.h"
#include "twins/testing.h"

namespace doppel::twins {
namespace {

using testing::add;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kFloor;
using testing::kRoom;
using testing::name_of;
using testing::remove;
using testing::replace;
using testing::World;

class TwinServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world.upload().has_value()); }

  std::string document(std::string_view id) {
    const auto twin = world.get(id);
    return twin ? json::write(twin->document) : std::string(twin.error().name());
  }
  // Types of the events of all twins, in order within each partition.
  std::vector<std::string> event_types() {
    std::vector<std::string> types;
    for (const auto& event : events()) types.emplace_back(event.property(kEventType).value_or("?"));
    return types;
  }
  std::vector<events::Event> events() {
    std::vector<events::Event> out;
    for (std::uint32_t index = 0; index < kChangesPartitions; ++index) {
      const events::Partition partition{.log = changes_log(world.instance), .index = index};
      const auto records =
          world.run(world.store->read_stream(events::stream_name(partition), {}, 1000, 1 << 20));
      for (const auto& record : *records) out.push_back(events::decode(record.record).value());
    }
    return out;
  }

  World world;
};

TEST_F(TwinServiceTest, ShowsACreatedTwinAsTheServiceDoes) {
  const auto made = world.put(
      "room1", R"({"$dtId": null, "$etag": null, "$metadata": {"$model": "dtmi:test:Room;1"},
      "Temperature": 21.5, "thermo": {"$metadata": {}, "setPoint": 20}, "label": "one"})");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const std::string time = "2027-01-15T08:00:00.0000000Z";
  EXPECT_EQ(
      document("room1"),
      R"({"$dtId":"room1","$etag":")" + std::string("W/\\\"") + made->etag.substr(3, 36) +
          R"(\"","Temperature":21.5,"label":"one","thermo":{"setPoint":20,"$metadata":{"$lastUpdateTime":")" +
          time + R"(","setPoint":{"lastUpdateTime":")" + time +
          R"("}}},"$metadata":{"$model":"dtmi:test:Room;1","$lastUpdateTime":")" + time +
          R"(","Temperature":{"lastUpdateTime":")" + time + R"("},"label":{"lastUpdateTime":")" +
          time + R"("}}})");
}

TEST_F(TwinServiceTest, ReplacesTheWholeTwinAndKeepsItsRelationshipsAndItsDevice) {
  ASSERT_TRUE(world.put("floor", R"({"$metadata": {"$model": "dtmi:test:Floor;1"}, "Level": 1})"));
  ASSERT_TRUE(world.put("room", kRoom));
  ASSERT_TRUE(
      world.relate("floor", "r", R"({"$targetId": "room", "$relationshipName": "contains"})"));
  const DeviceBinding binding{HubName("hub"), DeviceId("device"), GenerationId("7")};
  ASSERT_TRUE(world.done([&](store::Transaction& tx) {
    return world.service.bind_device(tx, world.instance, DigitalTwinId("floor"), binding);
  }));

  ASSERT_TRUE(
      world.put("floor", R"({"$metadata": {"$model": "dtmi:test:Floor;1"}, "label": "x"})"));

  const auto twin = world.get("floor");
  EXPECT_FALSE(twin->document.contains("Level"));
  EXPECT_EQ(twin->made_for, binding);
  EXPECT_TRUE(world.run(
      world.service.get_relationship(world.instance, DigitalTwinId("floor"), RelationshipId("r"))));
}

TEST_F(TwinServiceTest, NamesEveryViolationOfTheModel) {
  const auto made =
      world.put("room", R"({"$metadata": {"$model": "dtmi:test:Room;1"}, "Temperature": "hot",
      "Nonesuch": 1, "noise": 3, "Count": 3000000000, "label": null, "state": "open", "size": {"height": 1},
      "tags": {"$a": true, "b": 1}})");
  ASSERT_EQ(name_of(made), "ValidationFailed");
  const auto& message = made.error().message;
  EXPECT_THAT(message, HasSubstr("\nExpected value of type double for Temperature on Twin."));
  EXPECT_THAT(message, HasSubstr("\nNonesuch does not appear on the DTDL for Twin."));
  EXPECT_THAT(message, HasSubstr("\nnoise does not appear on the DTDL for Twin."));
  EXPECT_THAT(message, HasSubstr("\nExpected value of type integer for Count on Twin."));
  EXPECT_THAT(message, HasSubstr("\nlabel on Twin cannot be null"));
  EXPECT_THAT(message, HasSubstr("\nExpected value of type Enum for state on Twin."));
  EXPECT_THAT(message, HasSubstr("\nsize/height does not appear on the DTDL for Twin."));
  EXPECT_THAT(message, HasSubstr("\ntags/$a on Twin is not a valid key of a Map."));
  EXPECT_THAT(message, HasSubstr("\nExpected value of type boolean for tags/b on Twin."));
  EXPECT_THAT(message, HasSubstr("\nThe component thermo is missing"));
  EXPECT_EQ(name_of(world.get("room")), "DigitalTwinNotFound");
}

TEST_F(TwinServiceTest, RefusesTwinsWithoutAModelAndIdsThatAreNone) {
  EXPECT_EQ(name_of(world.put("x", R"({"Temperature": 1})")), "ValidationFailed");
  EXPECT_EQ(name_of(world.put("x", R"({"$metadata": {"$model": "dtmi:test:None;1"}})")),
            "ValidationFailed");
  EXPECT_EQ(name_of(world.put("", kFloor)), "InvalidArgument");
  EXPECT_EQ(name_of(world.put(std::string(129, 'a'), kFloor)), "InvalidArgument");
  EXPECT_TRUE(world.put(std::string(128, 'a'), kFloor).has_value());
  EXPECT_EQ(name_of(world.put("\xff", kFloor)), "InvalidArgument");
}

TEST_F(TwinServiceTest, PatchesPropertiesComponentsObjectsAndMaps) {
  ASSERT_TRUE(world.put(
      "room", R"({"$metadata": {"$model": "dtmi:test:Room;1"}, "Temperature": 1, "label": "x",
      "thermo": {"setPoint": 1}, "size": {"width": 1}, "tags": {"a": true}})"));
  world.clock.advance(std::chrono::seconds(5));
  const auto patched =
      world.patch("room", {replace("/Temperature", 2.5), remove("/label"), add("/Count", 3),
                           replace("/thermo/setPoint", 4), add("/thermo/mode", "eco"),
                           add("/size/depth", 2), add("/tags/b~1c", false), remove("/tags/a")});
  ASSERT_TRUE(patched.has_value()) << patched.error().message;
  const json::Value twin(world.get("room")->document);
  EXPECT_EQ(
      json::write(*json::find(twin, "thermo")),
      R"({"setPoint":4,"mode":"eco","$metadata":{"$lastUpdateTime":"2027-01-15T08:00:05.0000000Z",)"
      R"("setPoint":{"lastUpdateTime":"2027-01-15T08:00:05.0000000Z"},)"
      R"("mode":{"lastUpdateTime":"2027-01-15T08:00:05.0000000Z"}}})");
  EXPECT_EQ(json::write(*json::find(twin, "size")), R"({"width":1,"depth":2})");
  EXPECT_EQ(json::write(*json::find(twin, "tags")), R"({"b/c":false})");
  EXPECT_EQ(json::find(twin, "label"), nullptr);
  const auto& metadata = *json::find(twin, "$metadata");
  EXPECT_EQ(json::find(metadata, "label"), nullptr);
  EXPECT_EQ(json::get_string_or(*json::find(metadata, "Temperature"), "lastUpdateTime", ""),
            "2027-01-15T08:00:05.0000000Z");
  EXPECT_EQ(json::get_string_or(metadata, "$lastUpdateTime", ""), "2027-01-15T08:00:05.0000000Z");
  EXPECT_EQ(std::string_view((twin.get_object().end() - 1)->key()), "$metadata");
}

TEST_F(TwinServiceTest, ChangesNothingWhenOneOperationOfAPatchFails) {
  ASSERT_TRUE(world.put("room", kRoom));
  const auto before = document("room");
  struct Case {
    PatchOperation operation;
    std::string_view error;
  };
  const std::vector<Case> cases{
      {replace("/Temperature", 1), "JsonPatchInvalid"},  // never set
      {remove("/Count"), "JsonPatchInvalid"},
      {add("/size/width", 1), "JsonPatchInvalid"},  // the object was never set
      {add("", 1), "JsonPatchInvalid"},
      {add("Temperature", 1), "JsonPatchInvalid"},
      {replace("/$dtId", "b"), "JsonPatchInvalid"},
      {replace("/$etag", "b"), "JsonPatchInvalid"},
      {add("/$metadata/Temperature", 1), "JsonPatchInvalid"},
      {add("/$metadata/$lastUpdateTime", "x"), "JsonPatchInvalid"},
      {remove("/$metadata/$model"), "JsonPatchInvalid"},
      {add("/$metadata/label/sourceTime", "yesterday"), "JsonPatchInvalid"},
      {add("/thermo/$metadata/$model", "dtmi:test:Room;1"), "JsonPatchInvalid"},
      {add("/thermo/$etag", "x"), "JsonPatchInvalid"},
      {add("/thermo/setPoint/deep", 1), "JsonPatchInvalid"},
      {replace("/thermo", 5), "JsonPatchInvalid"},
      {add("/Temperature", "hot"), "ValidationFailed"},
      {add("/Temperature", nullptr), "ValidationFailed"},
      {add("/Nonesuch", 1), "ValidationFailed"},
      {add("/noise", 1), "ValidationFailed"},
      {add("/thermo/Nonesuch", 1), "ValidationFailed"},
      {remove("/thermo"), "ValidationFailed"},
      {replace("/thermo", testing::from_text(R"({"setPoint": "x"})")), "ValidationFailed"},
      {add("/$metadata/Temperature/sourceTime", "2023-01-01T00:00:00Z"), "ValidationFailed"},
      {replace("/$metadata/$model", "dtmi:test:None;1"), "ValidationFailed"},
      {replace("/$metadata/$model", "dtmi:test:Floor;1"),
       "ValidationFailed"},  // still has the component
  };
  for (const auto& one : cases) {
    const auto patched = world.patch("room", {add("/label", "kept out"), one.operation});
    EXPECT_EQ(name_of(patched), one.error) << one.operation.path;
    EXPECT_EQ(document("room"), before) << one.operation.path;
  }
}

TEST_F(TwinServiceTest, ChangesTheModelTogetherWithWhatItNeeds) {
  ASSERT_TRUE(world.put(
      "x", R"({"$metadata": {"$model": "dtmi:test:Floor;1"}, "Level": 1, "label": "l"})"));
  const auto patched =
      world.patch("x", {replace("/$metadata/$model", "dtmi:test:Room;1"), remove("/Level"),
                        add("/thermo", testing::from_text(R"({"setPoint": 3})"))});
  ASSERT_TRUE(patched.has_value()) << patched.error().message;
  EXPECT_EQ(patched->model, Dtmi("dtmi:test:Room;1"));
  const json::Value twin(world.get("x")->document);
  EXPECT_NE(json::find(*json::find(*json::find(twin, "thermo"), "$metadata"), "setPoint"), nullptr);
  EXPECT_EQ(json::find(*json::find(twin, "$metadata"), "thermo"), nullptr);
  ASSERT_TRUE(
      world.patch("x", {replace("/$metadata/$model", "dtmi:test:Floor;1"), remove("/thermo")}));
  EXPECT_EQ(json::find(json::Value(world.get("x")->document), "thermo"), nullptr);
}

TEST_F(TwinServiceTest, KeepsTheSourceTimeUntilTheValueIsWrittenAgain) {
  ASSERT_TRUE(world.put("f", R"({"$metadata": {"$model": "dtmi:test:Floor;1",
      "Level": {"sourceTime": "2023-01-01T00:00:00Z"}}, "Level": 1})"));
  const auto source_time = [&] {
    const json::Value twin(world.get("f")->document);
    return json::get_string_or(*json::find(*json::find(twin, "$metadata"), "Level"), "sourceTime",
                               "none");
  };
  EXPECT_EQ(source_time(), "2023-01-01T00:00:00Z");
  ASSERT_TRUE(world.patch(
      "f", {replace("/Level", 2), add("/$metadata/Level/sourceTime", "2024-01-01T00:00:00Z")}));
  EXPECT_EQ(source_time(), "2024-01-01T00:00:00Z");
  ASSERT_TRUE(world.patch("f", {replace("/Level", 3)}));
  EXPECT_EQ(source_time(), "none");
}

TEST_F(TwinServiceTest, ObeysEtags) {
  const auto first = world.put("f", kFloor);
  ASSERT_TRUE(first);
  EXPECT_EQ(name_of(world.put("f", kFloor, {.if_match = {}, .only_if_absent = true})),
            "PreconditionFailed");
  const auto second = world.patch("f", {add("/Level", 1)}, {.if_match = first->etag});
  ASSERT_TRUE(second);
  EXPECT_NE(second->etag, first->etag);
  EXPECT_EQ(name_of(world.patch("f", {add("/Level", 2)}, {.if_match = first->etag})),
            "PreconditionFailed");
  EXPECT_EQ(name_of(world.patch("f", {add("/Level", 2)}, {.if_match = "AAAA=="})),
            "PreconditionFailed");
  EXPECT_TRUE(world.patch("f", {add("/Level", 2)}, {.if_match = "*"}));
  EXPECT_EQ(name_of(world.erase("f", {.if_match = second->etag})), "PreconditionFailed");
  EXPECT_EQ(name_of(world.patch("g", {add("/Level", 2)}, {.if_match = "*"})),
            "DigitalTwinNotFound");
  EXPECT_TRUE(world.erase("f", {.if_match = world.get("f")->etag}));
  EXPECT_EQ(name_of(world.erase("f")), "DigitalTwinNotFound");
}

TEST_F(TwinServiceTest, NeverCreatesATwinOfAModelThatIsDecommissionedMeanwhile) {
  store::Transaction creating(*world.store);
  ASSERT_TRUE(world.run(world.service.put_twin(creating, world.instance, DigitalTwinId("f"),
                                               testing::object(kFloor))));
  ASSERT_TRUE(world.done([&](store::Transaction& tx) {
    return world.service.set_decommissioned(tx, world.instance, "dtmi:test:Floor;1", true);
  }));
  const auto late = world.run(creating.commit());
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_EQ(name_of(world.put("f", kFloor)), "ModelDecommissioned");
}

TEST_F(TwinServiceTest, RecordsEveryChangeInTheCommitThatMakesIt) {
  ASSERT_TRUE(world.put("floor", kFloor));
  ASSERT_TRUE(world.patch("floor", {add("/Level", 1)}));
  ASSERT_TRUE(world.put("floor", kFloor));
  EXPECT_THAT(event_types(), ElementsAre(kTwinCreated, kTwinUpdated, kTwinUpdated));
  EXPECT_FALSE(world.patch("floor", {add("/Level", "x")}).has_value());
  ASSERT_TRUE(world.erase("floor"));
  EXPECT_THAT(event_types(), ElementsAre(kTwinCreated, kTwinUpdated, kTwinUpdated, kTwinDeleted));
  const auto all = events();
  EXPECT_EQ(all[1].body,
            R"({"modelId":"dtmi:test:Floor;1","patch":[{"value":1,"path":"/Level","op":"add"}]})");
  EXPECT_EQ(all[2].body,
            R"({"modelId":"dtmi:test:Floor;1","patch":[{"path":"/Level","op":"remove"}]})");
  EXPECT_THAT(std::string(all[2].annotation(kEventPrevious).value_or("")),
              HasSubstr(R"("Level":1)"));
  EXPECT_EQ(all[3].property(kEventSubject), "floor");
}

TEST_F(TwinServiceTest, AnswersFunctionsFromMemory) {
  const Dtmi room("dtmi:test:Room;1");
  EXPECT_TRUE(world.service.has_model(world.instance, room));
  EXPECT_FALSE(world.service.has_model(TwinsInstanceName("other"), room));
  EXPECT_EQ(world.service.has_property(world.instance, room, "label").value(), true);  // inherited
  EXPECT_EQ(world.service.has_property(world.instance, room, "noise").value(), false);
  EXPECT_EQ(world.service.has_property(world.instance, Dtmi("dtmi:x;1"), "label").error().code,
            Code::not_found);
  EXPECT_TRUE(world.service.check_property(world.instance, room, "Temperature", 3));
  EXPECT_FALSE(world.service.check_property(world.instance, room, "Temperature", "3"));
}

TEST_F(TwinServiceTest, ListsTwinsInOrderOfIds) {
  for (const auto* id : {"b", "a", "a0", "c"}) ASSERT_TRUE(world.put(id, kFloor));
  const auto ids = [&](std::string_view after, std::size_t limit) {
    std::string out;
    const auto page =
        world.run(world.service.list_twins(world.instance, DigitalTwinId(after), limit));
    for (const auto& id : *page) out += id.str() + " ";
    return out;
  };
  EXPECT_EQ(ids("", 10), "a a0 b c ");
  EXPECT_EQ(ids("a", 2), "a0 b ");
  EXPECT_EQ(ids("c", 2), "");
}

TEST_F(TwinServiceTest, ForgetsAnInstanceAndNothingElse) {
  ASSERT_TRUE(world.put("a", kFloor));
  ASSERT_TRUE(world.put("b", kFloor));
  ASSERT_TRUE(world.relate("a", "r", R"({"$targetId": "b", "$relationshipName": "above"})"));
  const TwinsInstanceName other("building2");
  ASSERT_TRUE(world.run(
      world.service.create_models(other, testing::array(testing::kBuildingModels), false)));
  ASSERT_TRUE(world.run(world.service.purge(world.instance)));
  EXPECT_EQ(name_of(world.get("a")), "DigitalTwinNotFound");
  EXPECT_FALSE(world.service.has_model(world.instance, Dtmi("dtmi:test:Floor;1")));
  EXPECT_TRUE(world.service.has_model(other, Dtmi("dtmi:test:Floor;1")));
  EXPECT_TRUE(events().empty());
  EXPECT_TRUE(world.upload());
}

// A service that starts over a filled store knows what the one before it knew.
TEST_F(TwinServiceTest, ReadsTheModelsWhenItOpens) {
  ASSERT_TRUE(world.done([&](store::Transaction& tx) {
    return world.service.set_decommissioned(tx, world.instance, "dtmi:test:Floor;1", true);
  }));
  TwinService second(*world.store, world.clock, world.random);
  ASSERT_TRUE(world.run(second.open()));
  const auto there = second.models(world.instance);
  ASSERT_EQ(there->size(), 4u);
  EXPECT_TRUE(there->find("dtmi:test:Floor;1")->is_decommissioned);
  EXPECT_EQ(there->revision(), world.service.models(world.instance)->revision());
  EXPECT_EQ(there->by_sequence().begin()->second->id(), "dtmi:test:Space;1");
}

}  // namespace
}  // namespace doppel::twins
