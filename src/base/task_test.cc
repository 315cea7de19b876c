#include "base/task.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/metrics.h"
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

Task<int> throws_after_a_wait() {
  co_await yield_once();
  throw std::runtime_error("no more memory");
}
Task<void> awaits_what_throws(bool& is_past) {
  const int value = co_await throws_after_a_wait();
  is_past = value >= 0;
}
Task<int> sees_what_is_thrown() {
  auto task = throws_after_a_wait();
  try {
    co_return co_await std::move(task);
  } catch (const std::runtime_error&) {
    co_return -1;
  }
}

class FailingTaskTest : public TaskTest {
 protected:
  static std::uint64_t failed() {
    return metrics::counter("doppel_tasks_failed_total", "").value();
  }
  const std::uint64_t failed_before = failed();
};

TEST_F(FailingTaskTest, AnExceptionReachesTheAwaiter) {
  EXPECT_EQ(testing::run(executor, sees_what_is_thrown()), -1);
  EXPECT_EQ(failed(), failed_before);
}

// One broken request must not take the process, and every other connection, with it.
TEST_F(FailingTaskTest, AnExceptionNobodyWaitsForEndsItsTaskAlone) {
  bool is_past = false;
  bool is_done = false;
  executor.post([&] { spawn(awaits_what_throws(is_past), [&] { is_done = true; }); });
  executor.run_until_idle();
  EXPECT_FALSE(is_past);
  EXPECT_TRUE(is_done) << "whoever counts its tasks would wait for ever";
  EXPECT_EQ(failed(), failed_before + 1);
  EXPECT_EQ(testing::run(executor, add(2, 3)), 5) << "the executor goes on";
}

TEST_F(FailingTaskTest, WithoutAValueThereIsNothingToCallDoneWith) {
  auto kept = std::make_shared<int>(7);
  executor.post(
      [&] { spawn(throws_after_a_wait(), [kept](int) { FAIL() << "there is no value"; }); });
  executor.run_until_idle();
  EXPECT_EQ(kept.use_count(), 1) << "the callback is destroyed";
  EXPECT_EQ(failed(), failed_before + 1);
}

TEST_F(FailingTaskTest, AnExceptionOfDoneItselfIsReportedToo) {
  executor.post([] { spawn(add(2, 3), [](int) { throw 7; }); });
  executor.run_until_idle();
  EXPECT_EQ(failed(), failed_before + 1);
}

}  // namespace
}  // namespace doppel
