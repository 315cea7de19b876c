#include "net/loop.h"

#include <future>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/task.h"
#include "net/wheel.h"

namespace doppel::net {
namespace {

using std::chrono::milliseconds;

struct Counting final : WheelTimer {
  void on_timer() override {
    ++fired;
    if (again != nullptr) again->set(*this, milliseconds(100));
  }
  int fired = 0;
  Wheel* again = nullptr;
};

SteadyTime at(int ms) { return SteadyTime(milliseconds(1'000'000 + ms)); }

TEST(Wheel, FiresWithinATickAfterTheDelayAndNeverBefore) {
  Wheel wheel(milliseconds(10));
  wheel.advance(at(0));
  Counting timer;
  wheel.set(timer, milliseconds(95));
  for (int ms = 0; ms < 95; ms += 5) {
    wheel.advance(at(ms));
    EXPECT_EQ(timer.fired, 0) << ms;
  }
  wheel.advance(at(105));
  EXPECT_EQ(timer.fired, 1);
  EXPECT_TRUE(wheel.empty());
}

TEST(Wheel, KeepsTimersBeyondOneRound) {
  Wheel wheel(milliseconds(1));
  wheel.advance(at(0));
  Counting timer;
  wheel.set(timer, milliseconds(5000));
  for (int ms = 0; ms <= 4990; ms += 10) wheel.advance(at(ms));
  EXPECT_EQ(timer.fired, 0);
  for (int ms = 5000; ms <= 5010; ++ms) wheel.advance(at(ms));
  EXPECT_EQ(timer.fired, 1);
}

TEST(Wheel, FiresOnceAfterALongPause) {
  Wheel wheel(milliseconds(10));
  wheel.advance(at(0));
  Counting near;
  Counting far;
  wheel.set(near, milliseconds(50));
  wheel.set(far, milliseconds(1'000'000));
  wheel.advance(at(600'000));
  EXPECT_EQ(near.fired, 1);
  EXPECT_EQ(far.fired, 0);
}

TEST(Wheel, ForgetsTimersThatAreClearedSetAgainOrDestroyed) {
  Wheel wheel(milliseconds(10));
  wheel.advance(at(0));
  Counting cleared;
  Counting moved;
  wheel.set(cleared, milliseconds(50));
  wheel.set(moved, milliseconds(50));
  {
    Counting destroyed;
    wheel.set(destroyed, milliseconds(50));
  }
  wheel.clear(cleared);
  wheel.set(moved, milliseconds(200));
  wheel.advance(at(100));
  EXPECT_EQ(cleared.fired, 0);
  EXPECT_EQ(moved.fired, 0);
  wheel.advance(at(220));
  EXPECT_EQ(moved.fired, 1);
}

TEST(Wheel, LetsATimerSetItselfAgain) {
  Wheel wheel(milliseconds(10));
  wheel.advance(at(0));
  Counting timer;
  timer.again = &wheel;
  wheel.set(timer, milliseconds(100));
  for (int ms = 0; ms <= 1000; ms += 10) wheel.advance(at(ms));
  EXPECT_GE(timer.fired, 8);
  EXPECT_LE(timer.fired, 10);
}

TEST(Loop, RunsJobsOfOneThreadInOrderOnItsOwn) {
  Loops loops(1);
  Loop& loop = loops.at(0);
  std::vector<int> seen;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) loop.post([&seen, i] { seen.push_back(i); });
  loop.post([&] {
    EXPECT_TRUE(loop.is_current());
    EXPECT_EQ(&Executor::current(), &loop);
    done.set_value();
  });
  done.get_future().wait();
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Loop, RunsTimersInTheOrderOfTheirTimesAndForgetsCancelledOnes) {
  Loops loops(1);
  Loop& loop = loops.at(0);
  std::vector<int> seen;
  std::promise<void> done;
  loop.post([&] {
    loop.post_after(milliseconds(30), [&] {
      seen.push_back(3);
      done.set_value();
    });
    loop.post_after(milliseconds(10), [&] { seen.push_back(1); });
    const auto cancelled = loop.post_after(milliseconds(20), [&] { seen.push_back(2); });
    loop.cancel(cancelled);
    loop.cancel(cancelled);
  });
  done.get_future().wait();
  EXPECT_EQ(seen, (std::vector{1, 3}));
}

TEST(Loop, SurvivesAJobThatThrows) {
  Loops loops(1);
  std::promise<void> done;
  loops.at(0).post([] { throw std::runtime_error("on purpose"); });
  loops.at(0).post([&] { done.set_value(); });
  done.get_future().wait();
}

TEST(Loop, DestroysJobsThatCanNoLongerRun) {
  auto held = std::make_shared<int>(1);
  {
    Loops loops(1);
    loops.at(0).post_after(std::chrono::hours(1), [held] { FAIL(); });
    loops.stop();
    EXPECT_EQ(held.use_count(), 1);
    loops.at(0).post([held] { FAIL(); });
    EXPECT_EQ(held.use_count(), 1);
  }
}

struct Flushing final : Flushable {
  void flush() override { ++flushed; }
  int flushed = 0;
};

// What a store's completion batch releases leaves in one write.
TEST(Loop, FlushesOnceAfterABatchOfJobs) {
  Loops loops(1);
  Loop& loop = loops.at(0);
  auto target = std::make_shared<Flushing>();
  std::promise<int> during;
  std::promise<int> after;
  loop.post([&] {
    // Posted from within a job, these make the next batch together.
    for (int i = 0; i < 10; ++i) loop.post([&] { loop.flush_soon(target); });
    loop.post([&] { during.set_value(target->flushed); });
    loop.post([&] { loop.post([&] { after.set_value(target->flushed); }); });
  });
  EXPECT_EQ(during.get_future().get(), 0);
  EXPECT_EQ(after.get_future().get(), 1);
}

struct Reading final : Ready {
  void on_readable() override { readable.set_value(); }
  void on_writable() override { writable.set_value(); }
  std::promise<void> readable;
  std::promise<void> writable;
};

TEST(Watch, TellsWhenADescriptorIsReady) {
  Loops loops(1);
  Loop& loop = loops.at(0);
  int pair[2] = {};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  Reading target;
  std::unique_ptr<Watch> watch;
  loop.post([&] {
    watch = std::make_unique<Watch>(loop, pair[0], target);
    watch->wait_readable();
    watch->wait_writable();
  });
  target.writable.get_future().wait();
  EXPECT_EQ(::write(pair[1], "x", 1), 1);
  target.readable.get_future().wait();
  char byte = 0;
  EXPECT_EQ(::read(pair[0], &byte, 1), 1);
  std::promise<void> gone;
  loop.post([&] {
    watch->wait_readable();
    watch.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  EXPECT_EQ(::read(pair[1], &byte, 1), 0);  // the descriptor was closed
  ::close(pair[1]);
}

TEST(PrepareProcess, RaisesTheLimitOfOpenFiles) {
  const auto files = prepare_process();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
  EXPECT_EQ(files, limit.rlim_cur);
}

}  // namespace
}  // namespace doppel::net
