// What devices send to a hub over AMQP.
#include <gmock/gmock.h>

#include "hub/wire/amqp_testing.h"

namespace doppel::hub {
namespace {

using amqp::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using testing_amqp::batch_of;
using testing_amqp::data_message;
using AmqpTelemetryTest = testing_amqp::AmqpFixture;

// iot-hub.md section 2.3.
TEST_F(AmqpTelemetryTest, PropertiesOfEveryTypeBecomeTheEvents) {
  auto client = connected(make_device("d1"));
  amqp::Uuid uuid;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i)
    uuid.bytes[i] = static_cast<std::uint8_t>(i * 17);
  std::string message;
  amqp::Map annotations;
  annotations.add_symbol("dt-subject", Value("thermostat1"));
  annotations.add_symbol("iothub-connection-device-id", Value("somebody else"));
  annotations.add_symbol("x-opt-other", Value("dropped"));
  amqp::append_map_section(message, amqp::SectionCode::message_annotations, annotations);
  amqp::MessageProperties properties;
  properties.message_id = Value(uuid);
  properties.user_id = amqp::Binary("me");
  properties.to = "/devices/d1/messages/events";
  properties.correlation_id = Value(std::uint64_t{7});
  properties.content_type = amqp::Symbol("application/json");
  properties.content_encoding = amqp::Symbol("utf-8");
  properties.creation_time = amqp::Timestamp{1'800'000'000'000};
  properties.absolute_expiry_time = amqp::Timestamp{1'800'000'060'000};
  amqp::append(message, properties);
  amqp::Map own;
  own.add_string("text", Value("a=b&c d%"));
  own.add_string("number", Value(std::int32_t{-5}));
  own.add_string("yes", Value(true));
  own.add_string("nothing", Value());
  amqp::append_map_section(message, amqp::SectionCode::application_properties, own);
  amqp::append_data_section(message, "{\"a\":");
  amqp::append_data_section(message, "1}");
  const auto out = client->sender(telemetry("d1"));
  ASSERT_EQ(client->send(out, message).kind, amqp::Verdict::Kind::accepted);

  const auto events = builtin();
  ASSERT_THAT(events, SizeIs(1));
  const auto& event = events[0];
  EXPECT_EQ(event.body, "{\"a\":1}");
  EXPECT_EQ(event.message_id, "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(event.correlation_id, "7");
  EXPECT_EQ(event.user_id, "me");
  EXPECT_EQ(event.to, "/devices/d1/messages/events");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.content_encoding, "utf-8");
  EXPECT_EQ(event.absolute_expiry, clock.now() + std::chrono::minutes(1));
  EXPECT_THAT(event.application_properties,
              ElementsAre(Pair("iothub-creation-time-utc", HasSubstr("2027-01-15T08:00:00")),
                          Pair("text", "a=b&c d%"), Pair("number", "-5"), Pair("yes", "true"),
                          Pair("nothing", "")));
  EXPECT_EQ(event.annotation("dt-subject"), "thermostat1");
  EXPECT_EQ(event.annotation(kConnectionDeviceId), "d1");
  EXPECT_FALSE(event.annotation("x-opt-other"));
}

TEST_F(AmqpTelemetryTest, ABatchIsAcceptedAsAWhole) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  const auto batch = batch_of({data_message("1"), data_message("2"), data_message("3")});
  EXPECT_EQ(client->send(out, batch, amqp::kBatchMessageFormat).kind,
            amqp::Verdict::Kind::accepted);
  EXPECT_EQ(out.handler->verdicts.size(), 1u);
  EXPECT_THAT(bodies(), ElementsAre("1", "2", "3"));
}

TEST_F(AmqpTelemetryTest, ABadBatchLeavesNothingBehind) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  for (const auto& batch :
       {batch_of({data_message("1"), "no message"}), batch_of({}), std::string("\x00\x53", 2)}) {
    const auto verdict = client->send(out, batch, amqp::kBatchMessageFormat);
    EXPECT_EQ(verdict.kind, amqp::Verdict::Kind::rejected);
    EXPECT_EQ(verdict.error.condition, "com.microsoft:argument-error");
  }
  const auto large = client->send(
      out,
      batch_of({data_message(std::string(200'000, 'a')), data_message(std::string(100'000, 'b'))}),
      amqp::kBatchMessageFormat);
  EXPECT_EQ(large.error.condition, "amqp:link:message-size-exceeded");
  EXPECT_THAT(bodies(), IsEmpty());
  EXPECT_EQ(client->send(out, data_message("well")).kind, amqp::Verdict::Kind::accepted);
}

TEST_F(AmqpTelemetryTest, TheLimitIsOnWhatCounts) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  EXPECT_EQ(client->send(out, data_message(std::string(kMessageSizeMax, 'a'))).kind,
            amqp::Verdict::Kind::accepted);
  const auto large = client->send(out, data_message(std::string(kMessageSizeMax + 1, 'a')));
  EXPECT_EQ(large.error.condition, "amqp:link:message-size-exceeded");
  EXPECT_NE(large.error.info.find("com.microsoft:tracking-id"), nullptr);
  EXPECT_EQ(client->send(out, data_message("")).kind, amqp::Verdict::Kind::accepted);
}

// Accepted means durable; what is not is to be sent again.
TEST_F(AmqpTelemetryTest, AMessageThatCouldNotBeWrittenIsNotAccepted) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto verdict = client->send(out, data_message("lost"));
  EXPECT_EQ(verdict.kind, amqp::Verdict::Kind::rejected);
  EXPECT_EQ(verdict.error.condition, "amqp:internal-error");
}

TEST_F(AmqpTelemetryTest, AModelIsAnnouncedByTheLink) {
  auto client = connected(make_device("d1"));
  auto options = amqp::testing::sender_to(telemetry("d1"));
  options.properties.add_symbol("com.microsoft:model-id", Value("dtmi:com:example:Thermostat;1"));
  const auto out = client->attach(std::move(options));
  client->send(out, data_message("1"));
  EXPECT_EQ(builtin()[0].annotation("dt-dataschema"), "dtmi:com:example:Thermostat;1");
  const auto twin = run(hubs.get_twin(hub, DeviceId("d1"), ModuleId()));
  ASSERT_TRUE(twin);
  EXPECT_EQ(twin->twin.model_id, "dtmi:com:example:Thermostat;1");
}

}  // namespace
}  // namespace doppel::hub
