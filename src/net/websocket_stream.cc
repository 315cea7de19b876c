#include "net/websocket_stream.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "net/buffers.h"
#include "protocol/http/serializer.h"
#include "protocol/websocket/handshake.h"

namespace doppel::net {
namespace {

// Where clients open WebSockets (reference: client-wire-notes, section 2). The DPS device client of
// .NET uses the root.
constexpr std::array<std::string_view, 3> kPaths = {"/$iothub/websocket", "/$servicebus/websocket",
                                                    "/"};

bool is_websocket_path(std::string_view path) {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto decoded = percent_decode(path);  // some stacks send %24iothub
  return decoded && std::any_of(kPaths.begin(), kPaths.end(), [&](std::string_view known) {
           return equal_ignoring_case(known, *decoded);
         });
}

}  // namespace

WebSocketStream::WebSocketStream(std::shared_ptr<Stream> below) : below_(std::move(below)) {}
WebSocketStream::~WebSocketStream() = default;

void WebSocketStream::set_receiver(std::shared_ptr<StreamReceiver> receiver) {
  receiver_ = std::move(receiver);
}

void WebSocketStream::on_open() {
  const auto receiver = receiver_;
  if (receiver) receiver->on_open();
}

std::size_t WebSocketStream::on_data(std::span<char> bytes) {
  const auto keep_alive = shared_from_this();
  std::size_t taken = 0;
  while (taken < bytes.size() && !is_over_) {
    if (is_paused_) {
      below_->pause();
      break;
    }
    const auto event = reader_.next(bytes.subspan(taken));
    // The payload lies in `bytes`, which is ours to change.
    const std::span<char> payload(const_cast<char*>(event.payload.data()), event.payload.size());
    taken += event.consumed;
    switch (event.kind) {
      case websocket::EventKind::needs_more:
        return taken;
      case websocket::EventKind::data:
        deliver(payload);
        break;
      case websocket::EventKind::ping:
        websocket::append_frame(below_->out(), websocket::Opcode::pong, event.payload);
        below_->send();
        break;
      case websocket::EventKind::pong:
        break;
      case websocket::EventKind::close:
        end(event.code, "the client closed the WebSocket");
        break;
      case websocket::EventKind::failed:
        end(event.code, event.reason);
        break;
    }
  }
  return taken;
}

void WebSocketStream::deliver(std::span<char> payload) {
  if (!in_.empty()) {
    in_.append(payload.data(), payload.size());
    payload = {};
  }
  const std::span<char> bytes = in_.empty() ? payload : std::span<char>(in_);
  if (bytes.empty() || !receiver_) return;
  const auto receiver = receiver_;
  const std::size_t passed = receiver->on_data(bytes);
  if (in_.empty())
    in_.assign(payload.data() + passed, payload.size() - passed);
  else
    in_.erase(0, passed);
  if (in_.empty()) empty_buffer(in_);
}

void WebSocketStream::on_drained() {
  const auto receiver = receiver_;
  if (receiver) receiver->on_drained();
}

void WebSocketStream::on_end() {
  const auto receiver = receiver_;
  if (receiver) receiver->on_end();
}

void WebSocketStream::on_quiet() {
  const auto receiver = receiver_;
  if (receiver) receiver->on_quiet();
}

void WebSocketStream::on_stop() {
  const auto receiver = receiver_;
  if (receiver) receiver->on_stop();
}

void WebSocketStream::on_closed(std::string_view reason) {
  is_over_ = true;
  const auto receiver = std::exchange(receiver_, nullptr);
  if (receiver) receiver->on_closed(reason);
}

void WebSocketStream::send() {
  if (is_over_) return;
  loop().flush_soon(std::shared_ptr<Flushable>(shared_from_this(), static_cast<Flushable*>(this)));
}

void WebSocketStream::flush() {
  if (is_over_ || out_.empty()) return;
  websocket::append_frame(below_->out(), websocket::Opcode::binary, out_);
  empty_buffer(out_);
  below_->send();
}

void WebSocketStream::pause() { is_paused_ = true; }

void WebSocketStream::resume() {
  is_paused_ = false;
  loop().post([self = shared_from_this()] {
    if (!self->in_.empty() && !self->is_over_ && !self->is_paused_) self->deliver({});
    if (!self->is_over_ && !self->is_paused_) self->below_->resume();
  });
}

void WebSocketStream::close(std::string_view reason) { end(websocket::CloseCode::normal, reason); }

void WebSocketStream::end(websocket::CloseCode code, std::string_view reason) {
  if (is_over_) return;
  flush();
  is_over_ = true;
  // The texts are our own and say nothing about an identity.
  websocket::append_close(below_->out(), code,
                          code == websocket::CloseCode::normal ? std::string_view{} : reason);
  below_->close(reason);
}

std::expected<OpenedWebSocket, http::Response> open_websocket(
    const http::Request& request,
    const std::map<std::string, StreamFactory, std::less<>>& protocols) {
  if (!is_websocket_path(request.path))
    return std::unexpected(http::Response::text(404, "no WebSocket is served here\n"));
  std::vector<std::string_view> supported;
  for (const auto& [name, factory] : protocols) supported.push_back(name);
  auto handshake = websocket::accept_websocket(request, supported);
  if (handshake.protocol.empty()) return std::unexpected(std::move(handshake.response));
  OpenedWebSocket opened;
  http::append_response(opened.answer, handshake.response, http::AfterMessage::keep_open);
  opened.factory = protocols.find(handshake.protocol)->second;
  return opened;
}

}  // namespace doppel::net
