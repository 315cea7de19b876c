#include <functional>
#include <future>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/worker.h"
#include "twins/testing.h"

namespace doppel::twins {
namespace {

using ::testing::HasSubstr;
using testing::name_of;
using testing::World;

constexpr std::string_view kBase = R"([{"@id": "dtmi:t:Base;1", "@type": "Interface",
    "@context": "dtmi:dtdl:context;2", "contents": {"@type": "Property", "name": "p", "schema": "double"}}])";
constexpr std::string_view kDerived = R"([{"@id": "dtmi:t:Derived;1", "@type": "Interface",
    "@context": "dtmi:dtdl:context;2", "extends": "dtmi:t:Base;1"}])";

class TwinModelsTest : public ::testing::Test {
 protected:
  Task<Result<std::vector<StoredModelPtr>>> add(store::Transaction& tx, std::string_view models) {
    return world.service.add_models(tx, world.instance, testing::array(models));
  }
  Task<Status> erase(store::Transaction& tx, std::string_view id) {
    return world.service.delete_model(tx, world.instance, std::string(id));
  }
  Status erase(std::string_view id) {
    return world.done([&](store::Transaction& tx) { return erase(tx, id); });
  }

  store::FaultInjection faults;  // before the store that is told of it
  World world{&faults};
};

TEST_F(TwinModelsTest, SkipsOnlyModelsThatAreThereAsTheyAre) {
  const auto create = [&](std::string_view models, bool skip_existing) {
    return world.run(
        world.service.create_models(world.instance, testing::array(models), skip_existing));
  };
  ASSERT_TRUE(create(kBase, true).has_value());
  EXPECT_TRUE(create(kBase, true).has_value());
  EXPECT_FALSE(create(kBase, false).has_value());
  const auto other = create(
      R"([{"@id": "dtmi:t:Base;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2"}])",
      true);
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().name(), "ModelIdAlreadyExists");
  EXPECT_EQ(world.service.models(world.instance)->size(), 1u);
}

// Both decide on the same snapshot.
TEST_F(TwinModelsTest, NeverLeavesAModelWithoutItsBase) {
  ASSERT_TRUE(world.upload(kBase));
  for (const bool delete_first : {true, false}) {
    store::Transaction adding(*world.store);
    store::Transaction deleting(*world.store);
    ASSERT_TRUE(world.run(add(adding, kDerived)));
    ASSERT_TRUE(world.run(erase(deleting, "dtmi:t:Base;1")));
    EXPECT_TRUE(world.run((delete_first ? deleting : adding).commit()));
    const auto second = world.run((delete_first ? adding : deleting).commit());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Code::conflict);
    if (delete_first) ASSERT_TRUE(world.upload(kBase));
  }
}

TEST_F(TwinModelsTest, LetsOnlyOneOfTwoUploadsOfOneIdWin) {
  store::Transaction one(*world.store);
  store::Transaction two(*world.store);
  ASSERT_TRUE(world.run(add(one, kBase)));
  ASSERT_TRUE(world.run(add(two, kBase)));
  EXPECT_TRUE(world.run(one.commit()));
  EXPECT_EQ(world.run(two.commit()).error().code, Code::conflict);
}

// A transaction that began before a change sees the models of its own time, not those in memory.
TEST_F(TwinModelsTest, DecidesOnTheModelsOfTheTransactionsSnapshot) {
  ASSERT_TRUE(world.upload(kBase));
  store::Transaction early(*world.store);
  ASSERT_TRUE(world.upload(kDerived));
  EXPECT_TRUE(
      world.run(erase(early, "dtmi:t:Base;1")));  // nobody refers to it yet, as far as it can see
  EXPECT_EQ(world.run(early.commit()).error().code, Code::conflict);
  const auto late = erase("dtmi:t:Base;1");
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().name(), "ModelReferencesNotDeleted");
  EXPECT_THAT(late.error().message, HasSubstr("dtmi:t:Derived;1"));
}

// The answer was lost, the models were not: after the reopening they are there.
TEST_F(TwinModelsTest, KnowsModelsWhoseUploadEndedUnknown) {
  faults.fail_next_flush(store::FaultInjection::Fault::lose_answer);
  const auto uploaded = world.upload(kBase);
  ASSERT_FALSE(uploaded.has_value());
  EXPECT_EQ(uploaded.error().code, Code::unavailable);
  ASSERT_TRUE(world.run(world.service.open()));
  EXPECT_TRUE(world.service.has_model(world.instance, Dtmi("dtmi:t:Base;1")));
  EXPECT_TRUE(world.put("x", R"({"$metadata": {"$model": "dtmi:t:Base;1"}, "p": 1})").has_value());
}

TEST_F(TwinModelsTest, DoesNotKnowModelsWhoseUploadWasLost) {
  faults.fail_next_flush(store::FaultInjection::Fault::lose_write);
  ASSERT_FALSE(world.upload(kBase).has_value());
  EXPECT_EQ(name_of(world.put("x", R"({"$metadata": {"$model": "dtmi:t:Base;1"}})")),
            "ValidationFailed");
  EXPECT_TRUE(world.upload(kBase).has_value());
  EXPECT_TRUE(world.put("x", R"({"$metadata": {"$model": "dtmi:t:Base;1"}})").has_value());
}

TEST_F(TwinModelsTest, BoundsAnUpload) {
  const auto uploaded = [&](const json::Array& models) -> std::string {
    const auto status = world.run(world.service.create_models(world.instance, models, false));
    return status ? "succeeded" : std::string(status.error().name());
  };
  json::Array many;
  for (int i = 0; i < 251; ++i)
    many.push_back(json::Object{{"@id", "dtmi:t:M" + std::to_string(i) + ";1"},
                                {"@type", "Interface"},
                                {"@context", "dtmi:dtdl:context;2"}});
  EXPECT_EQ(uploaded(many), "LimitExceeded");
  many.erase(many.begin());
  EXPECT_EQ(uploaded(many), "succeeded");
  json::Array large = testing::array(kBase);
  large[0].get_object()["comment"] = std::string(1024 * 1024, 'x');
  EXPECT_EQ(uploaded(large), "LimitExceeded");
  EXPECT_EQ(uploaded({}), "InvalidArgument");
}

TEST_F(TwinModelsTest, BarsOnlyNewTwinsOfADecommissionedModel) {
  ASSERT_TRUE(world.upload(kBase));
  const auto* body = R"({"$metadata": {"$model": "dtmi:t:Base;1"}, "p": 1})";
  ASSERT_TRUE(world.put("old", body));
  ASSERT_TRUE(world.done([&](store::Transaction& tx) {
    return world.service.set_decommissioned(tx, world.instance, "dtmi:t:Base;1", true);
  }));
  EXPECT_EQ(name_of(world.put("new", body)), "ModelDecommissioned");
  EXPECT_TRUE(world.put("old", body).has_value());
  EXPECT_TRUE(world.patch("old", {testing::replace("/p", 2)}).has_value());
}

// Real threads: each reads the number in the twin and writes the next one. No number may be lost.
TEST_F(TwinModelsTest, LosesNoChangeWhenThreadsPatchOneTwin) {
  constexpr int kThreads = 3;
  constexpr int kPatchesEach = 40;
  ASSERT_TRUE(world.upload(kBase));
  ASSERT_TRUE(world.put("x", R"({"$metadata": {"$model": "dtmi:t:Base;1"}, "p": 0})"));
  SystemRandom system_random;
  TwinService service(*world.store, world.clock, system_random);
  const std::function<Task<Result<DigitalTwin>>(store::Transaction&)> count_on =
      [&](store::Transaction& tx) -> Task<Result<DigitalTwin>> {
    auto twin = co_await service.find_twin(tx, world.instance, DigitalTwinId("x"));
    if (!twin) co_return fail(std::move(twin.error()));
    std::vector<PatchOperation> patch;
    patch.push_back(testing::replace("/p", json::to_double((*twin)->document["p"]) + 1));
    co_return co_await service.patch_twin(tx, world.instance, DigitalTwinId("x"), std::move(patch));
  };
  const auto patch_many = [](store::Store& store, const auto& stage) -> Task<int> {
    int done = 0;
    while (done < kPatchesEach)  // beyond the attempts of one transact(), it is tried again
      if (auto twin = co_await store::transact<DigitalTwin>(store, stage)) ++done;
    co_return done;
  };
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::future<int>> finished;
  for (int i = 0; i < kThreads; ++i) {
    workers.push_back(std::make_unique<Worker>("patcher"));
    auto promise = std::make_shared<std::promise<int>>();
    finished.push_back(promise->get_future());
    workers.back()->post([&, promise] {
      spawn(patch_many(*world.store, count_on), [promise](int done) { promise->set_value(done); });
    });
  }
  for (auto& one : finished) EXPECT_EQ(one.get(), kPatchesEach);
  EXPECT_EQ(json::to_double(world.get("x")->document["p"]), kThreads * kPatchesEach);
}

// A model may go while twins have it; what is left can be read and deleted, and lives on when the
// id comes back.
TEST_F(TwinModelsTest, RevivesTwinsWhenTheirModelComesBack) {
  ASSERT_TRUE(world.upload(kBase));
  ASSERT_TRUE(world.put("x", R"({"$metadata": {"$model": "dtmi:t:Base;1"}, "p": 1})"));
  ASSERT_TRUE(erase("dtmi:t:Base;1"));
  EXPECT_TRUE(world.get("x").has_value());
  EXPECT_EQ(name_of(world.patch("x", {testing::replace("/p", 2)})), "ValidationFailed");
  ASSERT_TRUE(world.upload(kBase));
  EXPECT_TRUE(world.patch("x", {testing::replace("/p", 2)}).has_value());
}

}  // namespace
}  // namespace doppel::twins
