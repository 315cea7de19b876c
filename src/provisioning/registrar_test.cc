#include "provisioning/registrar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using ::testing::HasSubstr;
using testing::text_of;

constexpr std::string_view kBuiltin =
    R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn/builtin?code=secret","apiVersion":"2019-03-31"})";
constexpr std::string_view kWebhook =
    R"(,"allocationPolicy":"custom","iotHubs":["hub1.example.net"],
       "customAllocationDefinition":{"webhookUrl":"https://fn.example.net/a?code=x",
       "apiVersion":"2021-10-01"})";

class RegistrarTest : public ::testing::Test, public testing::World {
 protected:
  // The state of a registration that must have ended as `status`.
  json::Object ended(const Result<OperationStatus>& answer, OutcomeStatus status) {
    EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().message);
    if (!answer || !answer->outcome) {
      ADD_FAILURE() << "no outcome";
      return {};
    }
    EXPECT_EQ(to_string(answer->outcome->status), to_string(status))
        << json::write(answer->outcome->state);
    return answer->outcome->state;
  }
  json::Object assigned(std::string_view id) {
    return ended(register_device(id), OutcomeStatus::assigned);
  }
};

TEST_F(RegistrarTest, AssignsAtOnceWithTheFullState) {
  ASSERT_TRUE(put_group());
  const auto answer = register_device("floor-2-thermostat");
  const auto state = ended(answer, OutcomeStatus::assigned);
  EXPECT_EQ(text_of(state, "registrationId"), "floor-2-thermostat");
  EXPECT_EQ(text_of(state, "deviceId"), "floor-2-thermostat");
  EXPECT_EQ(text_of(state, "status"), "assigned");
  EXPECT_EQ(text_of(state, "substatus"), "initialAssignment");
  EXPECT_THAT(text_of(state, "assignedHub"), HasSubstr(".example.net"));
  EXPECT_TRUE(base64_decode(text_of(state, "etag"))->starts_with('"'));
  EXPECT_EQ(answer->retry_after_s, 0);
  EXPECT_EQ(count("fakehub"), 1u);
}

// The hub knows the device by the key it proved itself with.
TEST_F(RegistrarTest, GivesTheHubTheDerivedKeys) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  assigned("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
  const auto identity = stored_identity("hub1", "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
  ASSERT_TRUE(identity);
  EXPECT_EQ(json::get_string_or(*identity, "primary", ""),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

TEST_F(RegistrarTest, RegisteringAgainWritesNothing) {
  for (const auto more : {std::string_view(), kBuiltin}) {
    ASSERT_TRUE(put_group(more));
    const auto first = assigned("again");
    const auto before = version();
    clock.advance(std::chrono::seconds(3));
    const auto second = assigned("again");
    EXPECT_EQ(version(), before);
    EXPECT_EQ(json::write(second), json::write(first));
  }
}

// Tokens differ in spelling; each must verify (dps.md section 0, rules 1 and 2).
TEST_F(RegistrarTest, TakesTheTokensOfAllSdks) {
  ASSERT_TRUE(put_group());
  const std::string key = device_key("dev-1");
  const auto se = std::to_string(to_unix_seconds(clock.now()) + 3600);
  const auto sign = [&](std::string_view sr) {
    return percent_encode(
        base64_encode(security::hmac_sha256(*base64_decode(key), fmt::format("{}\n{}", sr, se))));
  };
  const std::string raw = fmt::format("{}/registrations/dev-1", testing::kScope);
  const std::string upper = percent_encode(raw);
  const std::string lower = fmt::format("{}%2fregistrations%2fdev-1", testing::kScope);
  for (const auto& token : {
           fmt::format("SharedAccessSignature sr={}&sig={}&skn=registration&se={}", raw, sign(raw),
                       se),  // Node
           fmt::format("SharedAccessSignature sr={}&sig={}&se={}", upper, sign(upper),
                       se),  // Python
           fmt::format("SharedAccessSignature sr={}&sig={}&se={}&skn=registration", lower,
                       sign(lower), se),  // C
           fmt::format("SharedAccessSignature sr={}&sig={}&se={}&skn=registration", upper,
                       sign(upper), se),  // .NET
       }) {
    EXPECT_TRUE(register_device("dev-1", token)) << token;
  }
}

TEST_F(RegistrarTest, RefusesEveryBadProofAlike) {
  ASSERT_TRUE(put_group());
  const auto hour_ago = clock.now() - std::chrono::hours(1);
  const std::string other_key = base64_encode("another key of 16 bytes or more");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"no token", ""},
      {"garbage", "SharedAccessSignature nonsense"},
      {"wrong key", token("dev-1", other_key)},
      {"the raw group key", token("dev-1", testing::kGroupKey)},
      {"another device", group_token("dev-2")},
      {"expired", token("dev-1", device_key("dev-1"), "registration", hour_ago)},
      {"another key name", token("dev-1", device_key("dev-1"), "owner")},
  };
  for (const auto& [name, sas] : cases) {
    const auto answer = register_device("dev-1", sas);
    ASSERT_FALSE(answer) << name;
    EXPECT_EQ(answer.error().service, &errors::dps::kUnauthorized) << name;
    EXPECT_FALSE(answer.error().message.empty()) << name;
  }
  EXPECT_EQ(count("fakehub"), 0u);
  // Five minutes of skew are forgiven.
  const auto late = clock.now() - std::chrono::minutes(4);
  EXPECT_TRUE(register_device("dev-1", token("dev-1", device_key("dev-1"), "", late)));
}

TEST_F(RegistrarTest, DoesNotMakeASecondIdentityWhenTheSpellingChanges) {
  ASSERT_TRUE(put_group());
  assigned("Dev-A");
  const auto again =
      ended(register_device("dev-a", token("dev-a", device_key("dev-a"))), OutcomeStatus::assigned);
  EXPECT_EQ(text_of(again, "deviceId"), "Dev-A");
  EXPECT_EQ(count("fakehub"), 1u);
}

TEST_F(RegistrarTest, TellsADisabledEnrollmentOnlyToThoseWhoProveThemselves) {
  ASSERT_TRUE(put_group(R"(,"provisioningStatus":"disabled")"));
  ended(register_device("dev-1"), OutcomeStatus::disabled);
  EXPECT_FALSE(register_device("dev-1", token("dev-1", base64_encode("0123456789abcdef0"))));
  EXPECT_EQ(count("fakehub"), 0u);
}

// The documented way to lock one member of a group out.
TEST_F(RegistrarTest, LetsAnIndividualEnrollmentHideTheGroup) {
  ASSERT_TRUE(put_group());
  assigned("dev-1");
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  R"({"provisioningStatus":"disabled","attestation":{"type":"symmetricKey"}})"));
  EXPECT_FALSE(register_device("dev-1"));
  ASSERT_TRUE(
      run(provisioning.enrollments().remove(instance(), EnrollmentKind::individual, "dev-1", {})));
  assigned("dev-1");
}

TEST_F(RegistrarTest, PutsAllPartsIntoOneCommitOrNone) {
  ASSERT_TRUE(put_group(kBuiltin));
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto lost = register_device("dev-1");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::unavailable);
  EXPECT_EQ(count("fakehub") + count("faketwin"), 0u);
  EXPECT_FALSE(run(provisioning.enrollments().get_registration(instance(), "dev-1")));

  const auto before = version();
  const auto state = assigned("dev-1");
  EXPECT_EQ(version().value, before.value + 1);
  EXPECT_EQ(count("fakehub"), 1u);
  EXPECT_EQ(count("faketwin"), 1u);
  const auto identity = stored_identity("hub1", "dev-1");
  const auto twin = run(store->snapshot()->get(store::key({"faketwin", "dev-1"}))).value();
  EXPECT_EQ(*twin, json::get_string_or(*identity, "generation", ""));
}

TEST_F(RegistrarTest, LeavesNothingBehindWhenTheHubRefuses) {
  ASSERT_TRUE(put_group(kBuiltin));
  hubs.refuse_with = Error{.code = Code::quota_exceeded, .message = "the hub is full"};
  const auto state = ended(register_device("dev-1"), OutcomeStatus::failed);
  EXPECT_EQ(text_of(state, "errorMessage"), "the hub is full");
  EXPECT_EQ(count("fakehub") + count("faketwin"), 0u);
}

TEST_F(RegistrarTest, MakesTheDeviceAgainAfterItWasDeletedInTheHub) {
  for (const auto& more :
       {std::string(kBuiltin),
        std::string(kBuiltin) +
            R"(,"reprovisionPolicy":{"updateHubAssignment":false,"migrateDeviceData":false})"}) {
    ASSERT_TRUE(put_group(more));
    assigned("dev-1");
    const auto first = stored_identity("hub1", "dev-1");
    auto erased =
        run(store::transact<bool>(*store, [&](store::Transaction& tx) -> Task<Result<bool>> {
          (void)co_await hubs.remove_identity(tx, HubName("hub1"), DeviceId("dev-1"));
          tx.erase(store::key({"faketwin", "dev-1"}));
          co_return true;
        }));
    ASSERT_TRUE(erased);
    assigned("dev-1");
    const auto second = stored_identity("hub1", "dev-1");
    ASSERT_TRUE(second);
    EXPECT_NE(json::write(*first), json::write(*second));
    EXPECT_EQ(count("faketwin"), 1u);
  }
}

TEST_F(RegistrarTest, MovesADeviceWithItsTwinOrWithoutOrNotAtAll) {
  struct Case {
    std::string_view update, migrate;
    std::string_view hub, substatus, room;
  };
  for (const Case& c : {Case{"true", "true", "hub2", "deviceDataMigrated", "kitchen"},
                        Case{"true", "false", "hub2", "deviceDataReset", "none"},
                        Case{"false", "false", "hub1", "initialAssignment", "kitchen"}}) {
    World world;
    const auto policy = [&](std::string_view hub) {
      return fmt::format(
          R"(,"allocationPolicy":"static","iotHubs":["{}.example.net"],
             "initialTwin":{{"tags":{{"room":"none"}},"properties":{{"desired":{{}}}}}},
             "reprovisionPolicy":{{"updateHubAssignment":{},"migrateDeviceData":{}}})",
          hub, c.update, c.migrate);
    };
    ASSERT_TRUE(world.put_group(policy("hub1")));
    ended(world.register_device("dev-1"), OutcomeStatus::assigned);
    auto identity = world.stored_identity("hub1", "dev-1")->get_object();
    identity["tags"] = json::Object{{"room", "kitchen"}};
    identity["reported"] = json::Object{{"firmware", "1.2"}};
    identity["disabled"] = true;
    store::WriteSet changes;
    changes.puts.push_back(
        {testing::FakeHubs::key(HubName("hub1"), DeviceId("dev-1")), json::write(identity)});
    ASSERT_TRUE(world.run(world.store->commit(std::move(changes))));

    ASSERT_TRUE(world.put_group(policy("hub2")));
    const auto state = ended(world.register_device("dev-1"), OutcomeStatus::assigned);
    EXPECT_EQ(text_of(state, "assignedHub"), std::string(c.hub) + ".example.net");
    EXPECT_EQ(text_of(state, "substatus"), c.substatus);
    EXPECT_EQ(world.count("fakehub"), 1u);
    const auto there = world.stored_identity(c.hub, "dev-1");
    ASSERT_TRUE(there);
    EXPECT_EQ(json::get_string_or(*json::find(*there, "tags"), "room", ""), c.room);
    EXPECT_EQ(json::find(*there, "reported")->get_object().contains("firmware"),
              c.room == "kitchen");
    EXPECT_TRUE(json::find(*there, "disabled")->get_bool()) << "whom an operator shut out";
  }
}

TEST_F(RegistrarTest, ReportsWhatTheFunctionSaid) {
  ASSERT_TRUE(put_group(kBuiltin));
  functions.refuse_with = Error{.code = Code::invalid_argument, .message = "no such model"};
  const auto state = ended(register_device("dev-1"), OutcomeStatus::failed);
  EXPECT_EQ(state.at("errorCode").to_number<int>(), 400209);
  EXPECT_EQ(text_of(state, "errorMessage"),
            "Custom allocation failed with status code: 400: no such model");
  functions.refuse_with.reset();
  functions.hub_host_name = "elsewhere.example.net";
  const auto second = ended(register_device("dev-1"), OutcomeStatus::failed);
  EXPECT_THAT(text_of(second, "errorMessage"), HasSubstr("is not a linked hub"));
  EXPECT_EQ(count("fakehub") + count("faketwin"), 0u);
}

TEST_F(RegistrarTest, AsksAWebhookAndTakesItsAnswer) {
  ASSERT_TRUE(put_group(kWebhook));
  webhooks.replies.push_back(WebhookReply{200, R"({"iotHubHostname":"HUB1.example.net",
      "initialTwin":{"tags":{"a":1},"properties":null},"payload":[1,"x",null]})"});
  auto wanted = request("dev-7", group_token("dev-7"));
  wanted.payload = json::parse(R"({"modelId":"dtmi:example:Thermostat;1"})").value();
  const auto answer = run(provisioning.registrar().register_device(std::move(wanted)));
  const auto state = ended(answer, OutcomeStatus::assigned);
  EXPECT_EQ(json::write(state.at("payload")), R"([1,"x",null])");

  ASSERT_EQ(webhooks.calls.size(), 1u);
  EXPECT_EQ(webhooks.calls[0].first, "https://fn.example.net/a?code=x");
  const auto body = json::parse(webhooks.calls[0].second).value();
  EXPECT_EQ(json::write(*json::find(body, "linkedHubs")), R"(["hub1.example.net"])");
  EXPECT_EQ(json::write(*json::find(body, "deviceRuntimeContext")),
            R"({"registrationId":"dev-7","symmetricKey":{},)"
            R"("payload":{"modelId":"dtmi:example:Thermostat;1"}})");
  EXPECT_THAT(webhooks.calls[0].second, HasSubstr(R"("https://fn.example.net/a?****")"));
  EXPECT_THAT(webhooks.calls[0].second, ::testing::Not(HasSubstr(std::string(testing::kGroupKey))));
}

TEST_F(RegistrarTest, RepeatsAWebhookOnceAndOnlyWhenThatMayHelp) {
  ASSERT_TRUE(put_group(kWebhook));
  const WebhookReply good{200, R"({"iotHubHostName":"hub1.example.net"})"};
  webhooks.replies = {WebhookReply{503, ""}, good};
  assigned("dev-1");
  EXPECT_EQ(webhooks.calls.size(), 2u);
  webhooks.replies = {WebhookReply{500, "it broke \x01\xff"}, good};
  const auto state = ended(register_device("dev-2"), OutcomeStatus::failed);
  EXPECT_EQ(webhooks.calls.size(), 3u);
  EXPECT_EQ(text_of(state, "errorMessage"),
            "Custom allocation failed with status code: 500: it broke ??");
  EXPECT_EQ(count("fakehub"), 1u);
}

TEST_F(RegistrarTest, RefusesNonsenseFromAWebhook) {
  ASSERT_TRUE(put_group(kWebhook));
  for (const char* body :
       {"", "not json", "[]", R"({"iotHubHostName":7})", R"({"iotHubHostName":""})",
        R"({"deviceId":"a b"})", R"({"iotHubHostName":"far.example.net"})",
        R"({"iotHubHostName":"hub1.example.net","initialTwin":5})"}) {
    webhooks.replies = {WebhookReply{200, body}};
    const auto state = ended(register_device("dev-1"), OutcomeStatus::failed);
    EXPECT_EQ(state.at("errorCode").to_number<int>(), 400209) << body;
  }
  EXPECT_EQ(count("fakehub"), 0u);
}

// Our extension: the function need not know better than the built-in policy.
TEST_F(RegistrarTest, ChoosesTheHubWhenTheWebhookDoesNotAndCallsTheDeviceAsItSays) {
  ASSERT_TRUE(put_group(kWebhook));
  webhooks.replies = {WebhookReply{200, R"({"deviceId":"line-4-press","payload":{"a":1}})"}};
  const auto state = assigned("dev-1");
  EXPECT_EQ(text_of(state, "assignedHub"), "hub1.example.net");
  EXPECT_EQ(text_of(state, "deviceId"), "line-4-press");
  EXPECT_TRUE(stored_identity("hub1", "line-4-press"));
  // Without a name it keeps the one it has; with another it moves to that.
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":null,"deviceId":null})"}};
  EXPECT_EQ(text_of(assigned("dev-1"), "deviceId"), "line-4-press");
  webhooks.replies = {WebhookReply{200, R"({"deviceId":"line-5-press"})"}};
  EXPECT_EQ(text_of(assigned("dev-1"), "deviceId"), "line-5-press");
  EXPECT_EQ(count("fakehub"), 1u);
}

// A device that lost the answer sends its register again; the function must not run twice for it.
TEST_F(RegistrarTest, SharesOneOperationBetweenTwoRegistersAtOnce) {
  ASSERT_TRUE(put_group(kWebhook));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  webhooks.delay = std::chrono::seconds(2);
  std::vector<Result<OperationStatus>> answers;
  for (int i = 0; i < 2; ++i) {
    executor.post([&] {
      spawn(provisioning.registrar().register_device(request("dev-1", group_token("dev-1"))),
            [&](Result<OperationStatus> answer) { answers.push_back(std::move(answer)); });
    });
  }
  executor.advance(kAnswerWait);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_FALSE(answers[0]->outcome);
  EXPECT_EQ(answers[0]->retry_after_s, 1);
  EXPECT_EQ(answers[0]->operation_id, answers[1]->operation_id);
  executor.advance(std::chrono::seconds(2));
  const auto polled = run(provisioning.registrar().poll(instance(), RegistrationId("dev-1"),
                                                        Proof{.sas_token = group_token("dev-1")},
                                                        answers[0]->operation_id));
  ended(polled, OutcomeStatus::assigned);
  EXPECT_EQ(webhooks.calls.size(), 1u);
}

TEST_F(RegistrarTest, ShowsOperationsOnlyToTheirDevice) {
  ASSERT_TRUE(put_group());
  const auto operation = register_device("dev-1")->operation_id;
  const auto poll = [&](std::string_view id) {
    return run(provisioning.registrar().poll(instance(), RegistrationId(id),
                                             Proof{.sas_token = group_token(id)}, operation));
  };
  EXPECT_TRUE(poll("dev-1"));
  const auto other = poll("dev-2");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().service, &errors::dps::kOperationNotFound);
}

// Whatever order things happen in: one identity for each record, none that no record speaks of.
TEST_F(RegistrarTest, KeepsItsInvariantsUnderRandomInterleavings) {
  ASSERT_TRUE(put_group(kBuiltin));
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SeededRandom dice(seed);
    std::size_t finished = 0;
    constexpr std::size_t kSteps = 120;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const std::string id = fmt::format("dev-{}", dice.next() % 4);
      const auto action = dice.next() % 8;
      const auto done = [&](const auto&) { ++finished; };
      executor.post([&, id, action, done] {
        if (action < 5) {
          spawn(provisioning.registrar().register_device(request(id, group_token(id))), done);
        } else if (action == 5) {
          spawn(provisioning.enrollments().remove_registration(instance(), id, {}), done);
        } else {
          const bool enable = action == 6;
          spawn(provisioning.enrollments().put(
                    instance(), EnrollmentKind::group, "thermostats",
                    json::parse(fmt::format(
                                    R"({{"attestation":{{"type":"symmetricKey"}},
                                        "provisioningStatus":"{}"{}}})",
                                    enable ? "enabled" : "disabled", kBuiltin))
                        .value(),
                    {}),
                done);
        }
      });
      if (dice.next() % 3 == 0) executor.run_until_idle();
    }
    executor.run_until_idle();
    EXPECT_EQ(finished, kSteps) << "seed " << seed;
    const auto records = run(provisioning.enrollments().list_registrations("dps1", "", 100));
    ASSERT_TRUE(records);
    for (const auto& record : *records) {
      const auto identity = stored_identity(record.hub.view(), record.device_id.view());
      ASSERT_TRUE(identity) << "seed " << seed;
      const auto twin =
          run(store->snapshot()->get(store::key({"faketwin", record.id.view()}))).value();
      ASSERT_TRUE(twin);
      EXPECT_EQ(*twin, json::get_string_or(*identity, "generation", "")) << "seed " << seed;
    }
    EXPECT_LE(count("fakehub"), 4u);
    EXPECT_EQ(count("fakehub"), count("faketwin"));
  }
}

}  // namespace
}  // namespace doppel::provisioning
