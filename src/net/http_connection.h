// The server's side of an HTTP/1.1 connection: requests from a stream to the router one at a time,
// answers back in order, until one side ends it or it becomes a WebSocket.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/task.h"
#include "net/stream.h"
#include "net/websocket_stream.h"
#include "protocol/http/parser.h"
#include "protocol/http/router.h"

namespace doppel::net {

struct HttpLimits {
  http::ParserLimits parser{};
  // From the open stream, or the first byte of a further request, to its last header.
  Duration headers = std::chrono::seconds(15);
  // Between two reads of a body, and for all of it.
  Duration body_quiet = std::chrono::seconds(30);
  Duration body_total = std::chrono::minutes(5);
  // Between requests. Longer than the 60 to 65 s after which clients and proxies give up, so the
  // client closes first and no request meets a closed connection.
  Duration idle = std::chrono::seconds(75);
  // Of further requests while one is answered; then the socket is not read.
  std::size_t pipelined_bytes_max = 64 * 1024;
};

// What all connections of a server share. Constant while the server runs, but for the count.
struct HttpContext {
  const http::Router& router;
  HttpLimits limits{};
  std::map<std::string, StreamFactory, std::less<>> websockets{};  // by sub-protocol in lower case
  std::atomic<std::size_t> running_handlers = 0;
};

class HttpConnection final : public StreamReceiver,
                             public std::enable_shared_from_this<HttpConnection> {
 public:
  // `context` outlives the connection. Set it as the stream's receiver.
  HttpConnection(std::shared_ptr<Stream> stream, HttpContext& context);

  void on_open() override;
  std::size_t on_data(std::span<char> bytes) override;
  void on_end() override;
  void on_quiet() override;
  void on_stop() override;
  void on_closed(std::string_view reason) override;

 private:
  enum class Phase : std::uint8_t { idle, headers, body, handling, over };

  void enter(Phase phase);
  void receive(std::size_t bytes_seen);
  void on_head();
  void handle(http::Request request);
  void on_answer(http::Response response);
  void refuse(int status, std::string_view reason);
  void upgrade(const http::Request& request);
  Task<http::Response> guarded(http::Request request);

  std::shared_ptr<Stream> stream_;
  HttpContext& context_;
  http::RequestParser parser_;
  std::stop_source stop_{std::nostopstate};
  std::string tracking_id_;
  SteadyTime body_began_{};
  Phase phase_ = Phase::idle;
  bool keeps_alive_ = false;
  bool is_head_ = false;
  bool is_first_ = true;
  bool has_leftover_ = false;  // bytes wait behind the request that is being handled
  bool is_ended_ = false;
  bool is_stopping_ = false;
};

}  // namespace doppel::net
