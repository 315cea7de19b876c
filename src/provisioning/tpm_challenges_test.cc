#include "provisioning/tpm_challenges.h"

#include <gtest/gtest.h>

#include "base/testing.h"
#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

class TpmChallengesTest : public ::testing::Test {
 protected:
  // Whether a token by `key` is taken for `subject`.
  bool takes(const std::string& key, const std::string& subject = "dps1/tpm",
             std::optional<TpmKeys> presented = TpmKeys{"ek", "srk"}) {
    return challenges
        .find(subject, presented ? &*presented : nullptr,
              [&](std::string_view candidate) { return candidate == key; })
        .has_value();
  }
  std::shared_ptr<Operation> operation() {
    return std::make_shared<Operation>(random.uuid(), "dps1/tpm");
  }
  std::shared_ptr<Operation> ended(Result<Outcome> result) {
    auto begun = operations.begin_or_join("dps1/tpm").value().operation;
    operations.finish(begun, std::move(result));
    return begun;
  }

  doppel::testing::ManualClock clock;
  SeededRandom random{3};
  TpmChallenges challenges{clock, random};
  Operations operations{clock, random};
  const TpmKeys keys{"ek", "srk"};
};

TEST_F(TpmChallengesTest, TakesTheKeyOfTheDeviceThatWasChallengedOnly) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  EXPECT_EQ(key.size(), kTpmChallengeKeySize);
  EXPECT_TRUE(takes(key));
  EXPECT_FALSE(takes(key, "dps1/other"));
  EXPECT_FALSE(takes(key, "dps2/tpm"));
  EXPECT_FALSE(takes(key, "dps1/tpm", TpmKeys{"ek", "another srk"}));
  EXPECT_FALSE(takes(key, "dps1/tpm", TpmKeys{"another ek", "srk"}));
  EXPECT_FALSE(takes(key, "dps1/tpm", std::nullopt));
  EXPECT_NE(key, TpmChallenges(clock, random).key_for("dps1/tpm", keys));  // another process
}

// Whoever asks in the device's name, however often, does not disturb it, and costs no memory.
TEST_F(TpmChallengesTest, KeepsAChallengeUnderWayWhateverOthersAskFor) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  for (int i = 0; i < 1000; ++i) {
    (void)challenges.key_for("dps1/tpm", TpmKeys{"ek", std::to_string(i)});
  }
  EXPECT_TRUE(takes(key));
  EXPECT_EQ(challenges.devices(), 0u);
}

TEST_F(TpmChallengesTest, ForgetsAChallengeAfterAFewMinutes) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  clock.advance(kTpmChallengeWindow);
  EXPECT_TRUE(takes(key));
  clock.advance(kTpmChallengeWindow);
  EXPECT_FALSE(takes(key));
}

TEST_F(TpmChallengesTest, SpendsAKeyOnceAndLetsItPollOn) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  const auto first = ended(Outcome{OutcomeStatus::assigned, {}});
  ASSERT_TRUE(challenges.use("dps1/tpm", key, first));
  EXPECT_TRUE(takes(key, "dps1/tpm", std::nullopt));  // a poll
  const auto again = challenges.use("dps1/tpm", key, operation());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().service, &errors::dps::kUnauthorized);

  const auto next = challenges.key_for("dps1/tpm", keys);
  EXPECT_NE(next, key);
  EXPECT_TRUE(challenges.use("dps1/tpm", next, operation()));
  EXPECT_FALSE(challenges.use("dps1/tpm", key, operation()));
}

TEST_F(TpmChallengesTest, LetsARegistrationBeRepeatedThatRunsStillOrMayPass) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  const auto running = operation();
  ASSERT_TRUE(challenges.use("dps1/tpm", key, running));
  EXPECT_TRUE(challenges.use("dps1/tpm", key, running));
  EXPECT_FALSE(challenges.use("dps1/tpm", key, operation()));

  const auto other = challenges.key_for("dps1/tpm", keys);
  const auto lost = ended(fail(errors::dps::kUnavailable));
  ASSERT_TRUE(challenges.use("dps1/tpm", other, lost));
  const auto second = ended(Outcome{OutcomeStatus::failed, {}});
  EXPECT_TRUE(challenges.use("dps1/tpm", other, second));
  EXPECT_FALSE(challenges.use("dps1/tpm", other, operation()));
}

// An old key must not come back when the memory of its use goes.
TEST_F(TpmChallengesTest, NeverTakesASpentKeyAgain) {
  const auto key = challenges.key_for("dps1/tpm", keys);
  ASSERT_TRUE(challenges.use("dps1/tpm", key, operation()));
  for (std::size_t i = 0; i < 2 * kTpmUsesPerDeviceMax; ++i) {
    const auto more = challenges.key_for("dps1/tpm", keys);
    ASSERT_TRUE(challenges.use("dps1/tpm", more, operation()));
  }
  EXPECT_FALSE(takes(key));
  EXPECT_FALSE(takes(key, "dps1/tpm", std::nullopt));

  const auto last = challenges.key_for("dps1/tpm", keys);
  ASSERT_TRUE(challenges.use("dps1/tpm", last, operation()));
  clock.advance(kTpmUseKept + std::chrono::seconds(1));
  EXPECT_FALSE(takes(last));
}

// What a device did long ago must not stand in its way, whether or not it was forgotten meanwhile.
TEST_F(TpmChallengesTest, LetsADeviceComeBackLongAfterItsLastUse) {
  ASSERT_TRUE(challenges.use("dps1/tpm", challenges.key_for("dps1/tpm", keys), operation()));
  clock.advance(kTpmUseKept + std::chrono::seconds(1));
  const auto key = challenges.key_for("dps1/tpm", keys);
  EXPECT_TRUE(takes(key));
  EXPECT_TRUE(challenges.use("dps1/tpm", key, operation()));
}

// Neither the moment at which its uses grow old nor others' registrations come between the two
// legs.
TEST_F(TpmChallengesTest, KeepsAChallengeUnderWayWhileTheDeviceIsForgotten) {
  ASSERT_TRUE(challenges.use("dps1/tpm", challenges.key_for("dps1/tpm", keys), operation()));
  for (const auto before : {std::chrono::seconds(1), std::chrono::seconds(-1)}) {
    clock.advance(kTpmUseKept - before);
    const auto key = challenges.key_for("dps1/tpm", keys);
    clock.advance(std::chrono::seconds(2));
    ASSERT_TRUE(challenges.use("dps1/other", std::to_string(before.count()), operation()));
    EXPECT_TRUE(takes(key));
    ASSERT_TRUE(challenges.use("dps1/tpm", key, operation()));
    EXPECT_FALSE(challenges.use("dps1/tpm", key, operation()));
  }
}

TEST_F(TpmChallengesTest, ForgetsDevicesInTheirOrder) {
  const auto use = [&](const std::string& subject) {
    return challenges.use(subject, challenges.key_for(subject, keys), operation());
  };
  ASSERT_TRUE(use("dps1/a"));
  clock.advance(kTpmDeviceKept / 2);
  ASSERT_TRUE(use("dps1/b"));
  ASSERT_TRUE(use("dps1/a"));
  clock.advance(kTpmDeviceKept / 2);
  ASSERT_TRUE(use("dps1/c"));
  EXPECT_EQ(challenges.devices(), 3u);
  clock.advance(kTpmDeviceKept / 2 + std::chrono::seconds(1));
  ASSERT_TRUE(use("dps1/d"));
  EXPECT_EQ(challenges.devices(), 2u);  // c and d
}

TEST_F(TpmChallengesTest, ThrottlesBeyondItsBoundAndRecovers) {
  for (std::size_t i = 0; i < kTpmDevicesMax; ++i) {
    ASSERT_TRUE(challenges.use(std::to_string(i), "k", nullptr));
  }
  const auto full = challenges.use("one more", "k", operation());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::throttled);
  clock.advance(kTpmDeviceKept + std::chrono::seconds(1));
  EXPECT_TRUE(challenges.use("one more", "k", operation()));
}

}  // namespace
}  // namespace doppel::provisioning
