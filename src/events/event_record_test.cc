#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/api.h"

namespace doppel::events {
namespace {

Event full_event() {
  return {
      .body = std::string("{\"Temperature\":22.75}\0\xFF", 23),
      .application_properties = {{"opType", "deleteDeviceIdentity"}, {"", "empty name"}, {"x", ""}},
      .annotations = {{"iothub-connection-device-id", "d1"}, {"odd", "1"}},
      .message_id = "m",
      .correlation_id = "c",
      .user_id = "u",
      .to = "/devices/d1/messages/events",
      .content_type = "application/json",
      .content_encoding = "utf-8",
      .partition_key = "k",
      .absolute_expiry = TimePoint(std::chrono::seconds(-5)),
  };
}

void expect_same(const Event& a, const Event& b) {
  EXPECT_EQ(a.body, b.body);
  EXPECT_EQ(a.application_properties, b.application_properties);
  EXPECT_EQ(a.annotations, b.annotations);
  EXPECT_EQ(a.message_id, b.message_id);
  EXPECT_EQ(a.correlation_id, b.correlation_id);
  EXPECT_EQ(a.user_id, b.user_id);
  EXPECT_EQ(a.to, b.to);
  EXPECT_EQ(a.content_type, b.content_type);
  EXPECT_EQ(a.content_encoding, b.content_encoding);
  EXPECT_EQ(a.partition_key, b.partition_key);
  EXPECT_EQ(a.absolute_expiry, b.absolute_expiry);
}

TEST(EventRecord, KeepsEveryPart) {
  const auto event = full_event();
  const auto back = decode(encode(event));
  ASSERT_TRUE(back) << back.error().message;
  expect_same(event, *back);
}

TEST(EventRecord, KeepsAnEmptyEvent) {
  const auto record = encode(Event{});
  EXPECT_EQ(record.size(), 3u);
  const auto back = decode(record);
  ASSERT_TRUE(back);
  expect_same(Event{}, *back);
}

// These bytes are on disks: a change here is a new format version.
TEST(EventRecord, HasTheDocumentedBytes) {
  Event event{
      .body = "hi", .application_properties = {{"opType", "x"}, {"a", "b"}}, .content_type = "t"};
  EXPECT_EQ(encode(event), std::string("\x01\x01\x10"
                                       "\x01t"
                                       "\x02\x0E\x01x\x00\x01"
                                       "a\x01"
                                       "bhi",
                                       16));
}

// A record cut anywhere before its body is refused; decode never reads past the end.
TEST(EventRecord, RefusesACutRecord) {
  auto event = full_event();
  event.body.clear();
  const auto record = encode(event);
  for (std::size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(decode(record.substr(0, size))) << size;
}

TEST(EventRecord, RefusesWhatEncodeNeverWrites) {
  const auto refused = [](std::string_view bytes, std::string_view why) {
    const auto event = decode(bytes);
    ASSERT_FALSE(event) << why;
    EXPECT_EQ(event.error().code, Code::internal);
    EXPECT_THAT(event.error().message, testing::HasSubstr(std::string(why)));
  };
  using namespace std::string_view_literals;
  refused("\x03\x00\x00"sv, "format");
  refused("\x01\x04\x00"sv, "a part is unknown");
  refused("\x01\x00\x01\x00"sv, "an empty text is written as absent");
  refused(
      "\x01\x00\x01\x81\x00"sv
      "a"sv,
      "longer than it needs");
  refused(
      "\x01\x00\x01\x05"sv
      "a"sv,
      "a length passes the end");
  refused("\x01\x00\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"sv, "a number is too big");
  refused("\x01\x01\x00\x00"sv, "an empty list is written as absent");
  refused("\x01\x01\x00\x7F\x00"sv, "a count passes the end");
  refused("\x01\x01\x00\x01\x11\x00"sv, "a name is not in the list");
  refused("\x01\x01\x00\x01\x00\x06opType\x00"sv, "a listed name is spelled out");
}

TEST(Event, FindsPropertiesAndAnnotationsByName) {
  const auto event = full_event();
  EXPECT_EQ(event.property("opType"), "deleteDeviceIdentity");
  EXPECT_EQ(event.annotation("odd"), "1");
  EXPECT_EQ(event.property("odd"), std::nullopt);
}

// Vectors from the Node client's function (event-hubs client library, partition key hash).
TEST(PartitionOf, AgreesWithTheClients) {
  struct Case {
    std::string_view key;
    std::uint32_t of_2, of_4, of_32;
  };
  for (const auto& [key, of_2, of_4, of_32] : {
           Case{"", 0, 0, 0},
           Case{"7", 1, 3, 31},
           Case{"131", 0, 2, 2},
           Case{"alphabet", 0, 2, 22},
           Case{"TestA", 0, 2, 14},
           Case{"device-001", 0, 2, 14},
           Case{"pk", 1, 3, 7},
           Case{"contoso-thermostat-42", 0, 2, 18},
       }) {
    EXPECT_EQ(partition_of(key, 2), of_2) << key;
    EXPECT_EQ(partition_of(key, 4), of_4) << key;
    EXPECT_EQ(partition_of(key, 32), of_32) << key;
    EXPECT_EQ(partition_of(key, 1), 0u) << key;
  }
}

}  // namespace
}  // namespace doppel::events
