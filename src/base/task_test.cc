#include "base/task.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace doppel {
namespace {

using testing::ManualClock;
using testing::ManualExecutor;

class TaskTest : public ::testing::Test {
 protected:
  ManualClock clock;
  ManualExecutor executor{clock};
};

Task<int> add(int a, int b) { co_return a + b; }
Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await nested(depth - 1);
  co_return below + 1;
}

TEST_F(TaskTest, YieldsValuesThroughNestedTasks) {
  EXPECT_EQ(testing::run(executor, add(2, 3)), 5);
  // Symmetric transfer: a deep chain must not use up the stack when it unwinds.
  EXPECT_EQ(testing::run(executor, nested(20000)), 20000);
}

TEST_F(TaskTest, ATaskThatIsNeverAwaitedNeverStarts) {
  bool started = false;
  auto make = [](bool& flag) -> Task<int> {
    flag = true;
    co_return 1;
  };
  {
    auto task = make(started);
  }
  EXPECT_FALSE(started);
}

Task<std::string> wait_for_other_thread(std::thread& other) {
  std::move_only_function<void(std::move_only_function<void(std::string)>)> start =
      [&](std::move_only_function<void(std::string)> done) {
        other = std::thread([done = std::move(done)]() mutable { done("done"); });
        other.join();
      };
  const auto text = co_await from_callback<std::string>(std::move(start));
  co_return text + (Executor::current_or_null() != nullptr ? " at home" : " abroad");
}

TEST_F(TaskTest, ResumesOnTheExecutorThatAwaited) {
  std::thread other;
  EXPECT_EQ(testing::run(executor, wait_for_other_thread(other)), "done at home");
}

TEST_F(TaskTest, SleepEndsAtItsTimeAndEarlyWhenStopped) {
  std::optional<bool> slept;
  executor.post([&] { spawn(sleep_for(std::chrono::seconds(5)), [&](bool s) { slept = s; }); });
  executor.advance(std::chrono::seconds(4));
  EXPECT_FALSE(slept.has_value());
  executor.advance(std::chrono::seconds(1));
  EXPECT_EQ(slept, true);

  std::stop_source stop;
  slept.reset();
  executor.post([&] {
    spawn(sleep_for(std::chrono::hours(1), stop.get_token()), [&](bool s) { slept = s; });
  });
  executor.run_until_idle();
  stop.request_stop();
  executor.run_until_idle();
  EXPECT_EQ(slept, false);
  EXPECT_EQ(executor.pending_timers(), 0u);
}

}  // namespace
}  // namespace doppel
