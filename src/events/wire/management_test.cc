// `$management`, as clients ask it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/wire/event_hub_fixture.h"

namespace doppel::events {
namespace {

class ManagementTest : public EventHubFixture {
 protected:
  ManagementTest() : requests(sender("$management")) {
    auto options = amqp::testing::receiver_from("$management");
    options.target->address = "reply-here";
    replies = attach(std::move(options));
  }

  struct Answer {
    amqp::MessageProperties system;
    amqp::Map properties;
    amqp::Map body;
    std::int32_t status() const { return *properties.find("status-code")->get_if<std::int32_t>(); }
  };
  Answer ask(const amqp::Map& properties) {
    std::string message;
    amqp::MessageProperties system;
    system.message_id = amqp::Value(std::uint64_t{3});
    system.reply_to = "reply-here";
    amqp::append(message, system);
    amqp::append_map_section(message, amqp::SectionCode::application_properties, properties);
    amqp::append_value_section(message, amqp::Value(amqp::Binary("[]")));
    replies.handler->messages.clear();
    EXPECT_EQ(send(requests, message).kind, amqp::Verdict::Kind::accepted);
    EXPECT_EQ(replies.handler->messages.size(), 1u);
    const auto split = amqp::split_message(replies.handler->messages.at(0).payload);
    Answer answer{.system = *amqp::decode_properties(*split),
                  .properties = *amqp::decode_map(split->application_properties),
                  .body = {}};
    const auto body = amqp::decode_body_value(*split);
    if (const auto* map = body->get_if<amqp::Map>()) answer.body = *map;
    return answer;
  }
  static amqp::Map read(std::string_view type, std::string_view name) {
    amqp::Map map;
    map.add_string("operation", "READ").add_string("type", type).add_string("name", name);
    return map;
  }

  OpenLink requests;
  OpenLink replies;
};

TEST_F(ManagementTest, DescribesAnEventHubInTheTypesThatClientsCastTo) {
  grant_all();
  auto request = read("com.microsoft:eventhub", "EH1");
  // Python 5.11 writes its token as a described value.
  request.add_string("security_token",
                     amqp::Described{.descriptor = amqp::Value(amqp::Binary("token")),
                                     .value = amqp::Value(std::int32_t{5})});
  const auto answer = ask(request);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.system.correlation_id, amqp::Value(std::uint64_t{3}));
  EXPECT_EQ(*answer.body.find("name"), amqp::Value("eh1"));
  EXPECT_EQ(*answer.body.find("partition_count"), amqp::Value(std::int32_t{4}));
  EXPECT_EQ(*answer.body.find("partition_ids"),
            amqp::Value(amqp::string_array({"0", "1", "2", "3"})));
  EXPECT_EQ(answer.body.find("created_at")->type(), amqp::Type::timestamp);
}

TEST_F(ManagementTest, DescribesPartitionsEmptyAndNot) {
  grant_all();
  auto request = read("com.microsoft:partition", "eh1");
  request.add_string("partition", "0");
  auto answer = ask(request);
  EXPECT_EQ(*answer.body.find("is_partition_empty"), amqp::Value(true));
  EXPECT_EQ(*answer.body.find("last_enqueued_sequence_number"), amqp::Value(std::int64_t{-1}));
  EXPECT_EQ(*answer.body.find("last_enqueued_offset"), amqp::Value("-1"));
  auto to = sender("eh1/Partitions/0");
  send(to, data_message("x"));
  answer = ask(request);
  EXPECT_EQ(*answer.body.find("is_partition_empty"), amqp::Value(false));
  EXPECT_EQ(*answer.body.find("begin_sequence_number"), amqp::Value(std::int64_t{0}));
  EXPECT_EQ(*answer.body.find("last_enqueued_sequence_number"), amqp::Value(std::int64_t{0}));
}

TEST_F(ManagementTest, RefusesWithTheStatusAndConditionThatClientsKnow) {
  EXPECT_EQ(ask(read("com.microsoft:eventhub", "eh1")).status(), 401);
  grant_all();
  const auto missing = ask(read("com.microsoft:eventhub", "none"));
  EXPECT_EQ(missing.status(), 404);
  EXPECT_EQ(*missing.properties.find("error-condition"),
            amqp::Value(amqp::Symbol("amqp:not-found")));
  auto request = read("com.microsoft:partition", "eh1");
  request.add_string("partition", "4");
  EXPECT_EQ(ask(request).status(), 404);
  EXPECT_EQ(ask(read("com.microsoft:other", "eh1")).status(), 400);
}

}  // namespace
}  // namespace doppel::events
