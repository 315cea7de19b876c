#include "provisioning/tpm_attestation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "errors/dps.h"
#include "provisioning/tpm_testing.h"

namespace doppel::provisioning {
namespace {

using ::testing::HasSubstr;
using testing::SoftTpm;
using testing::text_of;

class TpmAttestationTest : public ::testing::Test, public testing::TpmWorld {
 protected:
  json::Object assigned(const Result<OperationStatus>& answer) {
    EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().message);
    if (!answer || !answer->outcome) return {};
    EXPECT_EQ(to_string(answer->outcome->status), "assigned")
        << json::write(answer->outcome->state);
    return answer->outcome->state;
  }
  std::string hub_key(std::string_view device, std::string_view hub = "hub1") {
    const auto identity = stored_identity(hub, device);
    return identity ? json::get_string_or(*identity, "primary", "") : "";
  }
  static void refused(const Result<OperationStatus>& answer, std::string_view why) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().service, &errors::dps::kUnauthorized);
    EXPECT_THAT(answer.error().message, HasSubstr(std::string(why)));
  }
  static constexpr std::string_view kHub1 =
      R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])";
};

TEST_F(TpmAttestationTest, GivesTheTpmTheKeyThatTheHubKnowsTheDeviceBy) {
  for (const bool is_rsa : {false, true}) {
    testing::TpmWorld world(is_rsa ? SoftTpm::make_rsa() : SoftTpm::make_ec());
    ASSERT_TRUE(world.put_tpm("tpm-1", kHub1));
    const auto state = assigned(world.register_tpm("tpm-1"));
    EXPECT_EQ(text_of(state, "deviceId"), "tpm-1");
    const auto key = world.delivered(state);
    ASSERT_TRUE(key);
    EXPECT_EQ(key->size(), kTpmHubKeySize);
    const auto identity = world.stored_identity("hub1", "tpm-1");
    ASSERT_TRUE(identity);
    EXPECT_EQ(json::get_string_or(*identity, "primary", ""), base64_encode(*key));
    EXPECT_NE(json::get_string_or(*identity, "secondary", ""), base64_encode(*key));
  }
}

// The answer to a registration may be lost: the key that the hub has must be good then, too.
TEST_F(TpmAttestationTest, DeliversTheSameHubKeyAgainAndWritesNothing) {
  ASSERT_TRUE(put_tpm("tpm-1", kHub1));
  const auto first = assigned(register_tpm("tpm-1"));
  const auto before = version();
  const auto second = assigned(register_tpm("tpm-1"));
  EXPECT_EQ(version(), before);
  EXPECT_EQ(delivered(second), delivered(first));
  EXPECT_NE(json::write(second.at("tpm")), json::write(first.at("tpm")));  // wrapped anew
}

TEST_F(TpmAttestationTest, MakesAnotherHubKeyForAnotherTpm) {
  ASSERT_TRUE(put_tpm("tpm-1", kHub1));
  assigned(register_tpm("tpm-1"));
  const auto first = hub_key("tpm-1");
  testing::TpmWorld replaced;  // only for its TPM
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "tpm-1", attestation(replaced.tpm.endorsement_key, kHub1)));
  const auto blob = challenge("tpm-1", keys_of(replaced.tpm));
  ASSERT_TRUE(blob);
  const auto token = tpm_token("tpm-1", replaced.tpm.activate(*blob).value_or(""));
  const auto state = assigned(register_tpm("tpm-1", token, keys_of(replaced.tpm)));
  EXPECT_NE(hub_key("tpm-1"), first);
  EXPECT_EQ(base64_encode(replaced.delivered(state).value_or("")), hub_key("tpm-1"));
  EXPECT_FALSE(delivered(state));
}

// A key that others knew must not be what a TPM gets.
TEST_F(TpmAttestationTest, NeverDeliversAKeyFromBeforeTheTpm) {
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  fmt::format(R"({{"attestation":{{"type":"symmetricKey","symmetricKey":{{
                      "primaryKey":"{}"}}}}{}}})",
                              testing::kGroupKey, kHub1)));
  ASSERT_TRUE(register_device("dev-1", token("dev-1", testing::kGroupKey)));
  ASSERT_EQ(hub_key("dev-1"), testing::kGroupKey);
  ASSERT_TRUE(put_tpm("dev-1", kHub1));
  const auto state = assigned(register_tpm("dev-1"));
  EXPECT_NE(hub_key("dev-1"), testing::kGroupKey);
  EXPECT_EQ(base64_encode(delivered(state).value_or("")), hub_key("dev-1"));
}

TEST_F(TpmAttestationTest, ChallengesOnlyTheTpmThatIsEnrolled) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  ASSERT_TRUE(put_group());
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "key-1", R"({"attestation":{"type":"symmetricKey"}})"));
  const SoftTpm other = SoftTpm::make_ec();
  const auto why = [&](std::string_view id, const TpmKeys& presented) {
    const auto blob = challenge(id, presented);
    if (blob) return std::string("challenged");
    EXPECT_EQ(blob.error().service, &errors::dps::kUnauthorized);
    return blob.error().message;
  };
  EXPECT_EQ(why("tpm-1", keys()), "challenged");
  EXPECT_EQ(why("TPM-1", keys()), "challenged");
  EXPECT_THAT(why("nobody", keys()), HasSubstr("no individual enrollment"));
  EXPECT_THAT(why("a b", keys()), HasSubstr("not a registration ID"));
  EXPECT_THAT(why("key-1", keys()), HasSubstr("another attestation"));
  EXPECT_THAT(why("tpm-1", keys_of(other)), HasSubstr("not the enrolled one"));
  EXPECT_THAT(why("tpm-1", TpmKeys{"", tpm.storage_root_key}), HasSubstr("not the enrolled one"));
  // Its owner is told what is wrong with the other key.
  const auto bad = challenge("tpm-1", TpmKeys{tpm.endorsement_key, "nonsense"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().service, &errors::dps::kBadRequest);
  EXPECT_THAT(bad.error().message, HasSubstr("tpm.storageRootKey"));
}

TEST_F(TpmAttestationTest, RefusesTokensThatAnswerNoChallenge) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  ASSERT_TRUE(put_tpm("tpm-2"));
  const auto key = tpm.activate(challenge("tpm-1", keys()).value()).value();
  const auto hour_ago = clock.now() - std::chrono::hours(1);
  refused(register_tpm("tpm-1", "", keys()), "no proof");
  refused(register_tpm("tpm-1", tpm_token("tpm-1", "another key"), keys()), "TPM enrollment");
  refused(register_tpm("tpm-1", tpm_token("tpm-1", key, "owner"), keys()), "another key");
  refused(register_tpm("tpm-1", tpm_token("tpm-1", key, "registration", hour_ago), keys()),
          "expired");
  refused(register_tpm("tpm-1", tpm_token("tpm-2", key), keys()), "another resource");
  refused(register_tpm("tpm-2", tpm_token("tpm-2", key), keys()), "TPM enrollment");
  refused(register_tpm("tpm-1", tpm_token("tpm-1", key), std::nullopt), "no TPM was challenged");
  refused(register_tpm("tpm-1", tpm_token("tpm-1", key), keys_of(SoftTpm::make_ec())),
          "not the enrolled one");
  EXPECT_EQ(count("fakehub"), 0u);
  assigned(register_tpm("tpm-1", tpm_token("tpm-1", key), keys()));
}

TEST_F(TpmAttestationTest, TakesAnAnswerOnce) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto token = answer_challenge("tpm-1");
  const auto first = register_tpm("tpm-1", token, keys());
  assigned(first);
  refused(register_tpm("tpm-1", token, keys()), "answered once already");
  const auto poll = [&](std::string sas_token, const std::string& operation) {
    Proof proof;
    proof.sas_token = std::move(sas_token);
    return run(
        provisioning.registrar().poll(instance(), RegistrationId("tpm-1"), proof, operation));
  };
  EXPECT_EQ(assigned(poll(token, first->operation_id)), first->outcome->state);
  // Without its operation nothing could be delivered.
  const auto unknown = poll(token, "4.0.unknown");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().service, &errors::dps::kOperationNotFound);
  clock.advance(kTpmUseKept + std::chrono::seconds(1));
  refused(poll(token, first->operation_id), "TPM enrollment");
}

TEST_F(TpmAttestationTest, LetsTheAnswerBeRepeatedAfterTroubleThatPasses) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto token = answer_challenge("tpm-1");
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto lost = register_tpm("tpm-1", token, keys());
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::unavailable);
  assigned(register_tpm("tpm-1", token, keys()));
  refused(register_tpm("tpm-1", token, keys()), "answered once already");
}

TEST_F(TpmAttestationTest, TellsADisabledEnrollmentToItsTpmOnly) {
  ASSERT_TRUE(put_tpm("tpm-1", R"(,"provisioningStatus":"disabled")"));
  refused(register_tpm("tpm-1", tpm_token("tpm-1", "guessed"), keys()), "TPM enrollment");
  const auto answer = register_tpm("tpm-1");
  ASSERT_TRUE(answer && answer->outcome);
  EXPECT_EQ(to_string(answer->outcome->status), "disabled");
  EXPECT_FALSE(answer->outcome->state.contains("tpm"));
}

TEST_F(TpmAttestationTest, ChecksTheKeysOfAnEnrollmentWhenItIsWritten) {
  const auto refusal = [&](std::string_view detail) {
    const auto made = put(EnrollmentKind::individual, "tpm-1",
                          fmt::format(R"({{"attestation":{{"type":"tpm","tpm":{}}}}})", detail));
    if (made) return std::string("taken");
    EXPECT_EQ(made.error().service, &errors::dps::kInvalidEnrollment);
    return made.error().message;
  };
  const auto ek = base64_encode(tpm.endorsement_key);
  EXPECT_THAT(refusal("{}"), HasSubstr("endorsementKey is required"));
  EXPECT_THAT(refusal(R"({"endorsementKey":""})"), HasSubstr("endorsementKey is required"));
  EXPECT_THAT(refusal(R"({"endorsementKey":"%%"})"), HasSubstr("must be base64"));
  EXPECT_THAT(refusal(R"({"endorsementKey":"AA=="})"), HasSubstr("cut short"));
  EXPECT_THAT(refusal(fmt::format(R"({{"endorsementKey":"{}","storageRootKey":7}})", ek)),
              HasSubstr("storageRootKey must be a string"));
  EXPECT_THAT(refusal(fmt::format(R"({{"endorsementKey":"{}","storageRootKey":"%"}})", ek)),
              HasSubstr("storageRootKey must be base64"));
  EXPECT_EQ(refusal(fmt::format(R"({{"endorsementKey":"{}","storageRootKey":null}})", ek)),
            "taken");
  EXPECT_EQ(refusal(fmt::format(R"({{"endorsementKey":"{0}","storageRootKey":"{0}"}})", ek)),
            "taken");
  const auto group = put(EnrollmentKind::group, "g", attestation(tpm.endorsement_key));
  ASSERT_FALSE(group);
  EXPECT_THAT(group.error().message, HasSubstr("a group cannot be attested by TPM"));
}

// What the allocation function is told of a TPM: that it is one.
TEST_F(TpmAttestationTest, TellsTheAllocationFunctionNoKeys) {
  ASSERT_TRUE(put_tpm("tpm-1", R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn.example.net/a","apiVersion":"2021-10-01"})"));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  assigned(register_tpm("tpm-1"));
  ASSERT_EQ(webhooks.calls.size(), 1u);
  EXPECT_THAT(webhooks.calls[0].second,
              HasSubstr(R"("deviceRuntimeContext":{"registrationId":"tpm-1","tpm":{})"));
  EXPECT_THAT(webhooks.calls[0].second,
              ::testing::Not(HasSubstr(base64_encode(tpm.endorsement_key))));
}

}  // namespace
}  // namespace doppel::provisioning
