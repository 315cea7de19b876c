// What the C, .NET, Node and Python SDKs send differently over MQTT (docs/wire). The bytes are
// built here from their field values; those of mqtt.js are in packet_vectors_test.cc.
#include <gtest/gtest.h>

#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_writer.h"
#include "protocol/mqtt/request_topic.h"

namespace doppel::mqtt {
namespace {

std::string connect_bytes(std::string_view client_id, std::string_view user,
                          std::optional<std::string_view> password, std::uint16_t keep_alive,
                          bool clean) {
  std::string tail;
  const auto add = [&](std::string_view text) {
    tail += static_cast<char>(text.size() >> 8);
    tail += static_cast<char>(text.size());
    tail += text;
  };
  add("MQTT");
  tail += '\4';
  tail += static_cast<char>(0x80 | (password ? 0x40 : 0) | (clean ? 2 : 0));
  tail += static_cast<char>(keep_alive >> 8);
  tail += static_cast<char>(keep_alive);
  add(client_id);
  add(user);
  if (password) add(*password);
  std::string bytes = "\x10";
  bytes += static_cast<char>((tail.size() & 0x7F) | 0x80);
  bytes += static_cast<char>(tail.size() >> 7);
  return bytes + tail;
}

Connect read(const std::string& bytes) {
  auto decoded = PacketReader(Sender::client, kConnectBytesMax).next(bytes);
  EXPECT_TRUE(decoded.has_value()) << (decoded.is_malformed() ? decoded.reason() : "needs more");
  return decoded.has_value() ? std::get<Connect>(std::move(decoded->packet)) : Connect{};
}

TEST(SdkPacketsTest, EveryFormOfUserNameAndPasswordIsKeptAsSent) {
  // C, DPS with X.509: no password, keep-alive off.
  const auto c = read(connect_bytes(
      "dev", "0ne1/registrations/dev/api-version=2021-06-01&ClientVersion=1.15.0", {}, 0, true));
  EXPECT_EQ(c.keep_alive_s, 0);
  EXPECT_FALSE(c.password);
  // C, hub with X.509: a password that is there and empty.
  const auto empty = read(
      connect_bytes("dev", "hub/dev/?api-version=2020-09-30&DeviceClientType=iothubclient%2f1.14",
                    "", 240, false));
  EXPECT_EQ(empty.password, "");
  EXPECT_FALSE(empty.clean_session);
  // Node, Plug and Play: the model id goes unencoded, with its colons and semicolon.
  const auto node = read(
      connect_bytes("dev", "hub/dev/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1",
                    "SAS", 180, false));
  EXPECT_TRUE(node.user_name->ends_with("model-id=dtmi:com:example:Thermostat;1"));
  // Old clients: no query at all.
  EXPECT_EQ(read(connect_bytes("dev", "hub/dev", "SAS", 60, false)).user_name, "hub/dev");
  // Python: a SAS token of full length with a long gateway chain in the user name.
  const std::string chain(2000, 'e');
  EXPECT_EQ(read(connect_bytes("dev/mod", "hub/dev/mod/?api-version=2020-09-30&auth-chain=" + chain,
                               std::string(1500, 's'), 60, false))
                .client_id,
            "dev/mod");
}

// C registers with QoS 0 and .NET with an empty body; a poll's body is noise of many kinds.
TEST(SdkPacketsTest, RegistrationsComeWithAnyQosAndBody) {
  for (const auto& [qos, body] : {std::pair{0, R"({"registrationId":"dev"})"},
                                  {1, ""},
                                  {1, " "},
                                  {0, "{\"payload\":null}"}}) {
    std::string bytes;
    append(bytes, Publish{.qos = static_cast<std::uint8_t>(qos),
                          .topic = "$dps/registrations/PUT/iotdps-register/?$rid=1",
                          .packet_id = static_cast<std::uint16_t>(qos),
                          .payload = body});
    const auto decoded = PacketReader(Sender::client).next(bytes);
    ASSERT_TRUE(decoded.has_value());
    const auto& publish = std::get<PublishView>(decoded->packet);
    EXPECT_EQ(publish.payload, body);
    const auto topic = parse_request_topic(publish.topic);
    ASSERT_TRUE(topic);
    EXPECT_EQ(std::get<DpsRegister>(*topic).rid, "1");
  }
}

// Handshake burst: a client may send SUBSCRIBE and PUBLISH before it has seen CONNACK
// [MQTT-3.1.4-5], and WebSocket frames may cut anywhere.
TEST(SdkPacketsTest, PacketsThatShareABufferAreReadOneByOne) {
  std::string bytes = connect_bytes("dev", "hub/dev/?api-version=2021-04-12", "SAS", 60, true);
  append(bytes, Subscribe{.packet_id = 1, .filters = {{"$iothub/twin/res/#", 0}}});
  append(bytes, Publish{.topic = "$iothub/twin/GET/?$rid=1", .payload = " "});
  append(bytes, Pingreq{});
  const PacketReader reader(Sender::client);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    std::string buffer;
    std::size_t packets = 0;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      buffer += bytes.substr(at, piece);
      for (auto next = reader.next(buffer); next.has_value(); next = reader.next(buffer)) {
        buffer.erase(0, next->consumed);
        ++packets;
      }
    }
    EXPECT_EQ(packets, 4U) << piece;
    EXPECT_EQ(buffer, "");
  }
}

}  // namespace
}  // namespace doppel::mqtt
