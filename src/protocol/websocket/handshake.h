// The WebSocket opening handshake (RFC 6455 section 4), both sides, over whole HTTP messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/http/message.h"

namespace doppel::websocket {

inline constexpr std::string_view kMqttProtocol = "mqtt";
inline constexpr std::string_view kAmqpProtocol = "AMQPWSB10";

struct ServerHandshake {
  http::Response response;      // 101, or the refusal
  std::string_view protocol{};  // the one of `supported` that was chosen; empty: refused
};

// Whether a request asks for a WebSocket at all, however wrong the rest of it may be.
bool wants_websocket(const http::Request& request);

// Answers an upgrade request. Of the sub-protocols the client offers, the first that is supported
// is chosen, compared without case and echoed in the client's spelling: the C SDKs offer "MQTT".
// One must be chosen, because nothing else tells which protocol follows. Extensions are declined.
ServerHandshake accept_websocket(const http::Request& request,
                                 std::span<const std::string_view> supported);

// A client's upgrade request. `key` is base64 of 16 fresh random bytes. `host` as in a Host header.
http::Request make_client_request(std::string_view host, std::string_view path,
                                  std::string_view protocol, std::string_view key);

// Judges the server's answer to such a request.
Status verify_server_response(const http::Response& response, std::string_view protocol,
                              std::string_view key);

// Sec-WebSocket-Accept of a key (section 4.2.2).
std::string accept_value(std::string_view key);

}  // namespace doppel::websocket
