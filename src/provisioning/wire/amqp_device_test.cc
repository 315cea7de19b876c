// DPS devices over AMQP, from SASL to the reply, with an engine for a client.
#include "provisioning/wire/amqp_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"
#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using amqp::Value;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

// A message as devices write it.
struct Outgoing {
  std::string operation = "iotdps-register";
  std::string operation_id{};
  Value correlation_id{};
  std::string body{};
  bool is_value_body = false;

  std::string encode() const {
    std::string out;
    amqp::MessageProperties properties;
    if (!correlation_id.is_null()) properties.correlation_id = correlation_id;
    amqp::append(out, properties);
    amqp::MapSectionWriter map(out, amqp::SectionCode::application_properties);
    if (!operation.empty()) {
      map.string_key("iotdps-operation-type");
      amqp::append_string(out, operation);
    }
    if (!operation_id.empty()) {
      map.string_key("iotdps-operation-id");
      amqp::append_string(out, operation_id);
    }
    map.string_key("iotdps-forceRegistration");
    amqp::append_boolean(out, false);
    map.finish();
    if (is_value_body)
      amqp::append_value_section(out, Value(body));
    else
      amqp::append_data_section(out, body);
    return out;
  }
};

struct Reply {
  Value correlation_id;
  amqp::Map properties;
  std::string body;
};

Reply read_reply(std::string_view payload) {
  const auto message = amqp::split_message(payload);
  EXPECT_TRUE(message.has_value());
  EXPECT_EQ(message->body_kind, amqp::BodyKind::data);
  std::string room;
  return {.correlation_id = amqp::decode_properties(*message)->correlation_id.value_or(Value()),
          .properties = *amqp::decode_map(message->application_properties),
          .body = std::string(amqp::joined_data(*message, room))};
}

class AmqpDeviceTest : public ::testing::Test, public testing::World {
 protected:
  // A client of one connection.
  struct Client {
    Client(AmqpDeviceTest& test, amqp::EngineOptions options)
        : pair(test.executor, std::move(options)) {
      pair.container.on_authenticate = [&test](auto connection, const auto& credentials,
                                               auto answer) {
        const auto name = parse_device_name(credentials.user);
        ASSERT_TRUE(name);
        test.service.present(*connection, *name, credentials.password);
        answer(true);
      };
      pair.container.on_open = [&test](auto connection, auto answer) {
        test.service.open(std::move(connection), std::move(answer));
      };
      pair.container.on_link = [&test](auto link) { test.service.on_attach(std::move(link)); };
      pair.client.engine->start();
      pair.run();
      if (pair.client.engine->is_open()) pair.session = pair.client.engine->begin_session();
      pair.run();
    }

    void attach(const std::string& address, std::string api_version = "2019-03-31",
                std::uint32_t credit = 10) {
      auto in = amqp::testing::receiver_from(address, credit);
      in.name += std::to_string(++links);
      in.properties.add_symbol("com.microsoft:api-version", Value(api_version));
      receiver = std::make_shared<amqp::testing::TestHandler>();
      receiver_link = pair.attach(std::move(in), receiver);
      attach_sender(address);
    }
    void attach_sender(const std::string& address) {
      auto out = amqp::testing::sender_to(address);
      out.name += std::to_string(++links);
      sender = std::make_shared<amqp::testing::TestHandler>();
      sender_link = pair.attach(std::move(out), sender);
    }
    void send(const Outgoing& message) {
      const auto bytes = message.encode();
      const std::string_view piece = bytes;
      ASSERT_TRUE(sender_link->can_send());
      sender_link->send({&piece, 1}, {.is_settled = false});
      pair.run();
    }
    const amqp::Verdict& verdict() const { return sender->verdicts.back().second; }
    bool is_accepted() const {
      return !sender->verdicts.empty() && verdict().kind == amqp::Verdict::Kind::accepted;
    }
    Reply reply() const { return read_reply(receiver->messages.back().payload); }
    json::Value answer() const { return json::parse(reply().body).value(); }
    const std::optional<amqp::Condition>& closed() const { return pair.observer.closed_why; }

    amqp::testing::Pair pair;
    int links = 0;
    std::shared_ptr<amqp::testing::TestHandler> sender;
    std::shared_ptr<amqp::testing::TestHandler> receiver;
    std::shared_ptr<amqp::Link> sender_link;
    std::shared_ptr<amqp::Link> receiver_link;
  };

  static std::string name(std::string_view id, std::string_view scope = testing::kScope) {
    return fmt::format("{}/registrations/{}", scope, id);
  }
  std::unique_ptr<Client> connect(std::string user, std::string password) {
    amqp::EngineOptions options;
    options.hostname = "localhost";
    options.sasl_mechanism = "PLAIN";
    options.credentials = {.user = std::move(user), .password = std::move(password)};
    return std::make_unique<Client>(*this, std::move(options));
  }
  // Without a word in SASL, as those do who have a certificate.
  std::unique_ptr<Client> connect_bare(std::string mechanism = {}) {
    amqp::EngineOptions options;
    options.sasl_mechanism = std::move(mechanism);
    return std::make_unique<Client>(*this, std::move(options));
  }
  std::unique_ptr<Client> proven(std::string_view id) {
    auto client = connect(name(id), group_token(id));
    client->attach(name(id));
    return client;
  }

  AmqpDeviceService service{provisioning};
  Executor::Running running{executor};
};

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

// Each refusal with the condition that makes SDKs do the right thing.
TEST_F(AmqpDeviceTest, BadRequestsAreRejectedWithTheErrorAsDescription) {
  ASSERT_TRUE(put_group());
  const std::vector<Outgoing> all = {
      {.body = "{"},
      {.body = "[]"},
      {.body = R"({"registrationId":"dev-2"})"},
      {.operation = "", .body = "{}"},
      {.operation = "iotdps-get-registration", .body = "{}"},
      {.operation = "iotdps-get-operationstatus"},
  };
  for (const auto& bad : all) {
    auto client = proven("dev-1");
    client->send(bad);
    ASSERT_THAT(client->sender->verdicts, SizeIs(1));
    EXPECT_EQ(client->verdict().kind, amqp::Verdict::Kind::rejected);
    EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
    EXPECT_THAT(client->verdict().error.description, StartsWith(R"({"errorCode":400)"));
    EXPECT_THAT(client->receiver->messages, IsEmpty());
    EXPECT_EQ(client->pair.observer.closed_calls, 0);
  }
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(AmqpDeviceTest, AnUnknownOperationIsNotFound) {
  ASSERT_TRUE(put_group());
  auto client = proven("dev-1");
  client->send({.operation = "iotdps-get-operationstatus", .operation_id = "5.0.none"});
  EXPECT_EQ(client->verdict().error.condition, "amqp:not-found");
}

TEST_F(AmqpDeviceTest, WhatIsNoMessageOrTooLargeIsRejected) {
  ASSERT_TRUE(put_group());
  auto client = proven("dev-1");
  const std::string_view garbage = "\x00\x53\x7fgarbage";
  client->sender_link->send({&garbage, 1}, {.is_settled = false});
  client->pair.run();
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
  client->send({.body = std::string(kMessageSizeMax + 1, ' ')});
  EXPECT_EQ(client->verdict().error.condition, "amqp:link:message-size-exceeded");
  client->send({.body = std::string(kMessageSizeMax + kAmqpEnvelopeSizeMax, ' ')});
  EXPECT_EQ(client->verdict().error.condition, "amqp:link:message-size-exceeded");
  // None of it harms the connection.
  client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
}

TEST_F(AmqpDeviceTest, AnApiVersionThatIsNoneIsABadRequest) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach(name("dev-1"), "latest");
  client->send({.body = "{}"});
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
}

TEST_F(AmqpDeviceTest, ARequestWithoutALinkForItsReplyIsRejected) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach_sender(name("dev-1"));
  client->send({.body = "{}"});
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(AmqpDeviceTest, ADisabledEnrollmentIsAStatusForWhoProvedItself) {
  ASSERT_TRUE(put_group(R"(,"provisioningStatus":"disabled")"));
  auto client = proven("dev-1");
  client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
  EXPECT_EQ(json::get_string_or(client->answer(), "status", ""), "disabled");
}

// Replies wait for credit, and what waits counts as under way.
TEST_F(AmqpDeviceTest, RequestsInFlightAreBounded) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach(name("dev-1"), "2019-03-31", 0);
  for (std::size_t i = 0; i < kRequestsInFlightMax; ++i) client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
  client->send({.body = "{}"});
  EXPECT_EQ(client->verdict().kind, amqp::Verdict::Kind::rejected);
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:device-container-throttled");
  EXPECT_NE(client->verdict().error.info.find("retry-after"), nullptr);
  EXPECT_THAT(client->receiver->messages, IsEmpty());
  client->receiver_link->set_credit(10);
  client->pair.run();
  EXPECT_THAT(client->receiver->messages, SizeIs(kRequestsInFlightMax));
  client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
}

TEST_F(AmqpDeviceTest, LinksAreBounded) {
  auto client = connect_bare();
  for (std::size_t i = 0; i < kAmqpLinksMax; ++i) client->attach_sender(name("dev-1"));
  EXPECT_EQ(client->sender->detached_calls, 0);
  client->attach_sender(name("dev-1"));
  ASSERT_TRUE(client->sender->detached_why);
  EXPECT_EQ(client->sender->detached_why->condition, "amqp:resource-limit-exceeded");
}

// Half-finished registrations: what they hold goes with them.
TEST_F(AmqpDeviceTest, AnAnswerForAConnectionThatIsGoneGoesNowhere) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.delay = std::chrono::seconds(3);
  for (int i = 0; i < 1000; ++i) {
    const auto id = fmt::format("dev-{}", i);
    webhooks.replies.push_back(WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"});
    auto client = proven(id);
    client->send({.body = "{}"});
    client->pair.server.engine->on_transport_closed();
  }
  executor.advance(std::chrono::seconds(5));
  EXPECT_EQ(count("fakehub"), 1000u);
  executor.advance(std::chrono::minutes(10));
}

}  // namespace
}  // namespace doppel::provisioning
