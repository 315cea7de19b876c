// MQTT over WebSocket over real loopback sockets.
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "net/server_testing.h"
#include "protocol/websocket/frame.h"

namespace doppel::net {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using ServerWebSocketTest = testing::ServerTest;

std::string upgrade_request(const std::string& path, const std::string& protocol) {
  return "GET " + path +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Protocol: " +
         protocol +
         "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
}

std::string masked_frame(std::string_view payload) {
  std::string frame;
  websocket::append_frame(frame, websocket::Opcode::binary, payload, 0x11223344U);
  return frame;
}

TEST_F(ServerWebSocketTest, CarriesMqttOverAWebSocket) {
  start();
  for (const auto* path : {"/$iothub/websocket?iothub-no-client-cert=true", "/"}) {
    auto client = tls_client("https");
    // The first frame comes along with the request: it must not be lost at the hand-over.
    client->send(upgrade_request(path, "MQTT") + masked_frame(connect_packet()));
    std::string answer = client->receive_until("\x20\x02");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 101"));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Protocol: MQTT\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("permessage-deflate")));
    std::string publish;
    mqtt::append(publish, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 8, .payload = "x"});
    // Frame borders mean nothing.
    client->send(masked_frame(publish.substr(0, 3)) + masked_frame(publish.substr(3)));
    EXPECT_EQ(client->receive_exactly(6), std::string("\x82\x04\x40\x02\x00\x08", 6));
    std::string ping;
    websocket::append_frame(ping, websocket::Opcode::ping, "p", 1U);
    client->send(ping);
    EXPECT_EQ(client->receive_exactly(3), std::string("\x8a\x01p", 3));
    std::string close;
    websocket::append_close(close, websocket::CloseCode::normal, {}, 1U);
    client->send(close);
    EXPECT_EQ(client->receive_all(), std::string("\x88\x02\x03\xe8", 4));
    EXPECT_TRUE(client->is_closed());
  }
}

TEST_F(ServerWebSocketTest, RefusesWebSocketsOfOtherProtocolsAndPaths) {
  start();
  auto client = tls_client("https");
  client->send(upgrade_request("/$iothub/websocket", "chat"));
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 400"));
  auto other = tls_client("https");
  other->send(upgrade_request("/somewhere", "mqtt"));
  EXPECT_THAT(other->receive_all(), StartsWith("HTTP/1.1 404"));
}

}  // namespace
}  // namespace doppel::net
