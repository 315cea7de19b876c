#include <future>

#include "base/worker.h"
#include "resources/resources_testing.h"

namespace doppel::resources::testing {
namespace {

// A script that makes many things at once: with a store that takes its time every change would meet
// others on the way, and none may be lost or refused for that.
TEST(ParallelChanges, AllSucceed) {
  constexpr int kChanges = 80;  // more than a transaction's attempts
  SystemClock clock;
  SystemRandom random;
  Worker worker("changes");
  const auto store = store::open_memory(clock, {.threading = store::Threading::committer_thread});
  std::unique_ptr<Resources> resources;
  const auto run_on = [&]<class T>(Task<T> task) {
    std::promise<T> promise;
    worker.post(
        [&] { spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); }); });
    return promise.get_future().get();
  };
  const security::SecretBox box(security::MasterKey::generate(random), random);
  resources = std::move(*run_on(Resources::open(*store, worker, clock, random, box, {})));
  ASSERT_TRUE(
      run_on(resources->put(resources->group_id("rg"), json::Object{{"location", "eastus"}})));

  std::promise<void> finished;
  int left = kChanges;
  int failed = 0;
  worker.post([&] {
    for (int i = 0; i < kChanges; ++i) {
      auto id = resources->hub_id("rg", "hub" + std::to_string(i));
      auto task = resources->put(std::move(id), json::Object{{"location", "eastus"}});
      spawn(std::move(task), [&](Result<PutOutcome> outcome) {
        failed += outcome ? 0 : 1;
        if (--left == 0) finished.set_value();
      });
    }
  });
  finished.get_future().get();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(resources->catalog()->hubs.size(), std::size_t{kChanges});
  // Exactly one of them is called like the server.
  EXPECT_NE(resources->catalog()->find_hub_by_host("localhost"), nullptr);
  ASSERT_TRUE(run_on(resources->remove(resources->group_id("rg"))));
  EXPECT_TRUE(resources->catalog()->hubs.empty());
  resources.reset();
}

}  // namespace
}  // namespace doppel::resources::testing
