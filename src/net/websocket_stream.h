// A WebSocket over another stream as a Stream of its own: whoever speaks MQTT or AMQP through it
// need not know. Frame borders mean nothing to the protocols inside.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.h"
#include "protocol/http/message.h"
#include "protocol/websocket/frame.h"

namespace doppel::net {

// Makes the receiver of a stream that speaks some protocol.
using StreamFactory = std::function<std::shared_ptr<StreamReceiver>(std::shared_ptr<Stream>)>;

class WebSocketStream final : public Stream,
                              public StreamReceiver,
                              private Flushable,
                              public std::enable_shared_from_this<WebSocketStream> {
 public:
  // The server's side, after the handshake. Set it as the receiver of `below`, give it a receiver
  // of its own, then call on_open().
  explicit WebSocketStream(std::shared_ptr<Stream> below);
  ~WebSocketStream() override;

  void on_open() override;
  std::size_t on_data(std::span<char> bytes) override;
  void on_drained() override;
  void on_end() override;
  void on_quiet() override;
  void on_stop() override;
  void on_closed(std::string_view reason) override;

  void set_receiver(std::shared_ptr<StreamReceiver> receiver) override;
  std::string& out() override { return out_; }
  void send() override;
  std::size_t backlog() const override { return out_.size() + below_->backlog(); }
  void pause() override;
  void resume() override;
  void limit_quiet(Duration limit) override { below_->limit_quiet(limit); }
  void touch() override { below_->touch(); }
  void close(std::string_view reason) override;
  void abort(std::string_view reason) override { below_->abort(reason); }
  Loop& loop() override { return below_->loop(); }
  const PeerInfo& peer() const override { return below_->peer(); }

 private:
  void flush() override;
  void deliver(std::span<char> payload);
  void end(websocket::CloseCode code, std::string_view reason);

  std::shared_ptr<Stream> below_;
  std::shared_ptr<StreamReceiver> receiver_;
  websocket::FrameReader reader_{websocket::Sender::client};
  std::string in_;   // unframed, not yet taken
  std::string out_;  // not yet framed
  bool is_paused_ = false;
  bool is_over_ = false;
};

struct OpenedWebSocket {
  std::string answer;  // the 101, to be sent first
  StreamFactory factory;
};

// Judges an upgrade request: path, handshake, and a sub-protocol that somebody serves. `protocols`
// has their factories by name, without regard to case. The error is the answer to send.
std::expected<OpenedWebSocket, http::Response> open_websocket(
    const http::Request& request,
    const std::map<std::string, StreamFactory, std::less<>>& protocols);

}  // namespace doppel::net
