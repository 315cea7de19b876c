// Events of AMQP clients, kept as bytes and read as text.
#include "events/amqp_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/amqp/message.h"

namespace doppel::events {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

std::string message_with(const amqp::MessageProperties& properties, const amqp::Map& application,
                         std::string_view body) {
  std::string out;
  amqp::append(out, properties);
  amqp::append_map_section(out, amqp::SectionCode::application_properties, application);
  amqp::append_data_section(out, body);
  return out;
}

TEST(AmqpEventRecord, GivesBackTheBytes) {
  std::string annotations;
  amqp::append_symbol(annotations, "mine");
  amqp::append_int(annotations, 5);
  const std::string message = message_with({}, {}, "hello");
  const auto record = encode(AmqpEvent{
      .partition_key = "k", .annotation_count = 1, .annotations = annotations, .message = message});
  ASSERT_TRUE(is_amqp_record(record));
  const auto back = decode_amqp(record);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->partition_key, "k");
  EXPECT_EQ(back->annotation_count, 1u);
  EXPECT_EQ(back->annotations, annotations);
  EXPECT_EQ(back->message, message);
}

TEST(AmqpEventRecord, IsTextForWhoReadsItAsAnEvent) {
  amqp::MessageProperties properties;
  properties.message_id = amqp::Value(std::uint64_t{42});
  properties.content_type = amqp::Symbol("application/json");
  properties.user_id = amqp::Binary("me");
  amqp::Map application;
  application.add_string("n", std::int32_t{-5})
      .add_string("b", true)
      .add_string("d", 1.5)
      .add_string("l", amqp::List{{amqp::Value(std::int64_t{1}), amqp::Value("two")}});
  const auto record = encode(
      AmqpEvent{.partition_key = "k", .message = message_with(properties, application, "x")});
  const auto event = decode(record);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->message_id, "42");
  EXPECT_EQ(event->content_type, "application/json");
  EXPECT_EQ(event->user_id, "me");
  EXPECT_EQ(event->partition_key, "k");
  EXPECT_EQ(event->body, "x");
  EXPECT_THAT(event->application_properties,
              UnorderedElementsAre(Pair("n", "-5"), Pair("b", "true"), Pair("d", "1.5"),
                                   Pair("l", "[1,\"two\"]")));
  EXPECT_FALSE(decode_view(record));
}

TEST(AmqpEventRecord, JoinsSectionsAndShowsValues) {
  std::string two;
  amqp::append_data_section(two, "a");
  amqp::append_data_section(two, "b");
  EXPECT_EQ(decode(encode(AmqpEvent{.message = two}))->body, "ab");
  std::string value;
  amqp::append_value_section(value, amqp::Value("text"));
  EXPECT_EQ(decode(encode(AmqpEvent{.message = value}))->body, "text");
}

TEST(AmqpEventRecord, RefusesWhatIsDamaged) {
  const auto record = encode(AmqpEvent{.partition_key = "key", .message = "\x01"});
  EXPECT_FALSE(decode(record));
  EXPECT_FALSE(decode_amqp(record.substr(0, 3)));
}

}  // namespace
}  // namespace doppel::events
