#include "net/http_client.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "net/dial.h"
#include "net/socket_stream.h"
#include "net/stream.h"
#include "protocol/http/parser.h"
#include "protocol/http/serializer.h"

namespace doppel::net {
namespace {

using Answer = Result<http::Response>;

bool may_repeat(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

// One call from start to answer. Touched on the client's loop only.
struct Call {
  http::Request request;
  Url url;
  HttpCallOptions options;
  std::string origin;  // scheme, host, port and how it is verified
  std::shared_ptr<const TlsContext> tls;
  std::vector<SocketAddress> addresses;
  std::size_t next_address = 0;
  Executor::TimerId total_timer = 0;
  Executor::TimerId connect_timer = 0;
  bool is_over = false;
  bool was_repeated = false;
  std::move_only_function<void(Answer)> done;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

}  // namespace

struct HttpClient::Impl : std::enable_shared_from_this<Impl> {
  class Connection;

  struct Origin {
    std::vector<std::shared_ptr<Connection>> kept;  // the last was used last
    std::deque<std::shared_ptr<Call>> waiting;
    std::size_t open = 0;  // kept ones included
  };

  explicit Impl(Loop& on) : loop(on) {}

  void begin(const std::shared_ptr<Call>& call, const std::stop_token& stop);
  void assign(const std::shared_ptr<Call>& call);
  void dial(const std::shared_ptr<Call>& call);
  void finish(const std::shared_ptr<Call>& call, Answer answer);
  void released(const std::string& origin);
  void close_all();
  Result<std::shared_ptr<const TlsContext>> context_of(const TlsClientConfig& config);

  Loop& loop;
  Resolver resolver;
  StreamLimits limits{.handshake = std::chrono::minutes(5)};  // each call has its own, shorter one
  std::map<std::string, Origin, std::less<>> origins;
  std::set<std::shared_ptr<Connection>> connections;
  std::set<std::shared_ptr<Call>> calls;
  std::map<std::string, std::shared_ptr<const TlsContext>, std::less<>> contexts;
  bool is_closed = false;
};

// A connection to one origin, with at most one call at a time.
class HttpClient::Impl::Connection final : public StreamReceiver,
                                           public StreamOwner,
                                           public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Impl> impl, std::string origin, std::shared_ptr<Call> call)
      : impl_(std::move(impl)),
        origin_(std::move(origin)),
        call_(std::move(call)),
        tls_(call_->tls),
        parser_(limits_of(*call_)) {}

  void dial(int fd, const SocketAddress& address) {
    stream_ = std::make_shared<SocketStream>(impl_->loop, fd, address, impl_->limits,
                                             static_cast<StreamOwner&>(*this));
    stream_->set_receiver(shared_from_this());
    stream_->start_client(tls_.get(), call_->url.host);
  }

  void start(std::shared_ptr<Call> call) {
    call_ = std::move(call);
    is_reused_ = true;
    has_answer_begun_ = false;
    parser_ = http::ResponseParser(limits_of(*call_));
    stream_->limit_quiet(Duration::zero());
    write_request();
  }

  // The call was given up: what arrives for it now would be taken for the next one's answer.
  void abandon(const Call* call) {
    if (call_.get() != call) return;
    call_.reset();
    if (stream_) stream_->abort("the call was given up");
  }

  void close() {
    call_.reset();
    if (stream_) stream_->close("the client is closed");
  }

  void on_open() override {
    impl_->loop.cancel(std::exchange(call_->connect_timer, 0));
    is_open_ = true;
    write_request();
  }

  std::size_t on_data(std::span<char> input) override {
    const std::string_view bytes(input.data(), input.size());
    std::size_t taken = 0;
    while (call_) {
      has_answer_begun_ = true;
      const auto progress = parser_.feed(bytes.substr(taken));
      taken += progress.consumed;
      switch (progress.state) {
        case http::ParseState::needs_more:
          return taken;
        case http::ParseState::headers_complete:
          break;
        case http::ParseState::complete:
          complete();
          break;
        case http::ParseState::failed:
          give_up_answer();
          return taken;
      }
    }
    // An answer nobody asked for.
    if (taken < bytes.size() && stream_) stream_->abort("bytes behind the answer");
    return taken;
  }

  void on_end() override {
    if (call_ && has_answer_begun_) {
      const auto progress = parser_.finish();
      if (progress.state == http::ParseState::complete) return complete();
    }
    stream_->close("the server closed the connection");
  }

  void on_quiet() override { stream_->close("unused"); }
  void on_stop() override {}

  void on_closed(std::string_view reason) override {
    leave_pool();
    const auto call = std::exchange(call_, nullptr);
    if (!call) return;
    if (!is_open_) {
      // The next address, if there is one.
      if (!call->is_over && call->next_address < call->addresses.size()) return impl_->dial(call);
      return impl_->finish(
          call, fail(Code::unavailable,
                     call->url.authority + ": " + std::string(reason) + " (request not sent)"));
    }
    if (is_reused_ && !has_answer_begun_ && may_repeat(call->request.method) &&
        !std::exchange(call->was_repeated, true)) {
      call->next_address = 0;
      return impl_->dial(call);
    }
    impl_->finish(call, fail(Code::unavailable, call->url.authority +
                                                    ": the connection ended before the answer: " +
                                                    std::string(reason)));
  }

  void on_gone(SocketStream&) override {
    leave_pool();
    // Both are further up the stack.
    impl_->loop.post([self = shared_from_this(), stream = std::move(stream_)] {});
    impl_->connections.erase(shared_from_this());
  }

 private:
  static http::ParserLimits limits_of(const Call& call) {
    http::ParserLimits limits;
    limits.body_bytes_max = call.options.response_bytes_max;
    return limits;
  }

  void write_request() {
    if (call_->request.method == "HEAD") parser_.expect_no_body();
    http::append_request(stream_->out(), call_->request);
    stream_->send();
  }

  void complete() {
    const bool is_kept = parser_.keeps_alive() && !impl_->is_closed;
    auto response = parser_.take();
    const auto call = std::exchange(call_, nullptr);
    if (is_kept) {
      stream_->limit_quiet(kKeptConnectionMax);
      impl_->origins[origin_].kept.push_back(shared_from_this());
    } else {
      stream_->close("answered");
    }
    impl_->finish(call, std::move(response));
    if (is_kept) impl_->released(origin_);
  }

  void give_up_answer() {
    const auto call = std::exchange(call_, nullptr);
    const bool is_size = parser_.refusal().status == 413 || parser_.refusal().status == 431;
    impl_->finish(call, fail(is_size ? Code::too_large : Code::bad_gateway,
                             call->url.authority + ": " + std::string(parser_.refusal().reason)));
    stream_->abort("an answer that cannot be read");
  }

  void leave_pool() {
    if (std::exchange(has_left_, true)) return;
    auto& origin = impl_->origins[origin_];
    std::erase(origin.kept, shared_from_this());
    --origin.open;
    impl_->released(origin_);
  }

  std::shared_ptr<Impl> impl_;
  std::string origin_;
  std::shared_ptr<Call> call_;
  std::shared_ptr<const TlsContext> tls_;
  std::shared_ptr<SocketStream> stream_;
  http::ResponseParser parser_;
  bool is_open_ = false;
  bool is_reused_ = false;
  bool has_answer_begun_ = false;
  bool has_left_ = false;
};

Result<std::shared_ptr<const TlsContext>> HttpClient::Impl::context_of(
    const TlsClientConfig& config) {
  const std::string key = (config.is_verified ? "v" : "-") + config.ca_pem + '\n' +
                          config.more_ca_pem + '\n' + config.identity.chain_pem + '\n' +
                          config.identity.key_pem;
  if (const auto at = contexts.find(key); at != contexts.end()) return at->second;
  auto made = TlsContext::client(config);
  if (!made) return fail(made.error());
  constexpr std::size_t kContextsMax = 64;  // reading the system's trust store takes a while
  if (contexts.size() >= kContextsMax) contexts.clear();
  contexts.emplace(key, *made);
  return *made;
}

void HttpClient::Impl::begin(const std::shared_ptr<Call>& call, const std::stop_token& stop) {
  calls.insert(call);
  // It runs on whichever thread stops, so it only posts.
  call->on_stop.emplace(stop, [impl = shared_from_this(), weak = std::weak_ptr(call)] {
    impl->loop.post([impl, weak] {
      if (const auto stopped = weak.lock())
        impl->finish(stopped, fail(Code::cancelled, "stopped by the caller"));
    });
  });
  if (is_closed) return finish(call, fail(Code::cancelled, "the client is closed"));
  const std::weak_ptr<Call> weak = call;
  const auto expire = [this, weak](const char* what) {
    if (const auto late = weak.lock())
      finish(late, fail(Code::timeout, late->url.authority + ": " + what));
  };
  call->total_timer = loop.post_after(call->options.total_timeout,
                                      [expire] { expire("no answer within the time limit"); });
  call->connect_timer = loop.post_after(call->options.connect_timeout, [expire] {
    expire("no connection within the time limit (request not sent)");
  });
  if (call->url.is_tls) {
    auto tls = context_of(call->options.tls);
    if (!tls) return finish(call, fail(tls.error()));
    call->tls = std::move(*tls);
  }
  call->origin = (call->url.is_tls ? "https://" : "http://") + to_lower(call->url.host) + ':' +
                 std::to_string(call->url.port) + ' ' +
                 std::to_string(reinterpret_cast<std::uintptr_t>(call->tls.get()));
  auto& origin = origins[call->origin];
  if (origin.kept.empty() && origin.open >= kConnectionsPerOriginMax) {
    if (origin.waiting.size() >= kWaitingCallsMax)
      return finish(call, fail(Code::throttled, "too many calls wait (request not sent)"));
    loop.cancel(std::exchange(call->connect_timer, 0));
    origin.waiting.push_back(call);
    return;
  }
  assign(call);
}

void HttpClient::Impl::assign(const std::shared_ptr<Call>& call) {
  auto& origin = origins[call->origin];
  if (!origin.kept.empty()) {
    const auto connection = origin.kept.back();
    origin.kept.pop_back();
    loop.cancel(std::exchange(call->connect_timer, 0));
    return connection->start(call);
  }
  auto task = resolver.find(call->url.host, call->url.port);
  spawn(std::move(task),
        [self = shared_from_this(), call](Result<std::vector<SocketAddress>> found) {
          if (call->is_over) return;
          if (!found) return self->finish(call, fail(Code::unavailable, found.error().message));
          call->addresses = std::move(*found);
          self->dial(call);
        });
}

void HttpClient::Impl::dial(const std::shared_ptr<Call>& call) {
  if (call->is_over) return;
  Error last{.code = Code::unavailable, .message = "no address", .service = nullptr};
  if (call->addresses.empty()) return assign(call);  // a repeated call that never looked it up
  while (call->next_address < call->addresses.size()) {
    const auto& address = call->addresses[call->next_address++];
    const auto fd = start_connect(address);
    if (!fd) {
      last = fd.error();
      continue;
    }
    ++origins[call->origin].open;
    auto connection = std::make_shared<Connection>(shared_from_this(), call->origin, call);
    connections.insert(connection);
    connection->dial(*fd, address);
    return;
  }
  last.message += " (request not sent)";
  finish(call, fail(std::move(last)));
}

void HttpClient::Impl::finish(const std::shared_ptr<Call>& call, Answer answer) {
  if (std::exchange(call->is_over, true)) return;
  const auto keep_alive = call;
  calls.erase(call);
  loop.cancel(call->total_timer);
  loop.cancel(call->connect_timer);
  if (!answer) {
    std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
    for (const auto& connection : all) connection->abandon(call.get());
    auto& waiting = origins[call->origin].waiting;
    std::erase(waiting, call);
  }
  call->on_stop.reset();
  call->done(std::move(answer));
}

void HttpClient::Impl::released(const std::string& name) {
  const auto at = origins.find(name);
  if (at == origins.end()) return;
  auto& origin = at->second;
  if (origin.waiting.empty()) {
    if (origin.open == 0) origins.erase(at);
    return;
  }
  const auto call = origin.waiting.front();
  origin.waiting.pop_front();
  loop.post([self = shared_from_this(), call] {
    if (!call->is_over) self->assign(call);
  });
}

void HttpClient::Impl::close_all() {
  is_closed = true;
  const std::vector<std::shared_ptr<Call>> open_calls(calls.begin(), calls.end());
  for (const auto& call : open_calls) finish(call, fail(Code::cancelled, "the client is closed"));
  const std::vector<std::shared_ptr<Connection>> all(connections.begin(), connections.end());
  for (const auto& connection : all) connection->abandon(nullptr);
}

HttpClient::HttpClient(Loops& loops) : impl_(std::make_shared<Impl>(loops.next())) {}

HttpClient::~HttpClient() {
  auto closed = std::make_unique<std::promise<void>>();
  const auto done = closed->get_future();
  impl_->loop.post([impl = impl_, closed = std::move(closed)] {
    impl->close_all();
    closed->set_value();
  });
  done.wait();  // a loop that has stopped breaks the promise
}

Task<Answer> HttpClient::send(std::string method, std::string url, http::Headers headers,
                              std::string body, HttpCallOptions options, std::stop_token stop) {
  auto parsed = parse_url(url);
  if (!parsed) co_return fail(parsed.error());
  if (stop.stop_requested()) co_return fail(Code::cancelled, "stopped before it was sent");
  auto call = std::make_shared<Call>();
  call->url = std::move(*parsed);
  call->options = std::move(options);
  call->request.method = std::move(method);
  call->request.target = call->url.target;
  call->request.headers = std::move(headers);
  if (!call->request.headers.find("Host")) call->request.headers.set("Host", call->url.authority);
  call->request.body = std::move(body);

  const auto impl = impl_;
  std::move_only_function<void(std::move_only_function<void(Answer)>)> start =
      [&](std::move_only_function<void(Answer)> done) {
        call->done = std::move(done);
        impl->loop.post([impl, call, stop] { impl->begin(call, stop); });
      };
  co_return co_await from_callback<Answer>(std::move(start));
}

}  // namespace doppel::net
