#include "provisioning/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Traces::Start start_of(std::string_view id, std::string_view instance = "dps1") {
  return {.instance = instance,
          .registration_id = id,
          .tracking_id = "track",
          .call = "register",
          .transport = "mqtt",
          .peer = "192.0.2.7:1",
          .api_version = "2019-03-31"};
}

class TraceTest : public ::testing::Test {
 protected:
  enum class Who { guess, known, proven };
  void attempt(std::string_view id, Who who, std::size_t detail_size = 10) {
    const Trail trail = traces.begin(start_of(id));
    trail.note("proof", Verdict::refused, "{}", std::string(detail_size, 'x'));
    if (who == Who::known) trail.set_known();
    if (who == Who::proven) trail.set_proven("group");
    trail.finish(who == Who::proven ? "assigned" : "refused");
  }
  std::vector<AttemptRecord> of(std::string_view id) { return traces.find("dps1", id, 0, 1000); }

  doppel::testing::ManualClock clock;
  Traces traces{clock, {.bytes_max = 64 * 1024, .per_id_max = 3}};
};

TEST_F(TraceTest, ATrailThatLeadsNowhereTakesEverything) {
  const Trail nowhere;
  nowhere.note("proof", Verdict::passed, "{}", 1);
  nowhere.set_proven("e");
  nowhere.finish("assigned");
  EXPECT_FALSE(nowhere);
  EXPECT_TRUE(nowhere.record().steps.empty());
}

TEST_F(TraceTest, StepsKeepTheirOrderAndTimes) {
  const Trail trail = traces.begin(start_of("Dev-1"));
  clock.advance(milliseconds(2));
  trail.note("proof", Verdict::passed, "by {}", "group");
  clock.advance(milliseconds(3));
  trail.note("hub", Verdict::noted, "hub1");
  const auto running = of("dev-1");
  ASSERT_EQ(running.size(), 1u) << "found while it runs, whatever the case of the ID";
  EXPECT_FALSE(running[0].end);
  trail.finish("assigned");
  trail.finish("failed", 400, "too late");
  trail.note("hub", Verdict::noted, "too late");
  const auto found = of("dev-1");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].end->outcome, "assigned");
  EXPECT_EQ(found[0].took, Duration(milliseconds(5)));
  ASSERT_EQ(found[0].steps.size(), 2u);
  EXPECT_EQ(found[0].steps[0].at, Duration(milliseconds(2)));
  EXPECT_EQ(found[0].steps[1].detail, "hub1");
  EXPECT_TRUE(traces.find("dps2", "dev-1", 0, 10).empty());
}

TEST_F(TraceTest, KeepsTheLastFewOfEachId) {
  for (int i = 0; i < 10; ++i) attempt("a", Who::proven);
  attempt("b", Who::proven);
  const auto found = of("a");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].number, 8u);
  EXPECT_EQ(found[2].number, 10u);
  EXPECT_EQ(of("b").size(), 1u);
  EXPECT_EQ(traces.find("dps1", "", 8, 1000).size(), 3u);
  EXPECT_EQ(traces.find("dps1", "", 0, 2).back().number, 11u) << "the newest ones";
}

// The operator's own devices stay readable while somebody tries a million IDs.
TEST_F(TraceTest, GuessesPushOutGuessesOnly) {
  attempt("device", Who::proven);
  attempt("misconfigured", Who::known);
  for (int i = 0; i < 5000; ++i) attempt(fmt::format("guess-{}", i), Who::guess, 200);
  EXPECT_EQ(of("device").size(), 1u);
  EXPECT_EQ(of("misconfigured").size(), 1u);
  EXPECT_TRUE(of("guess-0").empty());
  EXPECT_EQ(of("guess-4999").size(), 1u);
  EXPECT_LE(traces.bytes(), 64u * 1024);
  // Guessing at one known ID leaves others' refusals alone, too.
  for (int i = 0; i < 5000; ++i) attempt("device", Who::known, 200);
  EXPECT_EQ(of("misconfigured").size(), 1u);
  EXPECT_EQ(of("device").size(), 4u);
}

TEST_F(TraceTest, OldOnesMakeRoomWithinTheBytes) {
  for (int i = 0; i < 1000; ++i) attempt(fmt::format("dev-{}", i), Who::proven, 300);
  EXPECT_TRUE(of("dev-0").empty());
  EXPECT_EQ(of("dev-999").size(), 1u);
  EXPECT_LE(traces.bytes(), 64u * 1024);
  EXPECT_GT(traces.count(), 10u);
}

TEST_F(TraceTest, ALongAttemptIsCut) {
  const Trail trail = traces.begin(start_of("a"));
  for (std::size_t i = 0; i < kTraceStepsMax + 5; ++i) {
    trail.note("enrollment", Verdict::skipped, "{}", i);
  }
  trail.finish("refused");
  const auto found = of("a");
  EXPECT_EQ(found[0].steps.size(), kTraceStepsMax);
  EXPECT_EQ(found[0].steps_left_out, 5u);
}

TEST_F(TraceTest, TextsOfPeersAreTamed) {
  const Trail trail = traces.begin(start_of("a\x1b[31m"));
  trail.note("webhook", Verdict::refused, "{}", "line\r\nnext\x1b[2J");
  trail.note("webhook", Verdict::refused, "{}", std::string(kTraceDetailMax - 1, 'x') + "\u00e9tc");
  const auto record = trail.record();
  EXPECT_EQ(record.steps[0].detail, "line  next [2J");
  EXPECT_EQ(record.registration_id, "a [31m");
  EXPECT_EQ(record.steps[1].detail, std::string(kTraceDetailMax - 1, 'x') + "...")
      << "no half character";
}

TEST_F(TraceTest, AbandonedAttemptsAreForgotten) {
  for (int i = 0; i < 10'000; ++i) (void)traces.begin(start_of("a"));
  EXPECT_TRUE(of("a").empty());
  EXPECT_EQ(traces.count(), 0u);
}

TEST_F(TraceTest, AnInstanceThatIsGoneLeavesNothing) {
  attempt("a", Who::proven);
  traces.begin(start_of("a", "dps10")).finish("assigned");
  traces.forget("DPS1");
  EXPECT_TRUE(of("a").empty());
  EXPECT_EQ(traces.find("dps10", "", 0, 10).size(), 1u) << "a name that only begins alike";
}

TEST_F(TraceTest, APrivateTrailIsNotKept) {
  const Trail trail = traces.begin_private(start_of("a"));
  trail.note("proof", Verdict::passed, "fine");
  trail.finish("assigned");
  EXPECT_EQ(trail.record().steps.size(), 1u);
  EXPECT_TRUE(of("a").empty());
}

// ---- What a registration notes ----

class RegistrationTraceTest : public ::testing::Test, public testing::World {
 protected:
  AttemptRecord traced(RegisterRequest wanted) {
    wanted.trail = provisioning.traces().begin(start_of(wanted.id.view()));
    const std::string id = wanted.id.str();
    const auto status = run(provisioning.registrar().register_device(std::move(wanted)));
    if (!status) return {};
    return provisioning.traces().find("dps1", id, 0, 100).back();
  }
  static std::vector<std::string> lines(const AttemptRecord& attempt) {
    std::vector<std::string> all;
    for (const auto& step : attempt.steps) {
      all.push_back(fmt::format("{} {}: {}", step.name, to_string(step.verdict), step.detail));
    }
    return all;
  }
};

TEST_F(RegistrationTraceTest, TellsTheWholeWayToAHub) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  const auto first = traced(request("dev-1", group_token("dev-1")));
  EXPECT_EQ(first.end->outcome, "assigned");
  EXPECT_TRUE(first.is_proven);
  EXPECT_EQ(first.enrollment, "thermostats");
  EXPECT_EQ(first.hub, "hub1.example.net");
  EXPECT_EQ(first.commit_version, version().value);
  EXPECT_THAT(lines(first), Contains(HasSubstr("proof passed: group enrollment thermostats")));
  EXPECT_THAT(lines(first), Contains(HasSubstr("record noted: never registered before")));
  EXPECT_THAT(lines(first), Contains("allocation passed: policy static of the enrollment: "
                                     "hub1.example.net of hub1.example.net"));
  EXPECT_THAT(lines(first), Contains("identity noted: dev-1 is made on hub1.example.net"));
  const auto second = traced(request("dev-1", group_token("dev-1")));
  EXPECT_THAT(lines(second), Contains(HasSubstr("record noted: registered before")));
  EXPECT_THAT(lines(second), Contains(HasSubstr("commit skipped")));
  EXPECT_EQ(second.commit_version, 0u);
}

TEST_F(RegistrationTraceTest, TellsWhatTheWebhookSaidAndHidesItsKey) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a?code=s3cret","apiVersion":"2019-03-31"})"));
  webhooks.replies.push_back(WebhookReply{503, "busy"});
  webhooks.replies.push_back(WebhookReply{400, "No hub group defined"});
  const auto attempt = traced(request("dev-1", group_token("dev-1")));
  EXPECT_EQ(attempt.end->outcome, "failed");
  EXPECT_EQ(attempt.end->error_code, 400209);
  const auto all = lines(attempt);
  EXPECT_THAT(all, Contains(HasSubstr("POST https://fn.example.net/a?**** with ")));
  EXPECT_THAT(all, Contains(HasSubstr("webhook refused: status 503 after 0.0 ms, 4 bytes: busy")));
  EXPECT_THAT(all, Contains(HasSubstr("No hub group defined")));
  for (const auto& line : all) {
    EXPECT_THAT(line, Not(HasSubstr("s3cret")));
    EXPECT_THAT(line, Not(HasSubstr(device_key("dev-1"))));
  }
}

TEST(MaskedUrl, HidesKeysAndPasswords) {
  EXPECT_EQ(masked_url("https://fn.example.net/a?code=x&y=z"), "https://fn.example.net/a?****");
  EXPECT_EQ(masked_url("https://me:pw@fn.example.net/a@b"), "https://****@fn.example.net/a@b");
  EXPECT_EQ(masked_url("https://fn.example.net/a@b"), "https://fn.example.net/a@b");
  EXPECT_EQ(masked_url("x"), "x");
}

}  // namespace
}  // namespace doppel::provisioning
