#include "net/http_connection.h"

#include <exception>
#include <utility>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/time_text.h"
#include "net/websocket_stream.h"
#include "protocol/http/serializer.h"
#include "protocol/websocket/handshake.h"

namespace doppel::net {
namespace {

// The Date text of the current second; each loop has its own.
const std::string& http_date_now() {
  thread_local std::string text;
  thread_local std::int64_t text_second = -1;
  const auto now = SystemClock().now();
  if (const auto second = to_unix_seconds(now); second != text_second) {
    text = to_http_date(now);
    text_second = second;
  }
  return text;
}

metrics::Counter& requests_of_class(int status) {
  static const std::string_view name = "doppel_http_requests_total";
  static const std::string_view help = "HTTP requests answered";
  static metrics::Counter& fine = metrics::counter(name, help, {{"status", "2xx"}});
  static metrics::Counter& other = metrics::counter(name, help, {{"status", "other"}});
  static metrics::Counter& client = metrics::counter(name, help, {{"status", "4xx"}});
  static metrics::Counter& server = metrics::counter(name, help, {{"status", "5xx"}});
  switch (status / 100) {
    case 2:
      return fine;
    case 4:
      return client;
    case 5:
      return server;
    default:
      return other;
  }
}

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<Stream> stream, HttpContext& context)
    : stream_(std::move(stream)), context_(context), parser_(context.limits.parser) {}

void HttpConnection::on_open() {
  // A fresh connection has to ask for something soon; only a proven one may idle.
  enter(Phase::headers);
}

void HttpConnection::enter(Phase phase) {
  if (phase_ == Phase::over) return;
  if (phase == Phase::body && phase_ != Phase::body) body_began_ = SystemClock().steady();
  phase_ = phase;
  switch (phase) {
    case Phase::idle:
      return stream_->limit_quiet(context_.limits.idle);
    case Phase::headers:
      return stream_->limit_quiet(context_.limits.headers);
    case Phase::body:
      return stream_->limit_quiet(context_.limits.body_quiet);
    case Phase::handling:
    case Phase::over:
      return stream_->limit_quiet(Duration::zero());
  }
}

std::size_t HttpConnection::on_data(std::span<char> input) {
  const std::string_view bytes(input.data(), input.size());
  std::size_t taken = 0;
  has_leftover_ = false;
  while (phase_ != Phase::over) {
    const auto rest = bytes.substr(taken);
    if (phase_ == Phase::handling) {
      has_leftover_ = !rest.empty();
      if (rest.size() > context_.limits.pipelined_bytes_max) stream_->pause();
      break;
    }
    const auto progress = parser_.feed(rest);
    taken += progress.consumed;
    if (progress.state == http::ParseState::failed) {
      refuse(parser_.refusal().status, parser_.refusal().reason);
      break;
    }
    if (progress.state == http::ParseState::needs_more) {
      receive(rest.size());
      break;
    }
    if (progress.state == http::ParseState::headers_complete)
      on_head();
    else
      handle(parser_.take());
  }
  return taken;
}

void HttpConnection::receive(std::size_t bytes_seen) {
  if (phase_ == Phase::idle && bytes_seen > 0) return enter(Phase::headers);
  if (phase_ != Phase::body) return;
  if (SystemClock().steady() - body_began_ > context_.limits.body_total)
    return refuse(408, "the body took too long");
  stream_->touch();
}

void HttpConnection::on_head() {
  keeps_alive_ = parser_.keeps_alive();
  is_head_ = parser_.head().method == "HEAD";
  enter(Phase::body);
  if (const auto more = context_.router.body_bytes_max(parser_.head()))
    parser_.set_body_bytes_max(more);
  if (parser_.expects_continue()) {
    http::append_continue(stream_->out());
    stream_->send();
  }
}

void HttpConnection::handle(http::Request request) {
  if (is_stopping_) keeps_alive_ = false;
  if (websocket::wants_websocket(request)) return upgrade(request);

  enter(Phase::handling);
  tracking_id_ = SystemRandom().uuid();
  request.tracking_id = tracking_id_;
  request.peer = &stream_->peer();
  stop_ = std::stop_source();
  request.stop = stop_.get_token();
  ++context_.running_handlers;
  spawn(guarded(std::move(request)), [self = shared_from_this()](http::Response response) {
    --self->context_.running_handlers;
    self->on_answer(std::move(response));
  });
}

// The top of a handler's task: what escapes it is answered, logged with its tracking id, counted.
Task<http::Response> HttpConnection::guarded(http::Request request) {
  const std::string tracking_id = request.tracking_id;
  const std::string target = request.path;
  std::string reason;
  try {
    auto task = context_.router.handle(std::move(request));
    co_return co_await std::move(task);
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {
    reason = "an exception of an unknown type";
  }
  log::error("http.handler_failed",
             {{"tracking_id", tracking_id}, {"path", target}, {"reason", reason}});
  co_return http::Response::text(500, "internal error; tracking id " + tracking_id + "\n");
}

void HttpConnection::on_answer(http::Response response) {
  requests_of_class(response.status).add();
  if (phase_ == Phase::over) return;
  stop_ = std::stop_source(std::nostopstate);
  response.headers.set("Date", http_date_now());
  if (!response.headers.find("x-ms-request-id"))
    response.headers.set("x-ms-request-id", tracking_id_);
  if (const auto connection = response.headers.find("Connection");
      connection && equal_ignoring_case(*connection, "close"))
    keeps_alive_ = false;
  if (is_ended_ || is_stopping_) keeps_alive_ = false;
  http::append_response(stream_->out(), response,
                        keeps_alive_ ? http::AfterMessage::keep_open : http::AfterMessage::close,
                        is_head_);
  stream_->send();
  is_first_ = false;
  if (!keeps_alive_) return stream_->close("answered; the connection was not to be kept");
  enter(Phase::idle);
  if (has_leftover_) stream_->resume();
}

void HttpConnection::refuse(int status, std::string_view reason) {
  requests_of_class(status).add();
  http::Response response = http::Response::text(status, std::string(reason) + "\n");
  response.headers.set("Date", http_date_now());
  http::append_response(stream_->out(), response, http::AfterMessage::close);
  stream_->close(reason);
}

void HttpConnection::upgrade(const http::Request& request) {
  auto opened = open_websocket(request, context_.websockets);
  if (!opened) {
    opened.error().headers.set("Date", http_date_now());
    requests_of_class(opened.error().status).add();
    http::append_response(stream_->out(), opened.error(), http::AfterMessage::close);
    return stream_->close("the upgrade was refused");
  }
  stream_->out() += opened->answer;
  stream_->send();
  // From here on the stream's bytes, those that came along included, are the WebSocket's.
  phase_ = Phase::over;
  auto websocket = std::make_shared<WebSocketStream>(stream_);
  stream_->set_receiver(websocket);
  websocket->set_receiver(opened->factory(websocket));
  websocket->on_open();
}

void HttpConnection::on_end() {
  is_ended_ = true;
  if (phase_ != Phase::handling) return stream_->close("the client closed the connection");
  // It may have closed its side only and still wait for the answer; nobody waits if it is gone, so
  // long work is told.
  stop_.request_stop();
}

void HttpConnection::on_quiet() {
  switch (phase_) {
    case Phase::idle:
      return stream_->close("idle");
    case Phase::headers:
      if (is_first_ && parser_.is_idle()) return stream_->close("no request within the time limit");
      return refuse(408, "the request's headers took too long");
    case Phase::body:
      return refuse(408, "the request's body took too long");
    case Phase::handling:
    case Phase::over:
      return;
  }
}

void HttpConnection::on_stop() {
  is_stopping_ = true;
  if (phase_ == Phase::handling) return stop_.request_stop(), void();
  // Also in the middle of a request: nothing says when the rest comes, and a request that was never
  // complete was never accepted.
  if (phase_ != Phase::over) stream_->close("the server stops");
}

void HttpConnection::on_closed(std::string_view reason) {
  log::debug("http.closed", {{"peer", stream_->peer().address}, {"reason", reason}});
  phase_ = Phase::over;
  stop_.request_stop();
}

}  // namespace doppel::net
