// DPS devices over AMQP, from SASL to the reply.
#include <gmock/gmock.h>

#include "provisioning/wire/amqp_testing.h"

namespace doppel::provisioning {
namespace {

using amqp::Value;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using AmqpDeviceTest = testing_amqp::AmqpFixture;

TEST_F(AmqpDeviceTest, NamesAreReadInEverySpelling) {
  const auto plain = parse_device_name("0ne1/registrations/dev-1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->id_scope, "0ne1");
  EXPECT_EQ(plain->registration_id, "dev-1");
  const auto encoded = parse_device_name("0ne1/Registrations/a%3Ab");
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->registration_id, "a:b");
  EXPECT_TRUE(plain->is_same({.id_scope = "0ne1", .registration_id = "DEV-1"}));
  EXPECT_FALSE(plain->is_same({.id_scope = "0ne2", .registration_id = "dev-1"}));
  for (const auto* bad :
       {"", "0ne1", "0ne1/registrations", "0ne1/registrations/", "/registrations/a",
        "0ne1/registrations/a/b", "0ne1/devices/a", "0ne1/registrations/%zz"})
    EXPECT_FALSE(parse_device_name(bad)) << bad;
}

// What each SDK writes, as far as it differs (dps.md sections 0 and 1.5).
TEST_F(AmqpDeviceTest, ServesTheFlowOfEverySdk) {
  ASSERT_TRUE(put_group());
  struct Sdk {
    const char* name;
    std::string prefix;  // of link addresses
    Value correlation_id;
    std::string body;
    std::string poll_body;
    bool is_value_poll;
  };
  amqp::Uuid uuid;
  uuid.bytes[3] = 7;
  const std::vector<Sdk> sdks = {
      {"node", "", Value("f40da7ba-8c91-4796-8fc3-89e1dfbdbe05"),
       R"({"registrationId":"node","payload":{"m":1}})", "", true},
      {"c", "amqps://localhost/", Value(), R"({"registrationId":"c"})", R"({"registrationId":"c"})",
       false},
      {"dotnet", "", Value("11111111-2222-3333-4444-555555555555"), "",
       "iotdps-get-operationstatus", true},
      {"typed", "/", Value(uuid), R"({"payload":null})", " ", false},
  };
  for (const Sdk& sdk : sdks) {
    auto client = connect(name(sdk.name), group_token(sdk.name));
    client->attach(sdk.prefix + name(sdk.name));
    client->send({.correlation_id = sdk.correlation_id, .body = sdk.body});
    EXPECT_TRUE(client->is_accepted()) << sdk.name;
    ASSERT_THAT(client->receiver->messages, SizeIs(1)) << sdk.name;
    EXPECT_EQ(client->reply().correlation_id, sdk.correlation_id) << sdk.name;
    EXPECT_TRUE(client->reply().properties.is_empty()) << sdk.name;
    const auto answer = client->answer();
    EXPECT_EQ(json::get_string_or(answer, "status", ""), "assigned") << sdk.name;

    client->send({.operation = "iotdps-get-operationstatus",
                  .operation_id = json::get_string_or(answer, "operationId", ""),
                  .correlation_id = sdk.correlation_id,
                  .body = sdk.poll_body,
                  .is_value_body = sdk.is_value_poll});
    EXPECT_TRUE(client->is_accepted()) << sdk.name;
    ASSERT_THAT(client->receiver->messages, SizeIs(2)) << sdk.name;
    EXPECT_EQ(json::get_string_or(client->answer(), "status", ""), "assigned") << sdk.name;
    EXPECT_EQ(client->pair.observer.closed_calls, 0);
  }
  EXPECT_EQ(count("fakehub"), sdks.size());
}

// C's client takes the reply only when its request was judged before.
TEST_F(AmqpDeviceTest, TheVerdictIsOnTheWireBeforeTheReply) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach(name("dev-1"));
  std::size_t verdicts_at_reply = 99;
  client->receiver->then_message = [&](const amqp::Delivery&) {
    verdicts_at_reply = client->sender->verdicts.size();
  };
  client->send({.body = "{}"});
  EXPECT_EQ(verdicts_at_reply, 1u);
}

TEST_F(AmqpDeviceTest, TheHintStandsUnderBothNames) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  webhooks.delay = std::chrono::seconds(3);
  auto client = proven("dev-1");
  client->send({.correlation_id = Value("c1")});
  EXPECT_THAT(client->sender->verdicts, IsEmpty());
  executor.advance(std::chrono::milliseconds(500));
  client->pair.run();
  EXPECT_TRUE(client->is_accepted());
  EXPECT_EQ(json::get_string_or(client->answer(), "status", ""), "assigning");
  for (const auto* key : {"retry-after", "Retry-After"}) {
    const auto reply = client->reply();
    const auto* hint = reply.properties.find(key);
    ASSERT_NE(hint, nullptr) << key;
    EXPECT_EQ(*hint, Value(std::int32_t{1}));
  }
  executor.advance(std::chrono::seconds(3));
  EXPECT_EQ(client->pair.observer.closed_calls, 0);
}

// The peer is let in by SASL and told after its open, where every SDK shows it.
TEST_F(AmqpDeviceTest, ABadProofClosesTheConnectionAfterItsOpen) {
  ASSERT_TRUE(put_group());
  struct Bad {
    std::string user;
    std::string password;
  };
  const std::vector<Bad> all = {
      {name("dev-1"), ""},
      {name("dev-1"), "x"},
      {name("dev-1"), token("dev-1", base64_encode("wrong key of 16+"))},
      {name("dev-1"), group_token("dev-2")},
      {name("dev-1", "0neFFFFFFFF"), group_token("dev-1")},
  };
  for (const auto& bad : all) {
    auto client = connect(bad.user, bad.password);
    ASSERT_TRUE(client->pair.observer.opened) << bad.user;
    ASSERT_TRUE(client->closed()) << bad.user;
    EXPECT_EQ(client->closed()->condition, "amqp:unauthorized-access");
    EXPECT_THAT(client->closed()->description, StartsWith(R"({"errorCode":401002,"trackingId":")"));
    EXPECT_THAT(client->closed()->description, HasSubstr(R"("message":"Unauthorized")"));
    const auto& open = *client->pair.observer.opened;
    ASSERT_TRUE(open.properties);
    EXPECT_NE(open.properties->find("com.microsoft:open-error"), nullptr);
  }
}

// Who has shown nothing may attach; the transfer is what is refused. Node waits for ever when the
// attach is.
TEST_F(AmqpDeviceTest, WithoutASaslUserTheTransferIsRefused) {
  ASSERT_TRUE(put_group());
  for (const auto* mechanism : {"", "EXTERNAL", "ANONYMOUS"}) {
    for (const auto& address : {name("dev-1"), name("dev-1", "0neFFFFFFFF")}) {
      auto client = connect_bare(mechanism);
      ASSERT_TRUE(client->pair.client.engine->is_open());
      client->attach(address);
      EXPECT_EQ(client->sender->detached_calls + client->receiver->detached_calls, 0);
      client->send({.body = "not even JSON"});
      ASSERT_THAT(client->sender->verdicts, SizeIs(1)) << mechanism;
      EXPECT_EQ(client->verdict().kind, amqp::Verdict::Kind::rejected);
      EXPECT_EQ(client->verdict().error.condition, "amqp:unauthorized-access");
      EXPECT_THAT(client->verdict().error.description, StartsWith(R"({"errorCode":401002,)"));
      EXPECT_THAT(client->receiver->messages, IsEmpty());
      EXPECT_EQ(client->pair.observer.closed_calls, 0);
      // There is one answer.
      client->send({.body = "{}"});
      ASSERT_TRUE(client->closed());
      EXPECT_EQ(client->closed()->condition, "amqp:unauthorized-access");
    }
  }
}

TEST_F(AmqpDeviceTest, AConnectionThatNeverProvesItselfIsClosed) {
  auto client = connect_bare();
  client->attach(name("dev-1"));
  executor.advance(std::chrono::seconds(9));
  client->pair.run();
  EXPECT_EQ(client->pair.observer.closed_calls, 0);
  executor.advance(std::chrono::seconds(2));
  client->pair.run();
  ASSERT_TRUE(client->closed());
  EXPECT_EQ(client->closed()->condition, "amqp:unauthorized-access");

  // And so is one that was refused and stays.
  auto refused = connect_bare();
  refused->attach(name("dev-1"));
  executor.advance(std::chrono::seconds(9));
  refused->send({.body = "{}"});
  executor.advance(std::chrono::seconds(9));
  refused->pair.run();
  EXPECT_EQ(refused->pair.observer.closed_calls, 0);
  executor.advance(std::chrono::seconds(2));
  refused->pair.run();
  EXPECT_TRUE(refused->closed());
}

TEST_F(AmqpDeviceTest, AnotherIdInTheAddressThanInSaslEndsTheConnection) {
  ASSERT_TRUE(put_group());
  for (const auto& address : {name("dev-2"), name("dev-1", "0ne00000002")}) {
    auto client = connect(name("dev-1"), group_token("dev-1"));
    ASSERT_TRUE(client->pair.client.engine->is_open());
    client->attach_sender(address);
    ASSERT_TRUE(client->closed()) << address;
    EXPECT_EQ(client->closed()->condition, "amqp:unauthorized-access");
  }
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(AmqpDeviceTest, TwoRegistrationsOnOneConnectionEndIt) {
  auto client = connect_bare();
  client->attach(name("dev-1"));
  EXPECT_EQ(client->pair.observer.closed_calls, 0);
  client->attach_sender(name("dev-2"));
  EXPECT_TRUE(client->closed());
}

TEST_F(AmqpDeviceTest, TheSpellingOfTheIdMayDifferInCase) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach("amqps://somewhere:5671/" + name("DEV-1"));
  client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
}

}  // namespace
}  // namespace doppel::provisioning
