#include "provisioning/latencies.h"

#include <gtest/gtest.h>

#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

TEST(LatenciesTest, TellsTheNearestHubAndDoesNotWaver) {
  testing::World world;
  auto near = testing::World::linked_far("near");
  auto far = testing::World::linked_far("far");
  Latencies latencies(world.remote, [&] { return world.catalog; });
  const auto told = [&](const resources::LinkedHub& hub) { return latencies.of(hub); };
  EXPECT_EQ(latencies.of(near), std::nullopt);
  latencies.observe(near.authority, std::chrono::milliseconds(21));
  latencies.observe(far.authority, std::chrono::milliseconds(98));
  EXPECT_EQ(latencies.of(near), std::chrono::milliseconds(20));
  for (const int jitter : {9, 31, 15, 28}) {
    latencies.observe(near.authority, std::chrono::milliseconds(jitter));
    EXPECT_EQ(latencies.of(near), std::chrono::milliseconds(20));
  }
  for (int i = 0; i < 20; ++i) latencies.observe(near.authority, std::chrono::milliseconds(200));
  EXPECT_GT(*latencies.of(near), std::chrono::milliseconds(150));

  EXPECT_GT(latency_of(near, told), latency_of(far, told));
  near.latency_ms = 5;  // what the link says counts
  EXPECT_EQ(latency_of(near, told), std::chrono::milliseconds(5));
  EXPECT_EQ(latency_of(testing::World::linked("hub1"), told), Duration::zero());
}

}  // namespace
}  // namespace doppel::provisioning
