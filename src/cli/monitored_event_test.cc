#include "cli/monitored_event.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

using ::testing::HasSubstr;

// A device's message as a hub's built-in endpoint shows it.
std::string telemetry(std::string_view body, std::string_view content_type = "application/json") {
  std::string message;
  amqp::Map annotations;
  annotations.add_symbol("iothub-connection-device-id", amqp::Value("thermostat-1"));
  annotations.add_symbol("iothub-message-source", amqp::Value("Telemetry"));
  annotations.add_symbol("dt-dataschema", amqp::Value("dtmi:a;1"));
  annotations.add_symbol("x-opt-sequence-number", amqp::Value(std::int64_t{7}));
  annotations.add_symbol("x-opt-enqueued-time", amqp::Value(amqp::Timestamp{1'700'000'000'123}));
  amqp::append_map_section(message, amqp::SectionCode::message_annotations, annotations);
  amqp::MessageProperties properties{.message_id = amqp::Value("m1"),
                                     .correlation_id = amqp::Value("c1")};
  if (!content_type.empty()) properties.content_type = amqp::Symbol(content_type);
  amqp::append(message, properties);
  amqp::Map application;
  application.add_string("level", amqp::Value("warm"));
  application.add_string("count", amqp::Value(std::int32_t{3}));
  amqp::append_map_section(message, amqp::SectionCode::application_properties, application);
  amqp::append_data_section(message, body);
  return message;
}

std::string shown(const std::string& message, const EventFormat& format = {}) {
  return json::write(monitored_event(*amqp::split_message(message), format));
}

Arguments with(std::vector<std::string> properties) {
  Arguments args;
  args.add("--properties", std::move(properties));
  return args;
}

TEST(MonitoredEvent, HasTheShapeThatAzPrints) {
  EXPECT_EQ(
      shown(telemetry(R"({"Temperature": 21.5})")),
      R"({"event":{"origin":"thermostat-1","module":"","interface":"dtmi:a;1","component":"","payload":{"Temperature":21.5}}})");
}

TEST(MonitoredEvent, ShowsWhatIsAskedFor) {
  const auto all = event_format(with({"all"}));
  ASSERT_TRUE(all);
  EXPECT_EQ(
      shown(telemetry("1"), *all),
      R"({"event":{"origin":"thermostat-1","module":"","interface":"dtmi:a;1","component":"",)"
      R"("properties":{"system":{"message_id":"m1","correlation_id":"c1","content_type":"application/json"},"application":{"level":"warm","count":3}},)"
      R"("annotations":{"iothub-connection-device-id":"thermostat-1","iothub-message-source":"Telemetry","dt-dataschema":"dtmi:a;1","x-opt-sequence-number":7,"x-opt-enqueued-time":1700000000123},)"
      R"("payload":1}})");
  const std::string some = shown(telemetry("1"), *event_format(with({"anno"})));
  EXPECT_THAT(some, HasSubstr(R"("properties":{})"));
  EXPECT_THAT(some, HasSubstr(R"("annotations":{)"));
  EXPECT_FALSE(event_format(with({"sys", "everything"})));
}

TEST(MonitoredEvent, PayloadsAreTextUnlessTheirTypeIsJson) {
  EXPECT_THAT(shown(telemetry(R"({"a":1})", "")), HasSubstr(R"("payload":"{\"a\":1}")"));
  EXPECT_THAT(shown(telemetry(R"({"a":1})", ""), {.content_type = "application/json"}),
              HasSubstr(R"("payload":{"a":1})"));
  EXPECT_THAT(shown(telemetry("{broken")), HasSubstr(R"("payload":"{broken")"));
  EXPECT_THAT(shown(telemetry(std::string("\xff\x00", 2), "")), HasSubstr(R"("payload":"/wA=")"));
  std::string value;
  amqp::append_value_section(value, amqp::Value("said"));
  EXPECT_THAT(shown(value), HasSubstr(R"("payload":"said")"));
}

TEST(MonitoredEvent, AMessageOfNoDeviceHasEmptyNames) {
  std::string message;
  amqp::append_data_section(message, "x");
  EXPECT_EQ(
      shown(message, *event_format(with({"all"}))),
      R"({"event":{"origin":"","module":"","interface":"","component":"","properties":{"application":{}},"annotations":{},"payload":"x"}})");
}

TEST(MonitoredEvent, EveryKindOfValueHasAWordInJson) {
  const auto text = [](const amqp::Value& value) { return json::write(to_json(value)); };
  EXPECT_EQ(text(amqp::Value()), "null");
  EXPECT_EQ(text(amqp::Value(true)), "true");
  EXPECT_EQ(text(amqp::Value(std::int8_t{-5})), "-5");
  EXPECT_EQ(text(amqp::Value(std::uint64_t{18446744073709551615u})), "18446744073709551615");
  EXPECT_EQ(text(amqp::Value(std::numeric_limits<double>::infinity())), R"("inf")");
  EXPECT_EQ(text(amqp::Value(amqp::Binary("\xff"))), R"("/w==")");
  amqp::Uuid uuid;
  uuid.bytes[0] = 0xab;
  EXPECT_EQ(text(amqp::Value(uuid)), R"("ab000000-0000-0000-0000-000000000000")");
  EXPECT_EQ(text(amqp::Value(amqp::List{.items = {amqp::Value("a"), amqp::Value(true)}})),
            R"(["a",true])");
  EXPECT_EQ(text(amqp::Value(amqp::string_array({"a", "b"}))), R"(["a","b"])");
  EXPECT_EQ(text(amqp::Value(amqp::Described{.descriptor = amqp::Value(amqp::Symbol("x")),
                                             .value = amqp::Value("in")})),
            R"("in")");
}

TEST(EventFilter, LetsDevicesPassByNameOrPattern) {
  const std::string message = telemetry("1");
  const auto event = *amqp::split_message(message);
  for (const char* device : {"", "thermostat-1", "thermo*", "*", "*-1", "t*stat*1*"})
    EXPECT_TRUE((EventFilter{.device = device}.lets_pass(event))) << device;
  for (const char* device : {"thermostat", "thermostat-12", "*-2", "hermostat-1", "t*x*"})
    EXPECT_FALSE((EventFilter{.device = device}.lets_pass(event))) << device;
  EXPECT_FALSE((EventFilter{.module = "m"}.lets_pass(event)));
}

TEST(Pattern, AStarStandsForAnyText) {
  EXPECT_TRUE(fits_pattern("", ""));
  EXPECT_TRUE(fits_pattern("***", ""));
  EXPECT_FALSE(fits_pattern("", "a"));
  EXPECT_TRUE(fits_pattern("a*b*c", "axxbxxbc"));
  EXPECT_FALSE(fits_pattern("a*b*c", "axxbxxb"));
}

}  // namespace
}  // namespace doppel::cli
