#include "protocol/websocket/handshake.h"

#include <gtest/gtest.h>

#include "protocol/http/parser.h"
#include "protocol/http/serializer.h"

namespace doppel::websocket {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kSupported[] = {kMqttProtocol, kAmqpProtocol};

http::Request parsed(const std::string& text) {
  http::RequestParser parser;
  const auto head = parser.feed(text);
  EXPECT_EQ(head.state, http::ParseState::headers_complete);
  EXPECT_EQ(parser.feed("").state, http::ParseState::complete);
  return parser.take();
}

std::string upgrade(std::string_view path, std::string_view protocol) {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
         std::string(kKey) + "\r\nSec-WebSocket-Protocol: " + std::string(protocol) + "\r\n\r\n";
}

// RFC 6455 section 1.3.
TEST(HandshakeTest, AnswersTheKeyOfTheSpecification) {
  EXPECT_EQ(accept_value(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(HandshakeTest, ChoosesTheFirstSupportedProtocolAndKeepsTheClientsSpelling) {
  for (const auto& [offered, chosen, echoed] : {std::tuple{"mqtt", kMqttProtocol, "mqtt"},
                                                // The C SDKs, hub and DPS.
                                                {"MQTT", kMqttProtocol, "MQTT"},
                                                {"AMQPWSB10", kAmqpProtocol, "AMQPWSB10"},
                                                {"amqp, AMQPWSB10", kAmqpProtocol, "AMQPWSB10"},
                                                {"x,mqtt ,AMQPWSB10", kMqttProtocol, "mqtt"}}) {
    const auto answer =
        accept_websocket(parsed(upgrade("/$iothub/websocket", offered)), kSupported);
    EXPECT_EQ(answer.response.status, 101) << offered;
    EXPECT_EQ(answer.protocol, chosen);
    EXPECT_EQ(answer.response.headers.get_or("Sec-WebSocket-Protocol", ""), echoed);
  }
}

// .NET's DPS client asks for "/"; the Node clients offer permessage-deflate.
TEST(HandshakeTest, TakesWhatTheSdksSendAndDeclinesExtensions) {
  auto request = parsed(upgrade("/", "mqtt"));
  request.headers.add("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
  request.headers.set("Connection", "keep-alive, Upgrade");
  const auto answer = accept_websocket(request, kSupported);
  EXPECT_EQ(answer.response.status, 101);
  EXPECT_FALSE(answer.response.headers.find("Sec-WebSocket-Extensions"));
}

TEST(HandshakeTest, RefusesWhatIsNotAnUpgradeItUnderstands) {
  const auto status = [](auto change) {
    auto request = parsed(upgrade("/", "mqtt"));
    change(request);
    const auto answer = accept_websocket(request, kSupported);
    EXPECT_TRUE(answer.protocol.empty());
    return answer.response.status;
  };
  EXPECT_EQ(status([](auto& r) { r.method = "POST"; }), 400);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Upgrade", "h2c"); }), 426);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Connection", "close"); }), 426);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Sec-WebSocket-Version", "8"); }), 426);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"); }),
            400);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Sec-WebSocket-Key", ""); }), 400);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Sec-WebSocket-Protocol", "soap"); }), 400);
  EXPECT_EQ(status([](auto& r) { r.headers.set("Sec-WebSocket-Protocol", ""); }), 400);
}

TEST(HandshakeTest, OurClientAndOurServerAgreeOverTheWire) {
  std::string wire;
  http::append_request(wire, make_client_request("localhost", "/$iothub/websocket", "mqtt", kKey));
  const auto answer = accept_websocket(parsed(wire), kSupported);
  wire.clear();
  http::append_response(wire, answer.response, http::AfterMessage::keep_open);
  http::ResponseParser parser;
  ASSERT_EQ(parser.feed(wire).state, http::ParseState::headers_complete);
  auto response = parser.head();
  EXPECT_TRUE(verify_server_response(response, "mqtt", kKey).has_value());
  EXPECT_FALSE(verify_server_response(response, "AMQPWSB10", kKey).has_value());
  EXPECT_FALSE(verify_server_response(response, "mqtt", "AAAAAAAAAAAAAAAAAAAAAA==").has_value());
  response.status = 200;
  EXPECT_FALSE(verify_server_response(response, "mqtt", kKey).has_value());
}

}  // namespace
}  // namespace doppel::websocket
