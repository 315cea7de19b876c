#include "provisioning/operator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::text_of;

constexpr std::string_view kOutside =
    R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn.example.net/a?code=s3cret","apiVersion":"2019-03-31"})";

std::string builtin() {
  return fmt::format(
      R"(,"allocationPolicy":"custom","customAllocationDefinition":{{
         "webhookUrl":"{}","apiVersion":"2019-03-31"}})",
      testing::FakeFunctions::kUrl);
}

class OperatorTest : public ::testing::Test, public testing::World {
 protected:
  Result<json::Object> deprovision(std::string id, std::string if_match = {}) {
    return run(
        provisioning.operator_tools().deprovision(instance(), std::move(id), std::move(if_match)));
  }
  Result<json::Object> test_webhook(std::string id = "thermostats") {
    return run(provisioning.operator_tools().test_webhook(
        instance(), EnrollmentKind::group, std::move(id),
        {.registration_id = "webhook-test", .payload = json::Value(json::Object{{"a", 1}})}, {}));
  }
  AttemptRecord explain(ExplainRequest wanted) {
    wanted.instance = instance();
    if (wanted.id.view().empty()) wanted.id = RegistrationId("dev-1");
    const auto before = version();
    auto explained = run(provisioning.registrar().explain(std::move(wanted)));
    EXPECT_EQ(version(), before) << "an explanation writes nothing";
    EXPECT_TRUE(explained);
    return explained.value_or(AttemptRecord{});
  }
  static std::vector<std::string> lines(const AttemptRecord& attempt) {
    std::vector<std::string> all;
    for (const auto& step : attempt.steps) {
      all.push_back(fmt::format("{} {}: {}", step.name, to_string(step.verdict), step.detail));
    }
    return all;
  }
};

// ---- deprovision ----

TEST_F(OperatorTest, DeprovisioningTakesEverythingBackInOneCommit) {
  ASSERT_TRUE(put_group(builtin()));
  ASSERT_TRUE(register_device("dev-1")->outcome);
  ASSERT_EQ(count("faketwin"), 1u);
  const auto before = version().value;
  const auto report = deprovision("DEV-1");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(version().value, before + 1) << "one commit";
  EXPECT_FALSE(stored_identity("hub1", "dev-1"));
  EXPECT_EQ(count("faketwin"), 0u);
  EXPECT_EQ(report->at("identityRemoved").get_bool(), true);
  EXPECT_EQ(json::write(report->at("digitalTwinsRemoved")), R"(["dev-1"])");
  EXPECT_EQ(deprovision("dev-1").error().code, Code::not_found);
  // The enrollment stays, so the device may come back, as a new one.
  const auto again = register_device("dev-1");
  ASSERT_TRUE(again && again->outcome);
  EXPECT_EQ(text_of(again->outcome->state, "substatus"), "initialAssignment");
}

TEST_F(OperatorTest, DeprovisioningWhatTheHubForgotAlreadyIsFine) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  ASSERT_TRUE(register_device("dev-1")->outcome);
  store::WriteSet erased;
  erased.erases.push_back(testing::FakeHubs::key(HubName("hub1"), DeviceId("dev-1")));
  ASSERT_TRUE(run(store->commit(std::move(erased))));
  const auto report = deprovision("dev-1");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->at("identityRemoved").get_bool(), false);
  EXPECT_FALSE(run(provisioning.enrollments().get_registration(instance(), "dev-1")));
}

TEST_F(OperatorTest, DeprovisioningHeedsTheEtag) {
  ASSERT_TRUE(put_group());
  ASSERT_TRUE(register_device("dev-1")->outcome);
  EXPECT_EQ(deprovision("dev-1", "\"other\"").error().code, Code::precondition_failed);
  const auto record = run(provisioning.enrollments().get_registration(instance(), "dev-1"));
  EXPECT_TRUE(deprovision("dev-1", shown_etag(*record)));
}

TEST_F(OperatorTest, AFailedCommitTakesNothing) {
  ASSERT_TRUE(put_group(builtin()));
  ASSERT_TRUE(register_device("dev-1")->outcome);
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  EXPECT_FALSE(deprovision("dev-1"));
  EXPECT_TRUE(stored_identity("hub1", "dev-1"));
  EXPECT_EQ(count("faketwin"), 1u);
}

// ---- test-webhook ----

TEST_F(OperatorTest, ATestCallShowsWhatTheFunctionSaid) {
  ASSERT_TRUE(put_group(kOutside));
  webhooks.replies.push_back(
      WebhookReply{200, R"({"iotHubHostName":"hub2.example.net","payload":{"x":1}})"});
  const auto good = test_webhook();
  ASSERT_TRUE(good);
  EXPECT_EQ(good->at("isGood").get_bool(), true);
  EXPECT_EQ(text_of(*good, "iotHubHostName"), "hub2.example.net");
  EXPECT_EQ(text_of(*good, "webhookUrl"), "https://fn.example.net/a?****");
  EXPECT_EQ(webhooks.calls[0].first, "https://fn.example.net/a?code=s3cret");
  EXPECT_THAT(webhooks.calls[0].second, HasSubstr(R"("registrationId":"webhook-test")"));
  EXPECT_THAT(webhooks.calls[0].second, HasSubstr(R"("payload":{"a":1})"));
  EXPECT_THAT(json::write(*good), Not(HasSubstr("s3cret")));
}

TEST_F(OperatorTest, ATestCallSaysWhatIsWrong) {
  ASSERT_TRUE(put_group(kOutside));
  struct Line {
    Result<WebhookReply> reply;
    std::string problem;
  };
  std::vector<Line> table;
  table.push_back({WebhookReply{400, "No hub group defined"}, "not 200"});
  table.push_back({WebhookReply{200, R"({"iotHubHostName":"other"})"}, "not a linked hub"});
  table.push_back({WebhookReply{200, "hello"}, "not JSON"});
  table.push_back({WebhookReply{200, "\xff\xfe"}, "not JSON"});
  table.push_back({fail(Code::timeout, "it took too long"), "no answer: it took too long"});
  for (Line& line : table) {
    webhooks.replies.push_back(std::move(line.reply));
    const auto bad = test_webhook();
    ASSERT_TRUE(bad) << line.problem;
    EXPECT_EQ(bad->at("isGood").get_bool(), false) << line.problem;
    EXPECT_THAT(text_of(*bad, "problem"), HasSubstr(line.problem));
  }
}

TEST_F(OperatorTest, ATestOfABuiltinFunctionWritesNothing) {
  ASSERT_TRUE(put_group(builtin()));
  const auto before = version();
  const auto good = test_webhook();
  ASSERT_TRUE(good);
  EXPECT_EQ(good->at("isGood").get_bool(), true);
  EXPECT_EQ(text_of(*good, "function"), "app");
  EXPECT_EQ(version(), before);
  EXPECT_EQ(count("faketwin"), 0u);
  functions.refuse_with = fail(Code::invalid_argument, "No model").error();
  EXPECT_THAT(text_of(*test_webhook(), "problem"), HasSubstr("No model"));
}

TEST_F(OperatorTest, WithoutAFunctionThereIsNothingToTest) {
  ASSERT_TRUE(put_group());
  EXPECT_EQ(test_webhook().error().code, Code::invalid_argument);
  EXPECT_EQ(test_webhook("nobody").error().code, Code::not_found);
}

// ---- explain ----

TEST_F(OperatorTest, AnExplanationTellsTheWholeWayAndWritesNothing) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub2.example.net"])"));
  const auto told = explain({});
  EXPECT_EQ(told.end->outcome, "assigned");
  EXPECT_EQ(told.enrollment, "thermostats");
  EXPECT_EQ(told.hub, "hub2.example.net");
  EXPECT_THAT(lines(told), Contains(HasSubstr("identity noted: dev-1 is made on hub2")));
  EXPECT_FALSE(stored_identity("hub2", "dev-1"));
  EXPECT_TRUE(provisioning.traces().find("dps1", "", 0, 10).empty()) << "it is no attempt";
}

TEST_F(OperatorTest, AnExplanationOfAMoveSaysWhatBecomesOfTheTwin) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  ASSERT_TRUE(register_device("dev-1")->outcome);
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub2.example.net"])"));
  const auto told = explain({});
  EXPECT_THAT(lines(told), Contains(HasSubstr("moves from dev-1 on hub1.example.net to dev-1 on "
                                              "hub2.example.net")));
  EXPECT_THAT(lines(told), Contains(HasSubstr("deviceDataMigrated")));
  EXPECT_TRUE(stored_identity("hub1", "dev-1"));
}

TEST_F(OperatorTest, ATokenIsJudged) {
  ASSERT_TRUE(put_group());
  ExplainRequest wanted;
  wanted.proof.sas_token = token("dev-1", base64_encode("some other key, 16"));
  const auto told = explain(std::move(wanted));
  EXPECT_EQ(told.end->outcome, "refused");
  EXPECT_EQ(told.end->error_code, 401002);
  EXPECT_THAT(lines(told), Contains(HasSubstr("proof refused")));
}

TEST_F(OperatorTest, WhereTheKeyDecidesAmongGroupsOneMustBeNamed) {
  ASSERT_TRUE(put_group());
  ASSERT_TRUE(put(EnrollmentKind::group, "other",
                  R"({"enrollmentGroupId":"other","attestation":{"type":"symmetricKey"}})"));
  const auto unclear = explain({});
  EXPECT_EQ(unclear.end->outcome, "unclear");
  EXPECT_THAT(lines(unclear), Contains(HasSubstr("among 2 groups (other, thermostats): name one")));
  ExplainRequest wanted;
  wanted.group = "Other";
  EXPECT_EQ(explain(std::move(wanted)).enrollment, "other");
  ExplainRequest absent;
  absent.group = "nobody";
  EXPECT_THAT(lines(explain(std::move(absent))), Contains(HasSubstr("no symmetric key group")));
  // A device that was here before has its group in its record.
  ASSERT_TRUE(register_device("dev-1")->outcome);
  EXPECT_EQ(explain({}).enrollment, "thermostats");
}

TEST_F(OperatorTest, AnExplanationCallsTheWebhookOnlyWhenAsked) {
  ASSERT_TRUE(put_group(kOutside));
  const auto told = explain({});
  EXPECT_EQ(told.end->outcome, "depends on the webhook");
  EXPECT_TRUE(webhooks.calls.empty());
  webhooks.replies.push_back(WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"});
  ExplainRequest wanted;
  wanted.calls_webhook = true;
  EXPECT_EQ(explain(std::move(wanted)).hub, "hub1.example.net");
  EXPECT_EQ(webhooks.calls.size(), 1u);
}

TEST_F(OperatorTest, AnExplanationKnowsTheOtherEnds) {
  EXPECT_EQ(explain({}).end->outcome, "unclear");  // nothing covers it
  ASSERT_TRUE(put_group(R"(,"approval":"required")"));
  EXPECT_EQ(explain({}).end->outcome, "waiting");
  ASSERT_TRUE(register_device("dev-1"));
  ASSERT_TRUE(
      run(provisioning.approvals().decide(instance(), "dev-1", ApprovalState::rejected, "anna")));
  EXPECT_EQ(explain({}).end->error_code, 403002);
  ASSERT_TRUE(
      run(provisioning.approvals().decide(instance(), "dev-1", ApprovalState::approved, "anna")));
  EXPECT_EQ(explain({}).end->outcome, "assigned");
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  R"({"registrationId":"dev-1","provisioningStatus":"disabled",
                      "attestation":{"type":"symmetricKey"}})"));
  const auto disabled = explain({});
  EXPECT_EQ(disabled.end->outcome, "disabled");
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  R"({"registrationId":"dev-1","attestation":{"type":"symmetricKey"},
                      "allocationPolicy":"static","iotHubs":["hub1.example.net"]})"));
  EXPECT_EQ(explain({}).hub, "hub1.example.net");
  ExplainRequest nonsense;
  nonsense.instance = instance();
  nonsense.id = RegistrationId("not an id");
  EXPECT_EQ(run(provisioning.registrar().explain(std::move(nonsense))).error().code,
            Code::invalid_argument);
}

}  // namespace
}  // namespace doppel::provisioning
