// What DPS refuses over AMQP once a device is let in, and its bounds.
#include <gmock/gmock.h>

#include "provisioning/wire/amqp_testing.h"

namespace doppel::provisioning {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using testing_amqp::Outgoing;
using AmqpRefusalsTest = testing_amqp::AmqpFixture;

// Each refusal with the condition that makes SDKs do the right thing.
TEST_F(AmqpRefusalsTest, BadRequestsAreRejectedWithTheErrorAsDescription) {
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

TEST_F(AmqpRefusalsTest, AnUnknownOperationIsNotFound) {
  ASSERT_TRUE(put_group());
  auto client = proven("dev-1");
  client->send({.operation = "iotdps-get-operationstatus", .operation_id = "5.0.none"});
  EXPECT_EQ(client->verdict().error.condition, "amqp:not-found");
}

TEST_F(AmqpRefusalsTest, WhatIsNoMessageOrTooLargeIsRejected) {
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

TEST_F(AmqpRefusalsTest, AnApiVersionThatIsNoneIsABadRequest) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach(name("dev-1"), "latest");
  client->send({.body = "{}"});
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
}

TEST_F(AmqpRefusalsTest, ARequestWithoutALinkForItsReplyIsRejected) {
  ASSERT_TRUE(put_group());
  auto client = connect(name("dev-1"), group_token("dev-1"));
  client->attach_sender(name("dev-1"));
  client->send({.body = "{}"});
  EXPECT_EQ(client->verdict().error.condition, "com.microsoft:argument-error");
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(AmqpRefusalsTest, ADisabledEnrollmentIsAStatusForWhoProvedItself) {
  ASSERT_TRUE(put_group(R"(,"provisioningStatus":"disabled")"));
  auto client = proven("dev-1");
  client->send({.body = "{}"});
  EXPECT_TRUE(client->is_accepted());
  EXPECT_EQ(json::get_string_or(client->answer(), "status", ""), "disabled");
}

// Replies wait for credit, and what waits counts as under way.
TEST_F(AmqpRefusalsTest, RequestsInFlightAreBounded) {
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

TEST_F(AmqpRefusalsTest, LinksAreBounded) {
  auto client = connect_bare();
  for (std::size_t i = 0; i < kAmqpLinksMax; ++i) client->attach_sender(name("dev-1"));
  EXPECT_EQ(client->sender->detached_calls, 0);
  client->attach_sender(name("dev-1"));
  ASSERT_TRUE(client->sender->detached_why);
  EXPECT_EQ(client->sender->detached_why->condition, "amqp:resource-limit-exceeded");
}

// Half-finished registrations: what they hold goes with them.
TEST_F(AmqpRefusalsTest, AnAnswerForAConnectionThatIsGoneGoesNowhere) {
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
