// Any HTTP request as an opening handshake: accepted exactly when a sub-protocol was chosen, and
// what is accepted satisfies a client that checks the answer.
#include "base/check.h"
#include "protocol/http/parser.h"
#include "protocol/http/serializer.h"
#include "protocol/websocket/handshake.h"

namespace doppel::websocket {
namespace {

constexpr std::string_view kSupported[] = {kMqttProtocol, kAmqpProtocol};

void check_answer(const http::Request& request) {
  const auto answer = accept_websocket(request, kSupported);
  check((answer.response.status == 101) == !answer.protocol.empty(), "a protocol or a refusal");
  std::string wire;
  http::append_response(wire, answer.response, http::AfterMessage::keep_open);
  http::ResponseParser parser;
  check(parser.feed(wire).state == http::ParseState::headers_complete, "well-formed either way");
  check(parser.head().status == answer.response.status, "the status");
  if (answer.protocol.empty()) return;
  check(request.method == "GET" && wants_websocket(request), "only what asked for it");
  const auto key = request.headers.get_or("Sec-WebSocket-Key", "");
  check(verify_server_response(parser.head(), answer.protocol, key).has_value(),
        "the client agrees");
}

}  // namespace
}  // namespace doppel::websocket

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  http::RequestParser parser;
  for (;;) {
    const auto progress = parser.feed(input);
    input.remove_prefix(progress.consumed);
    if (progress.state == http::ParseState::needs_more) return 0;
    if (progress.state == http::ParseState::failed) return 0;
    if (progress.state == http::ParseState::complete) websocket::check_answer(parser.take());
  }
}
