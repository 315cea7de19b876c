#include "protocol/mqtt/packet_reader.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/mqtt/packet_writer.h"

namespace doppel::mqtt {
namespace {

std::string bytes(std::string_view hex) { return hex_decode(hex).value(); }

std::string refusal(std::string_view hex, Sender sender = Sender::client) {
  const auto input = bytes(hex);
  const auto decoded = PacketReader(sender).next(input);
  return decoded.is_malformed() ? std::string(decoded.reason())
         : decoded.needs_more() ? "needs more"
                                : "accepted";
}

// Each line breaks one rule; the reason must name it.
TEST(PacketReaderTest, RefusesWithTheRuleThatWasBroken) {
  const std::pair<const char*, const char*> bad[] = {
      // fixed header
      {"0000", "reserved packet type"},
      {"f000", "reserved packet type"},
      {"c100", "MQTT-2.2.2-2"},  // PINGREQ with a flag
      {"80060001000161"
       "00",
       "MQTT-2.2.2-2"},              // SUBSCRIBE without its flag
      {"60020001", "MQTT-2.2.2-2"},  // PUBREL without its flag
      {"30ffffffff01", "four bytes"},
      {"c00100", "left over"},
      // CONNECT
      {"100c00044d51545404030000"
       "0000",
       "MQTT-3.1.2-3"},
      {"100c00044d51545404 0a0000 0000", "MQTT-3.1.2-13"},
      {"100c00044d51545404 220000 0000", "MQTT-3.1.2-15"},
      {"100f00044d51545404 420000 0000 000170", "MQTT-3.1.2-22"},
      {"101200044d51545404 1e0000 0000 000174 000178", "MQTT-3.1.2-14"},
      {"101000044d51545404 060000 0000 0000 0000", "will topic"},
      {"101100044d51545404 060000 0000 000123 0000", "will topic"},
      {"100d00044d51545404 020000 0001ff", "MQTT-1.5.3-1"},
      {"100d00044d51545404 020000 000100", "MQTT-1.5.3-1"},
      {"100e00044d51545404 020000 0002c080", "MQTT-1.5.3-1"},
      {"100f00044d51545404 020000 0003eda080", "MQTT-1.5.3-1"},  // a surrogate
      {"100c00044d51545404 020000 0001", "past the end"},
      {"100d00044d51545404 020000 0000 00", "left over"},
      {"100300044d", "past the end"},
      {"1000", "past the end"},
      // PUBLISH
      {"3605000161 0001", "MQTT-3.3.1-4"},
      {"3803000161", "MQTT-3.3.1-2"},
      {"30020000", "MQTT-3.3.2-2"},
      {"300300012b", "MQTT-3.3.2-2"},
      {"3005000361 2f23", "MQTT-3.3.2-2"},
      {"3205000161 0000", "MQTT-2.3.1-1"},
      {"3204000161 00", "past the end"},
      {"3003000561", "past the end"},
      {"30030001ff", "MQTT-1.5.3-1"},
      // acknowledgements
      {"40020000", "MQTT-2.3.1-1"},
      {"400100", "past the end"},
      {"4003000100", "left over"},
      // SUBSCRIBE, UNSUBSCRIBE
      {"82020001", "MQTT-3.8.3-3"},
      {"82060000 000161 00", "MQTT-2.3.1-1"},
      {"82060001 000161 03", "MQTT-3-8.3-4"},
      {"82060001 000161 81", "MQTT-3-8.3-4"},
      {"82050001 0000 00", "topic filter"},
      {"82050001 000161", "past the end"},
      {"82080001 0003612b62 00", "topic filter"},
      {"82080001 0003 612f2b 00", "accepted"},
      {"82070001 0002 612b 00", "topic filter"},
      {"82070001 0002 2361 00", "topic filter"},
      {"82080001 0003 232f61 00", "topic filter"},
      {"82070001 0002 6123 00", "topic filter"},
      {"a2020001", "MQTT-3.10.3-2"},
      {"a2040001 0000", "topic filter"},
      // what only a server sends
      {"20020000", "never sends"},
      {"9003000100", "never sends"},
      {"b0020001", "never sends"},
      {"d000", "never sends"},
  };
  for (auto [spaced, rule] : bad) {
    std::string hex(spaced);
    std::erase(hex, ' ');
    EXPECT_TRUE(refusal(hex).contains(rule)) << spaced << ": " << refusal(hex);
  }
}

TEST(PacketReaderTest, AClientRefusesWhatNoServerMaySend) {
  const std::pair<const char*, const char*> bad[] = {
      {"20020200", "reserved acknowledge flag"},
      {"20020006", "reserved connect return code"},
      {"20020105", "MQTT-3.2.2-4"},
      {"9003000103", "MQTT-3.9.3-2"},
      {"90020001", "without a return code"},
      {"c000", "never sends"},
      {"e000", "never sends"},
  };
  for (const auto& [hex, rule] : bad)
    EXPECT_TRUE(refusal(hex, Sender::server).contains(rule))
        << hex << ": " << refusal(hex, Sender::server);
}

// The session answers CONNACK 1 [MQTT-3.1.2-2], so these must not be malformed: MQTT 3.1 of old
// devices and what may follow MQTT 5.
TEST(PacketReaderTest, OtherProtocolsComeWithNameAndLevelOnly) {
  for (const auto& [hex, name, level] :
       {std::tuple{"101200064d514973647003020000000464657631", "MQIsdp", 3},
        {"101100044d51545406020000050000000000016100", "MQTT", 6},
        {"100c00044d51545484020000"
         "0000",
         "MQTT", 0x84}}) {
    auto input = bytes(hex);
    input[1] = static_cast<char>(input.size() - 2);
    const auto decoded = PacketReader(Sender::client).next(input);
    ASSERT_TRUE(decoded.has_value()) << hex;
    const auto& connect = std::get<Connect>(decoded->packet);
    EXPECT_EQ(connect.protocol_name, name);
    EXPECT_EQ(connect.protocol_level, level);
    EXPECT_FALSE(connect.user_name);
  }
}

TEST(PacketReaderTest, ATooLargePacketIsRefusedByItsHeaderAlone) {
  PacketReader reader(Sender::client, 100);
  EXPECT_TRUE(reader.next(bytes("3062")).needs_more());  // 2 + 98
  EXPECT_TRUE(reader.next(bytes("3063")).is_malformed());
  EXPECT_TRUE(reader.next(bytes("30ffffff7f")).is_malformed());
  reader.set_packet_bytes_max(101);
  EXPECT_TRUE(reader.next(bytes("3063")).needs_more());
}

// Length bytes that are longer than needed are not forbidden in MQTT 3.1.1.
TEST(PacketReaderTest, TakesALengthThatIsNotInItsShortestForm) {
  const auto input = bytes("c0808000");
  const auto decoded = PacketReader(Sender::client).next(input);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->consumed, 4U);
}

TEST(PacketReaderTest, APublishPointsIntoTheInput) {
  std::string input;
  append(input, Publish{.qos = 1, .topic = "a/b", .packet_id = 7, .payload = "hello"});
  const auto decoded = PacketReader(Sender::client).next(input);
  ASSERT_TRUE(decoded.has_value());
  const auto& publish = std::get<PublishView>(decoded->packet);
  EXPECT_EQ(publish.topic, "a/b");
  EXPECT_EQ(publish.payload.data(), input.data() + input.size() - 5);
}

}  // namespace
}  // namespace doppel::mqtt
