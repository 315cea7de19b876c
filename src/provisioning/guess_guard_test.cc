#include "provisioning/guess_guard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace doppel::provisioning {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kBad = "192.0.2.7:40000";
constexpr std::string_view kOther = "192.0.2.8:40000";

class GuessGuardTest : public ::testing::Test {
 protected:
  void fail_often(std::string_view peer, int times, std::string_view subject = "dps1/guess") {
    for (int i = 0; i < times; ++i) guard.failed(peer, subject);
  }
  doppel::testing::ManualClock clock;
  GuessGuard guard{clock, {.failures_per_minute = 60, .failures_at_once = 5}};
};

TEST_F(GuessGuardTest, AnAddressMayFailAFewTimesThenWaits) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(guard.admits(kBad, "dps1/a")) << i;
    guard.failed(kBad, "dps1/a");
  }
  EXPECT_FALSE(guard.admits(kBad, "dps1/a"));
  EXPECT_FALSE(guard.admits("192.0.2.7:50000", "dps1/b")) << "the port does not matter";
  EXPECT_TRUE(guard.admits(kOther, "dps1/a")) << "another address is another matter";
}

TEST_F(GuessGuardTest, CreditComesBackWithTime) {
  fail_often(kBad, 5);
  ASSERT_FALSE(guard.admits(kBad, "dps1/a"));
  clock.advance(seconds(1));
  EXPECT_TRUE(guard.admits(kBad, "dps1/a"));
  guard.failed(kBad, "dps1/a");
  EXPECT_FALSE(guard.admits(kBad, "dps1/a"));
  clock.advance(minutes(10));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(guard.admits(kBad, "dps1/a")) << i;
    guard.failed(kBad, "dps1/a");
  }
  EXPECT_FALSE(guard.admits(kBad, "dps1/a")) << "no more than failures_at_once is saved up";
}

TEST_F(GuessGuardTest, ADeviceThatProvedItselfThereIsNotLockedOutByItsNeighbours) {
  guard.proven(kBad, "dps1/good");
  fail_often(kBad, 1000);
  EXPECT_TRUE(guard.admits(kBad, "dps1/GOOD"));
  EXPECT_FALSE(guard.admits(kBad, "dps1/stranger"));
  EXPECT_FALSE(guard.admits(kBad, "dps2/good")) << "of another instance";
}

TEST_F(GuessGuardTest, WhoGuessesAtAProvenDeviceUsesUpItsCreditOnly) {
  guard.proven(kBad, "dps1/good");
  guard.proven(kBad, "dps1/fine");
  fail_often(kBad, 20, "dps1/good");
  EXPECT_FALSE(guard.admits(kBad, "dps1/good"));
  EXPECT_TRUE(guard.admits(kBad, "dps1/fine"));
}

// Calls at once overdraw, but never so far that nobody gets through any more.
TEST_F(GuessGuardTest, HowLongAnAddressWaitsIsBounded) {
  fail_often(kBad, 100'000);
  clock.advance(seconds(7));  // 5 below zero, one to have, at one a second
  EXPECT_TRUE(guard.admits(kBad, "dps1/a"));
}

TEST_F(GuessGuardTest, MemoryIsBoundedAndTheOldestIsForgotten) {
  fail_often(kBad, 5);
  for (unsigned i = 0; i < kGuessSourcesMax; ++i) {
    clock.advance(seconds(0));
    guard.failed(fmt::format("10.{}.{}.{}:1", i >> 16, (i >> 8) & 255, i & 255), "dps1/x");
  }
  EXPECT_EQ(guard.sources(), kGuessSourcesMax);
  EXPECT_TRUE(guard.admits(kBad, "dps1/a")) << "it was the oldest";
  for (unsigned i = 0; i < kGuessDevicesMax + 10; ++i) {
    guard.proven(kOther, fmt::format("dps1/{}", i));
  }
  EXPECT_EQ(guard.devices(), kGuessDevicesMax);
}

TEST_F(GuessGuardTest, AnIpv6OwnerIsItsNetwork) {
  EXPECT_EQ(GuessGuard::source_of("[2001:db8::1]:1"), GuessGuard::source_of("[2001:db8::ffff]:2"));
  EXPECT_NE(GuessGuard::source_of("[2001:db8::1]:1"), GuessGuard::source_of("[2001:db8:0:1::1]:1"));
  EXPECT_EQ(GuessGuard::source_of("[::ffff:192.0.2.7]:1"), "192.0.2.7");
  EXPECT_EQ(GuessGuard::source_of("192.0.2.7:1"), "192.0.2.7");
  EXPECT_EQ(GuessGuard::source_of("[fe80::1%eth0]:1"), GuessGuard::source_of("[fe80::2]:1"));
  EXPECT_EQ(GuessGuard::source_of("nonsense"), "");
  EXPECT_EQ(GuessGuard::source_of(""), "");
  EXPECT_EQ(GuessGuard::source_of("["), "");
}

TEST_F(GuessGuardTest, LoopbackCountsOnlyWhenTold) {
  for (const std::string_view peer : {"127.0.0.1:5", "[::1]:5"}) {
    fail_often(peer, 100);
    EXPECT_TRUE(guard.admits(peer, "dps1/a")) << peer;
  }
  GuessGuard strict(clock,
                    {.failures_per_minute = 60, .failures_at_once = 2, .counts_loopback = true});
  strict.failed("127.0.0.1:5", "dps1/a");
  strict.failed("127.0.0.1:5", "dps1/a");
  EXPECT_FALSE(strict.admits("127.0.0.1:6", "dps1/a"));
}

TEST_F(GuessGuardTest, WhoHasNoAddressIsNotThrownTogether) {
  fail_often("", 100);
  EXPECT_TRUE(guard.admits("", "dps1/a"));
}

TEST_F(GuessGuardTest, NoLimitMeansNone) {
  GuessGuard off(clock, {.failures_per_minute = 0, .failures_at_once = 1});
  for (int i = 0; i < 100; ++i) off.failed(kBad, "dps1/a");
  EXPECT_TRUE(off.admits(kBad, "dps1/a"));
  EXPECT_EQ(off.sources(), 0u);
}

}  // namespace
}  // namespace doppel::provisioning
