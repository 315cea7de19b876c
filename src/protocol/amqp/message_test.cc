// Messages: order and kinds of sections, what is written, batches.
#include "protocol/amqp/message.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/amqp/testing.h"

namespace doppel::amqp {
namespace {

std::string map_section(SectionCode code) {
  std::string out;
  append_map_section(out, code, Map{}.add_symbol("k", Value("v")));
  return out;
}

std::string data_of(std::string_view content) {
  std::string out;
  append_data_section(out, content);
  return out;
}

std::string value() {
  std::string out;
  append_value_section(out, Value(std::int32_t{1}));
  return out;
}

std::string header() {
  std::string out;
  append(out, MessageHeader{.durable = true});
  return out;
}

std::string properties(std::string_view id) {
  std::string out;
  append(out, MessageProperties{.message_id = Value(id)});
  return out;
}

std::string_view refusal(const std::string& message) {
  const auto view = split_message(message);
  return view.is_malformed() ? view.reason() : "not refused";
}

const std::string kAnnotations = map_section(SectionCode::message_annotations);
const std::string kDeliveryAnnotations = map_section(SectionCode::delivery_annotations);
const std::string kApplication = map_section(SectionCode::application_properties);
const std::string kFooter = map_section(SectionCode::footer);

TEST(AmqpMessageTest, GivesEachSectionAndTheBareMessage) {
  const auto front = header() + kDeliveryAnnotations + kAnnotations;
  const auto bare = properties("m") + kApplication + data_of("a") + data_of("b");
  const auto message = front + bare + kFooter;
  const auto view = split_message(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->header.bytes, header());
  EXPECT_EQ(view->delivery_annotations.bytes, kDeliveryAnnotations);
  EXPECT_EQ(view->message_annotations.bytes, kAnnotations);
  EXPECT_EQ(view->application_properties.bytes, kApplication);
  EXPECT_EQ(view->bare, bare);
  EXPECT_EQ(view->body, data_of("a") + data_of("b"));
  EXPECT_EQ(view->footer.bytes, kFooter);
  EXPECT_TRUE(decode_header(*view)->durable);
  EXPECT_EQ(decode_properties(*view)->message_id, Value("m"));
  std::string room;
  EXPECT_EQ(joined_data(*view, room), "ab");
}

TEST(AmqpMessageTest, GivesOneSectionOfDataWithoutCopying) {
  const auto message = data_of("content");
  const auto view = split_message(message);
  ASSERT_TRUE(view.has_value());
  std::string room;
  const auto joined = joined_data(*view, room);
  EXPECT_EQ(joined, "content");
  EXPECT_EQ(joined.data(), message.data() + message.size() - 7);
}

TEST(AmqpMessageTest, GivesDefaultsForAbsentSections) {
  const auto message = value();
  const auto view = split_message(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(*decode_header(*view), MessageHeader{});
  EXPECT_EQ(*decode_properties(*view), MessageProperties{});
  EXPECT_TRUE(decode_map(view->application_properties)->is_empty());
  EXPECT_EQ(*decode_body_value(*view), Value(std::int32_t{1}));
  EXPECT_EQ(find_in(view->message_annotations, "k"), std::nullopt);
}

TEST(AmqpMessageTest, RefusesSectionsInTheWrongPlace) {
  constexpr std::string_view kOrder = "the sections of a message are out of order";
  constexpr std::string_view kTwice = "a message has a section twice";
  EXPECT_EQ(refusal(""), "a message is empty");
  EXPECT_EQ(refusal(kAnnotations + header() + data_of("")), kOrder);
  EXPECT_EQ(refusal(data_of("") + properties("m")), kOrder);
  EXPECT_EQ(refusal(header() + header()), kTwice);
  EXPECT_EQ(refusal(value() + value()), kTwice);
  EXPECT_EQ(refusal(data_of("") + value()), "a message has two kinds of body");
  EXPECT_EQ(refusal(kFooter + data_of("") + kFooter), kTwice);
  EXPECT_EQ(refusal(kFooter + kApplication + data_of("")), kTwice);  // the body alone may follow
  EXPECT_EQ(refusal(kFooter + properties("m")), kOrder);
  EXPECT_EQ(refusal(data_of("") + kDeliveryAnnotations + kDeliveryAnnotations), kOrder);
  EXPECT_EQ(refusal(hex_decode("005379a0").value()), "unknown message section");
  EXPECT_EQ(refusal(hex_decode("005375a10161").value()), "a message section is of another type");
  EXPECT_EQ(refusal(hex_decode("a10161").value()), "expected a described value");
}

// What two clients do in spite of the specification (see message.cc).
TEST(AmqpMessageTest, ReadsDeliveryAnnotationsAtTheEndAndAFooterBeforeTheBody) {
  const auto from_python = kAnnotations + data_of("x") + kDeliveryAnnotations;
  const auto python = split_message(from_python);
  ASSERT_TRUE(python.has_value());
  EXPECT_TRUE(python->delivery_annotations.is_present());
  EXPECT_EQ(python->bare, data_of("x"));
  const auto from_node = kApplication + kFooter + data_of("x");
  const auto node = split_message(from_node);
  ASSERT_TRUE(node.has_value());
  EXPECT_TRUE(node->footer.is_present());
  EXPECT_EQ(node->body, data_of("x"));
}

// Python's azure-eventhub 5.11 puts a token as a described value into application properties.
TEST(AmqpMessageTest, FindsOneEntryWithoutDecodingTheOthers) {
  Map map;
  map.add(Value(std::uint64_t{1}), Value(List{{Value("k")}}));
  map.add_string("security_token", Value(Described{.descriptor = Value(Binary("token")),
                                                   .value = Value(std::int32_t{5})}));
  map.add_string("operation", Value("READ"));
  map.add_symbol("k", Value(std::int64_t{7}));
  std::string message;
  append_map_section(message, SectionCode::application_properties, map);
  const auto view = split_message(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(find_in(view->application_properties, "operation"), Value("READ"));
  EXPECT_EQ(find_in(view->application_properties, "k"), Value(std::int64_t{7}));
  EXPECT_EQ(find_in(view->application_properties, "token"), std::nullopt);
  EXPECT_EQ(*decode_map(view->application_properties), map);
  EXPECT_EQ(decode_map(view->application_properties)->find("operation")->text_if()->size(), 4U);
}

// --- Batches.

std::size_t count_of(BatchReader& batch) {
  std::size_t count = 0;
  while (batch.next()) ++count;
  return count;
}

TEST(AmqpMessageTest, ReadsTheEventsOfABatchOneByOne) {
  const auto first = properties("1") + data_of("one");
  const auto second = data_of("two");
  const auto message = kAnnotations + data_of(first) + data_of(second);
  const auto envelope = split_message(message);
  ASSERT_TRUE(envelope.has_value());
  BatchReader batch(*envelope);
  const auto one = batch.next();
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->encoded, first);
  EXPECT_EQ(decode_properties(one->view)->message_id, Value("1"));
  EXPECT_EQ(batch.next()->encoded, second);
  EXPECT_FALSE(batch.next().has_value());
  EXPECT_EQ(batch.error(), "");
}

TEST(AmqpMessageTest, RefusesBatchesThatAreEmptyTooLongOrHoldNoMessages) {
  const auto error_of = [](const std::string& message, std::size_t events_max) {
    const auto envelope = split_message(message);
    BatchReader batch(*envelope, events_max);
    count_of(batch);
    return std::string(batch.error());
  };
  EXPECT_EQ(error_of(value(), 9), "the body of a batch is not data");
  EXPECT_EQ(error_of(kAnnotations, 9), "the body of a batch is not data");
  EXPECT_EQ(error_of(data_of(""), 9), "a message is empty");
  EXPECT_EQ(error_of(data_of(data_of("a")) + data_of("text"), 9), "expected a described value");
  EXPECT_EQ(error_of(data_of(data_of("a")) + data_of(data_of("b")), 2), "");
  EXPECT_EQ(error_of(data_of(data_of("a")) + data_of(data_of("b")), 1),
            "a batch has too many events");
}

// What a consumer gets: our annotations in front of the producer's bytes.
TEST(AmqpMessageTest, WritesAnnotationsInFrontOfAStoredMessage) {
  const auto stored = properties("m") + data_of("payload");
  std::string out;
  MapSectionWriter annotations(out, SectionCode::message_annotations);
  annotations.symbol_key("x-opt-sequence-number");
  append_long(out, 300);
  annotations.symbol_key("x-opt-offset");
  append_string(out, "12345");
  annotations.symbol_key("x-opt-enqueued-time");
  append_timestamp(out, Timestamp{1'700'000'000'000});
  annotations.finish();
  out += stored;
  const auto view = split_message(out);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->bare, stored);
  EXPECT_EQ(find_in(view->message_annotations, "x-opt-sequence-number"), Value(std::int64_t{300}));
  EXPECT_EQ(find_in(view->message_annotations, "x-opt-enqueued-time"),
            Value(Timestamp{1'700'000'000'000}));
}

}  // namespace
}  // namespace doppel::amqp
