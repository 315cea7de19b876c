#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "twins/testing.h"
#include "twins/twin_service.h"

namespace doppel::twins {
namespace {

using testing::add;
using ::testing::ElementsAre;
using testing::kFloor;
using testing::kRoom;
using testing::name_of;
using testing::World;

class TwinRelationshipsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world.upload().has_value()); }

  World world;
};

TEST_F(TwinRelationshipsTest, ChecksRelationships) {
  ASSERT_TRUE(world.put("floor", kFloor));
  ASSERT_TRUE(world.put("floor2", kFloor));
  ASSERT_TRUE(world.put("room", kRoom));
  const auto try_one = [&](std::string_view source, std::string_view id, std::string_view body) {
    return std::string(name_of(world.relate(source, id, body)));
  };
  EXPECT_EQ(
      try_one("floor", "r", R"({"$targetId": "room", "$relationshipName": "contains", "area": 2})"),
      "succeeded");
  EXPECT_EQ(try_one("floor", "r2", R"({"$targetId": "floor2", "$relationshipName": "above"})"),
            "succeeded");
  EXPECT_EQ(try_one("floor", "r",
                    R"({"$targetId": "room", "$relationshipName": "contains", "area": "x"})"),
            "ValidationFailed");
  EXPECT_EQ(try_one("floor", "r",
                    R"({"$targetId": "room", "$relationshipName": "contains", "height": 1})"),
            "ValidationFailed");
  EXPECT_EQ(try_one("floor", "r", R"({"$targetId": "room", "$relationshipName": "feeds"})"),
            "InvalidRelationship");
  EXPECT_EQ(try_one("floor", "r", R"({"$targetId": "floor2", "$relationshipName": "contains"})"),
            "InvalidRelationship");
  EXPECT_EQ(try_one("floor", "r", R"({"$targetId": "room"})"), "InvalidRelationship");
  EXPECT_EQ(try_one("floor", "r", R"({"$targetId": "floor", "$relationshipName": "above"})"),
            "OperationNotAllowed");
  EXPECT_EQ(try_one("floor", "r", R"({"$targetId": "nobody", "$relationshipName": "contains"})"),
            "TargetTwinNotFound");
  EXPECT_EQ(try_one("nobody", "r", R"({"$targetId": "room", "$relationshipName": "contains"})"),
            "DigitalTwinNotFound");
  EXPECT_EQ(try_one("floor", "", R"({"$targetId": "room", "$relationshipName": "contains"})"),
            "InvalidArgument");
  EXPECT_EQ(name_of(world.relate("floor", "r",
                                 R"({"$targetId": "room", "$relationshipName": "contains"})",
                                 {.if_match = {}, .only_if_absent = true})),
            "PreconditionFailed");
}

TEST_F(TwinRelationshipsTest, MovesTheIncomingSideWithTheTarget) {
  ASSERT_TRUE(world.put("floor", kFloor));
  ASSERT_TRUE(world.put("a", kRoom));
  ASSERT_TRUE(world.put("b", kRoom));
  ASSERT_TRUE(world.relate("floor", "r", R"({"$targetId": "a", "$relationshipName": "contains"})"));
  ASSERT_TRUE(world.relate("floor", "r", R"({"$targetId": "b", "$relationshipName": "contains"})"));
  const auto incoming = [&](std::string_view id) {
    return world.run(world.service.list_incoming(world.instance, DigitalTwinId(id), {}))
        ->items.size();
  };
  EXPECT_EQ(incoming("a"), 0u);
  EXPECT_EQ(incoming("b"), 1u);
  EXPECT_TRUE(world.erase("a"));
  EXPECT_EQ(name_of(world.erase("b")), "RelationshipsNotDeleted");
  EXPECT_EQ(name_of(world.erase("floor")), "RelationshipsNotDeleted");
}

TEST_F(TwinRelationshipsTest, PagesRelationshipsWithoutLosingOrRepeatingAny) {
  ASSERT_TRUE(world.put("floor", kFloor));
  ASSERT_TRUE(world.put("room", kRoom));
  ASSERT_TRUE(world.put("floor2", kFloor));
  for (int i = 0; i < 250; ++i) {
    const auto id = std::to_string(1000 + i);
    ASSERT_TRUE(
        world.relate("floor", id, R"({"$targetId": "room", "$relationshipName": "contains"})"));
    if (i % 2 == 0)
      ASSERT_TRUE(world.relate("floor", id + "above",
                               R"({"$targetId": "floor2", "$relationshipName": "above"})"));
  }
  const auto count = [&](std::string name) {
    std::set<std::string> seen;
    std::vector<std::size_t> pages;
    std::string from;
    do {
      auto page = world.run(
          world.service.list_relationships(world.instance, DigitalTwinId("floor"), name, from));
      for (const auto& item : page->items) EXPECT_TRUE(seen.insert(item.id.str()).second);
      pages.push_back(page->items.size());
      from = page->next;
    } while (!from.empty());
    return pages;
  };
  EXPECT_THAT(count("contains"), ElementsAre(100, 100, 50));
  EXPECT_THAT(count("above"), ElementsAre(100, 25));
  EXPECT_THAT(count(""), ElementsAre(100, 100, 100, 75));
  std::string from;
  std::size_t incoming = 0;
  do {
    auto page = world.run(world.service.list_incoming(world.instance, DigitalTwinId("room"), from));
    incoming += page->items.size();
    from = page->next;
  } while (!from.empty());
  EXPECT_EQ(incoming, 250u);
}

TEST_F(TwinRelationshipsTest, RemovesATwinWithItsRelationshipsBothWays) {
  ASSERT_TRUE(world.put("floor", kFloor));
  ASSERT_TRUE(world.put("floor2", kFloor));
  ASSERT_TRUE(
      world.relate("floor", "out", R"({"$targetId": "floor2", "$relationshipName": "above"})"));
  ASSERT_TRUE(
      world.relate("floor2", "in", R"({"$targetId": "floor", "$relationshipName": "above"})"));
  const auto remove_it = [&] {
    return world.commit<bool>([&](store::Transaction& tx) {
      return world.service.remove_twin_and_relationships(tx, world.instance,
                                                         DigitalTwinId("floor"));
    });
  };
  EXPECT_EQ(remove_it().value(), true);
  EXPECT_EQ(remove_it().value(), false);
  EXPECT_TRUE(world.run(world.service.list_incoming(world.instance, DigitalTwinId("floor2"), {}))
                  ->items.empty());
  EXPECT_TRUE(
      world.run(world.service.list_relationships(world.instance, DigitalTwinId("floor2"), {}, {}))
          ->items.empty());
  EXPECT_TRUE(world.erase("floor2"));
}

// Both decide on the same snapshot; whichever commits second must find out.
TEST_F(TwinRelationshipsTest, NeverLetsADeleteAndANewRelationshipBothWin) {
  for (const bool delete_first : {true, false}) {
    for (const std::string_view victim : {"a", "b"}) {
      ASSERT_TRUE(world.put("a", kFloor));
      ASSERT_TRUE(world.put("b", kFloor));
      store::Transaction deleting(*world.store);
      store::Transaction adding(*world.store);
      ASSERT_TRUE(world.run(
          world.service.delete_twin_if(deleting, world.instance, DigitalTwinId(victim), {})));
      ASSERT_TRUE(world.run(world.service.put_relationship_if(
          adding, world.instance, DigitalTwinId("a"), RelationshipId("r"),
          testing::object(R"({"$targetId": "b", "$relationshipName": "above"})"), {})));
      const auto first = world.run((delete_first ? deleting : adding).commit());
      const auto second = world.run((delete_first ? adding : deleting).commit());
      EXPECT_TRUE(first.has_value());
      ASSERT_FALSE(second.has_value());
      EXPECT_EQ(second.error().code, Code::conflict);
      for (const auto* id : {"a", "b"})
        ASSERT_TRUE(world.commit<bool>([&](store::Transaction& tx) {
          return world.service.remove_twin_and_relationships(tx, world.instance, DigitalTwinId(id));
        }));
    }
  }
}

TEST_F(TwinRelationshipsTest, LetsRelationshipsOfOneTwinAndItsTelemetryPassEachOther) {
  for (const auto* id : {"a", "b", "c"}) ASSERT_TRUE(world.put(id, kFloor));
  store::Transaction one(*world.store);
  store::Transaction two(*world.store);
  store::Transaction three(*world.store);
  const auto relation = [](std::string_view target) {
    return testing::object(R"({"$targetId": ")" + std::string(target) +
                           R"(", "$relationshipName": "above"})");
  };
  ASSERT_TRUE(world.run(world.service.put_relationship_if(one, world.instance, DigitalTwinId("a"),
                                                          RelationshipId("1"), relation("b"), {})));
  ASSERT_TRUE(world.run(world.service.put_relationship_if(two, world.instance, DigitalTwinId("a"),
                                                          RelationshipId("2"), relation("c"), {})));
  ASSERT_TRUE(world.run(
      world.service.patch_twin(three, world.instance, DigitalTwinId("a"), {add("/Level", 1)})));
  EXPECT_TRUE(world.run(one.commit()));
  EXPECT_TRUE(world.run(two.commit()));
  EXPECT_TRUE(world.run(three.commit()));
}

}  // namespace
}  // namespace doppel::twins
