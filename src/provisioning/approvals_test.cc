#include "provisioning/approvals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provisioning/keys.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using ::testing::HasSubstr;
using testing::text_of;

class ApprovalsTest : public ::testing::Test, public testing::World {
 protected:
  ApprovalsTest() { EXPECT_TRUE(put_group(R"(,"approval":"required")")); }

  Result<OperationStatus> poll(std::string_view id, std::string operation) {
    return run(provisioning.registrar().poll(instance(), RegistrationId(id),
                                             {.sas_token = group_token(id)}, std::move(operation)));
  }
  Result<Approval> decide(std::string id, ApprovalState decision) {
    return run(provisioning.approvals().decide(instance(), std::move(id), decision, "anna"));
  }
  std::optional<Approval> find(std::string id) {
    return run(provisioning.approvals().find(instance(), std::move(id))).value();
  }
  std::size_t listed(std::optional<ApprovalState> state) {
    return run(provisioning.approvals().list(instance(), state, {})).value().items.size();
  }
  std::string counted() {
    return run(store->snapshot()->get(approval_count_key("dps1"))).value().value_or("-");
  }
  // As after a restart: nothing but the store is remembered.
  void restart() {
    provisioning_again =
        std::make_unique<Provisioning>(Provisioning::Deps{.store = *store,
                                                          .clock = clock,
                                                          .random = random,
                                                          .box = box,
                                                          .catalog = [this] { return catalog; },
                                                          .hubs = hubs,
                                                          .functions = functions,
                                                          .webhooks = webhooks,
                                                          .ensure_issuer = {}});
  }
  std::unique_ptr<Provisioning> provisioning_again;
};

TEST_F(ApprovalsTest, ADeviceWaitsUntilAPersonLetsItIn) {
  auto wanted = request("dev-1", group_token("dev-1"));
  wanted.payload = json::parse(R"({"modelId":"dtmi:a;1"})").value();
  const auto first = run(provisioning.registrar().register_device(std::move(wanted)));
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->outcome);
  EXPECT_EQ(first->retry_after_s, kApprovalRetryAfterS);
  EXPECT_FALSE(stored_identity("hub1", "dev-1") || stored_identity("hub2", "dev-1"));

  const auto still = poll("dev-1", first->operation_id);
  ASSERT_TRUE(still);
  EXPECT_FALSE(still->outcome);
  EXPECT_EQ(still->operation_id, first->operation_id);
  ASSERT_TRUE(find("DEV-1"));
  EXPECT_EQ(find("dev-1")->state, ApprovalState::pending);

  const auto decided = decide("dev-1", ApprovalState::approved);
  ASSERT_TRUE(decided);
  EXPECT_EQ(decided->decided_by, "anna");
  const auto done = poll("dev-1", first->operation_id);
  ASSERT_TRUE(done);
  ASSERT_TRUE(done->outcome);
  EXPECT_EQ(done->outcome->status, OutcomeStatus::assigned);
  EXPECT_EQ(done->operation_id, first->operation_id);
  EXPECT_FALSE(find("dev-1")) << "the record says it from here on";
  EXPECT_EQ(counted(), "0");

  const auto again = register_device("dev-1");
  ASSERT_TRUE(again);
  ASSERT_TRUE(again->outcome) << "it was let in before";
  EXPECT_EQ(again->outcome->status, OutcomeStatus::assigned);
}

TEST_F(ApprovalsTest, TheFunctionHearsNothingBeforeAndTheFirstPayloadAfterwards) {
  ASSERT_TRUE(put_group(fmt::format(
      R"(,"allocationPolicy":"custom","customAllocationDefinition":{{
         "webhookUrl":"{}","apiVersion":"2019-03-31"}})",
      testing::FakeFunctions::kUrl)));
  EXPECT_TRUE(run(provisioning.enrollments().find(instance(), EnrollmentKind::group, "thermostats"))
                  .value()
                  ->needs_approval)
      << "clients that leave the member out do not open the door";
  auto wanted = request("dev-1", group_token("dev-1"));
  wanted.payload = json::parse(R"({"modelId":"dtmi:a;1"})").value();
  const auto first = run(provisioning.registrar().register_device(std::move(wanted)));
  ASSERT_TRUE(first);
  EXPECT_TRUE(functions.requests.empty());
  ASSERT_TRUE(decide("dev-1", ApprovalState::approved));
  ASSERT_TRUE(poll("dev-1", first->operation_id)->outcome);
  ASSERT_EQ(functions.requests.size(), 1u);
  EXPECT_THAT(json::write(functions.requests[0]), HasSubstr("dtmi:a;1"));
}

TEST_F(ApprovalsTest, ARejectedDeviceFailsUntilSomebodyThinksAgain) {
  const auto first = register_device("dev-1");
  ASSERT_TRUE(decide("dev-1", ApprovalState::rejected));
  const auto polled = poll("dev-1", first->operation_id);
  ASSERT_TRUE(polled);
  ASSERT_TRUE(polled->outcome);
  EXPECT_EQ(polled->outcome->status, OutcomeStatus::failed);
  EXPECT_EQ(json::to_int64(polled->outcome->state.at("errorCode")), 403002);
  EXPECT_EQ(register_device("dev-1")->outcome->status, OutcomeStatus::failed);
  EXPECT_FALSE(stored_identity("hub1", "dev-1") || stored_identity("hub2", "dev-1"));
  ASSERT_TRUE(decide("dev-1", ApprovalState::approved));
  EXPECT_EQ(register_device("dev-1")->outcome->status, OutcomeStatus::assigned);
}

TEST_F(ApprovalsTest, WaitingSurvivesARestart) {
  const auto first = register_device("dev-1");
  restart();
  const auto poll_again = [&] {
    return run(provisioning_again->registrar().poll(instance(), RegistrationId("dev-1"),
                                                    {.sas_token = group_token("dev-1")},
                                                    first->operation_id));
  };
  ASSERT_TRUE(poll_again());
  EXPECT_FALSE(poll_again()->outcome);
  ASSERT_TRUE(run(provisioning_again->approvals().decide(instance(), "dev-1",
                                                         ApprovalState::approved, "anna")));
  const auto done = poll_again();
  ASSERT_TRUE(done);
  ASSERT_TRUE(done->outcome);
  EXPECT_EQ(done->outcome->status, OutcomeStatus::assigned);
  EXPECT_EQ(done->operation_id, first->operation_id);
}

TEST_F(ApprovalsTest, AProofIsNeededToPoll) {
  const auto first = register_device("dev-1");
  const auto polled =
      run(provisioning.registrar().poll(instance(), RegistrationId("dev-1"),
                                        {.sas_token = group_token("dev-2")}, first->operation_id));
  ASSERT_FALSE(polled);
  EXPECT_EQ(polled.error().code, Code::unauthenticated);
}

TEST_F(ApprovalsTest, WhoIsInStaysInWhenTheModeIsTurnedOn) {
  ASSERT_TRUE(put_group(R"(,"approval":"none")"));
  ASSERT_TRUE(register_device("dev-1")->outcome);
  ASSERT_TRUE(put_group(R"(,"approval":"required")"));
  EXPECT_TRUE(register_device("dev-1")->outcome);
  EXPECT_FALSE(register_device("dev-2")->outcome);
  // And who waits is let in when it is turned off.
  ASSERT_TRUE(put_group(R"(,"approval":"none")"));
  EXPECT_EQ(poll("dev-2", "any")->outcome->status, OutcomeStatus::assigned);
  EXPECT_EQ(counted(), "0");
}

TEST_F(ApprovalsTest, ForgettingARegistrationMeansAskingAgain) {
  const auto first = register_device("dev-1");
  ASSERT_TRUE(decide("dev-1", ApprovalState::approved));
  ASSERT_TRUE(poll("dev-1", first->operation_id)->outcome);
  ASSERT_TRUE(run(provisioning.enrollments().remove_registration(instance(), "dev-1", "")));
  EXPECT_FALSE(register_device("dev-1")->outcome);
  // One that waits can be forgotten, too.
  ASSERT_TRUE(run(provisioning.enrollments().remove_registration(instance(), "dev-1", "")));
  EXPECT_FALSE(find("dev-1"));
  EXPECT_EQ(counted(), "0");
  const auto gone = poll("dev-1", "unknown");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::not_found);
}

// Between the look and the commit a person may change their mind.
TEST_F(ApprovalsTest, ARejectionInTheLastMomentHolds) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.replies.push_back(WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"});
  webhooks.delay = std::chrono::seconds(2);
  ASSERT_TRUE(register_device("dev-1"));
  ASSERT_TRUE(decide("dev-1", ApprovalState::approved));
  std::optional<Result<OperationStatus>> answer;
  executor.post([&] {
    spawn(provisioning.registrar().register_device(request("dev-1", group_token("dev-1"))),
          [&](Result<OperationStatus> result) { answer.emplace(std::move(result)); });
  });
  executor.run_until_idle();
  executor.advance(kAnswerWait);
  ASSERT_TRUE(answer && *answer);
  EXPECT_FALSE((*answer)->outcome) << "the function is being asked";
  ASSERT_TRUE(decide("dev-1", ApprovalState::rejected));
  executor.advance(std::chrono::seconds(2));
  EXPECT_FALSE(stored_identity("hub1", "dev-1"));
  EXPECT_EQ(register_device("dev-1")->outcome->status, OutcomeStatus::failed);
}

TEST_F(ApprovalsTest, NobodyCanDecideAboutWhoNeverAsked) {
  EXPECT_EQ(decide("dev-1", ApprovalState::approved).error().code, Code::not_found);
  register_device("dev-1");
  register_device("dev-2");
  ASSERT_TRUE(decide("dev-2", ApprovalState::rejected));
  EXPECT_EQ(listed(ApprovalState::pending), 1u);
  EXPECT_EQ(listed(ApprovalState::rejected), 1u);
  EXPECT_EQ(listed(std::nullopt), 2u);
}

TEST_F(ApprovalsTest, APayloadThatCannotBeKeptIsRefused) {
  auto wanted = request("dev-1", group_token("dev-1"));
  wanted.payload = json::Value(json::Object{{"x", std::string(kApprovalPayloadMax, 'x')}});
  const auto status = run(provisioning.registrar().register_device(std::move(wanted)));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->outcome->status, OutcomeStatus::failed);
  EXPECT_FALSE(find("dev-1"));
}

TEST_F(ApprovalsTest, OnlySoManyMayWait) {
  store::WriteSet set;
  set.puts.push_back({approval_count_key("dps1"), std::to_string(kApprovalsMax)});
  ASSERT_TRUE(run(store->commit(std::move(set))));
  const auto status = register_device("dev-1");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::throttled);
  EXPECT_FALSE(find("dev-1"));
}

TEST_F(ApprovalsTest, TheMemberIsChecked) {
  const auto wrong = put_group(R"(,"approval":"perhaps")");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("required or none"));
  EXPECT_FALSE(put_group(R"(,"approval":true)"));
  const auto individual = put(EnrollmentKind::individual, "e1",
                              R"({"registrationId":"e1","approval":"required",
                                  "attestation":{"type":"symmetricKey"}})");
  ASSERT_FALSE(individual);
  EXPECT_EQ(text_of(*put_group(R"(,"approval":"Required")"), "approval"), "required");
}

TEST(Approval, IsReadAsItWasWritten) {
  Approval approval{.id = RegistrationId("Dev-1"),
                    .group = "g",
                    .state = ApprovalState::rejected,
                    .api_version = "2019-03-31",
                    .payload = json::Value(json::Object{{"a", 1}}),
                    .csr = "Y3Ny",
                    .proof = "symmetricKey",
                    .requested = TimePoint(std::chrono::seconds(5)),
                    .decided = TimePoint(std::chrono::seconds(6)),
                    .decided_by = "anna"};
  const auto read = decode_approval(encode(approval));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(approval));
  EXPECT_FALSE(decode_approval("{}"));
  EXPECT_FALSE(decode_approval("x"));
  EXPECT_FALSE(decode_approval(R"({"v":1,"state":"perhaps"})"));
}

}  // namespace
}  // namespace doppel::provisioning
