#include "net/server.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/listener.h"

namespace doppel::net {
namespace {

// For cut-off connections to be taken apart; they only wait for their loop.
constexpr Duration kCutOffLimit = std::chrono::seconds(5);

metrics::Gauge& open_sockets() {
  static metrics::Gauge& gauge = metrics::gauge("doppel_net_connections", "Open connections");
  return gauge;
}

metrics::Counter& refused_sockets() {
  static metrics::Counter& counter = metrics::counter(
      "doppel_net_connections_refused_total", "Connections closed because there were too many");
  return counter;
}

// Runs `work` on the loop and waits for it; false when the loop has stopped and it did not run.
template <class Work>
bool run_on(Loop& loop, Work work) {
  std::promise<void> done;
  auto future = done.get_future();
  // The promise moves along: a job that is destroyed without running breaks it.
  loop.post([&work, ended = std::move(done)]() mutable {
    work();
    ended.set_value();
  });
  try {
    future.get();
    return true;
  } catch (const std::future_error&) {
    return false;
  }
}

}  // namespace

struct Server::Impl {
  // The connections of one loop; touched on that loop only.
  struct Connections final : StreamOwner {
    Connections(Loop& on, Impl& owner) : loop(on), impl(owner) {}
    void on_gone(SocketStream& stream) override {
      const auto at = streams.find(&stream);
      if (at == streams.end()) return;
      // Its methods are still on the stack: freed when they are through.
      loop.post([gone = std::move(at->second)] {});
      streams.erase(at);
      impl.forget_one();
    }
    void for_each(void (*what)(SocketStream&)) {
      std::vector<std::shared_ptr<SocketStream>> all;
      all.reserve(streams.size());
      for (const auto& [key, stream] : streams) all.push_back(stream);
      for (const auto& stream : all) what(*stream);
    }
    Loop& loop;
    Impl& impl;
    std::unordered_map<SocketStream*, std::shared_ptr<SocketStream>> streams;
  };

  struct Bound {
    ListenerConfig config;
    std::shared_ptr<const TlsContext> tls;
    StreamFactory factory;
    std::unique_ptr<Listener> listener;
    std::uint16_t port = 0;
    std::vector<std::string> addresses;
  };

  Impl(Loops& on, ServerConfig configuration, const http::Router& router,
       mqtt::ServiceTable services)
      : loops(on),
        config(std::move(configuration)),
        service_table(std::move(services)),
        http{.router = router, .limits = config.http} {
    for (std::size_t i = 0; i < loops.size(); ++i)
      connections.push_back(std::make_unique<Connections>(loops.at(i), *this));
  }

  StreamFactory factory_of(Protocol protocol);
  Status bind(ListenerConfig listener);
  Status bind_all();
  void admit(const Bound& bound, int fd, const SocketAddress& peer);
  void forget_one();
  bool wait_for_none(Duration limit);
  // False: the loops have stopped already.
  bool close_listeners();

  Loops& loops;
  ServerConfig config;
  mqtt::ServiceTable service_table;
  HttpContext http;
  std::optional<AmqpContext> amqp;
  std::vector<std::unique_ptr<Connections>> connections;
  std::vector<std::unique_ptr<Bound>> bound;
  std::size_t next_loop = 0;  // of the accepting loop
  std::atomic<std::size_t> count = 0;
  std::mutex mutex;
  std::condition_variable none_left;
  bool is_running = false;
};

StreamFactory Server::Impl::factory_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::http:
      return [this](std::shared_ptr<Stream> stream) {
        return std::make_shared<HttpConnection>(std::move(stream), http);
      };
    case Protocol::mqtt:
      return [this](std::shared_ptr<Stream> stream) {
        return std::make_shared<MqttConnection>(std::move(stream), service_table, config.mqtt);
      };
    case Protocol::amqp:
      if (!amqp) return {};
      return [this](std::shared_ptr<Stream> stream) {
        return std::make_shared<AmqpConnection>(std::move(stream), *amqp);
      };
  }
  return {};
}

Status Server::Impl::bind(ListenerConfig listener) {
  auto entry = std::make_unique<Bound>();
  entry->factory = factory_of(listener.protocol);
  if (!entry->factory)
    return fail(Code::invalid_argument, listener.name + ": nobody serves this protocol");
  if (listener.has_tls) {
    auto tls =
        TlsContext::server({.identities = config.identities,
                            .requests_client_certificate = listener.requests_client_certificate});
    if (!tls) return fail(tls.error());
    entry->tls = std::move(*tls);
  }
  auto made = Listener::bind(loops.at(0), listener.name, listener.addresses, listener.port);
  if (!made && listener.fallback_port != 0) {
    log::warn("net.port_moved", {{"listener", listener.name},
                                 {"reason", made.error().message},
                                 {"port", listener.fallback_port}});
    made = Listener::bind(loops.at(0), listener.name, listener.addresses, listener.fallback_port);
  }
  if (!made && listener.is_optional) {
    log::warn("net.no_listener", {{"listener", listener.name}, {"reason", made.error().message}});
    return {};
  }
  if (!made) return fail(made.error());
  entry->port = (*made)->port();
  entry->addresses = (*made)->bound();
  entry->listener = std::move(*made);
  entry->config = std::move(listener);
  bound.push_back(std::move(entry));
  return {};
}

Status Server::Impl::bind_all() {
  for (const auto& listener : config.listeners) {
    if (auto done = bind(listener); !done) return done;
  }
  return {};
}

void Server::Impl::admit(const Bound& from, int fd, const SocketAddress& peer) {
  if (count.load() >= config.connections_max) {
    refused_sockets().add();
    ::close(fd);
    return;
  }
  ++count;
  open_sockets().add(1);
  Connections& home = *connections[next_loop++ % connections.size()];
  home.loop.post([this, &home, &from, fd, peer] {
    auto stream = std::make_shared<SocketStream>(home.loop, fd, peer, config.stream, home);
    home.streams.emplace(stream.get(), stream);
    stream->set_receiver(from.factory(stream));
    stream->start_server(from.tls.get());
  });
}

void Server::Impl::forget_one() {
  open_sockets().add(-1);
  if (count.fetch_sub(1) != 1) return;
  const std::lock_guard lock(mutex);
  none_left.notify_all();
}

bool Server::Impl::wait_for_none(Duration limit) {
  std::unique_lock lock(mutex);
  return none_left.wait_for(lock, limit, [&] { return count.load() == 0; });
}

bool Server::Impl::close_listeners() {
  // Again after a stop there is nothing to close, and perhaps no loop to do it on.
  if (bound.empty() || bound.front()->listener == nullptr) return true;
  return run_on(loops.at(0), [&] {
    for (auto& entry : bound) entry->listener.reset();
  });
}

Server::Server(Loops& loops, ServerConfig config, const http::Router& router,
               mqtt::ServiceTable services)
    : impl_(std::make_unique<Impl>(loops, std::move(config), router, std::move(services))) {
  impl_->http.websockets.emplace("mqtt", impl_->factory_of(Protocol::mqtt));
}

Server::~Server() { stop(Duration::zero()); }

void Server::set_amqp(amqp::Container& container) {
  impl_->amqp.emplace(AmqpContext{.container = container,
                                  .limits = impl_->config.amqp,
                                  .container_id = new_amqp_container_id()});
  impl_->http.websockets.insert_or_assign("amqpwsb10", impl_->factory_of(Protocol::amqp));
}

Status Server::bind() {
  Status bound;
  // Watches belong to the loop, so they are made there.
  run_on(impl_->loops.at(0), [&] {
    bound = impl_->bind_all();
    if (!bound) impl_->bound.clear();
  });
  return bound;
}

Status Server::start() {
  if (impl_->bound.empty()) {
    if (auto bound = bind(); !bound) return bound;
  }
  impl_->is_running = true;
  run_on(impl_->loops.at(0), [this] {
    for (auto& entry : impl_->bound) {
      entry->listener->start([this, from = entry.get()](int fd, const SocketAddress& peer) {
        impl_->admit(*from, fd, peer);
      });
    }
  });
  return {};
}

void Server::stop(Duration limit) {
  const bool was_running = std::exchange(impl_->is_running, false);
  const bool have_loops = impl_->close_listeners();
  if (!was_running || !have_loops) return;
  for (auto& home : impl_->connections)
    run_on(home->loop, [&] { home->for_each([](SocketStream& stream) { stream.stop(); }); });
  if (!impl_->wait_for_none(limit)) {
    log::warn("net.cut_off", {{"connections", impl_->count.load()}});
    for (auto& home : impl_->connections) {
      run_on(home->loop, [&] {
        home->for_each([](SocketStream& stream) { stream.abort("the server stops"); });
      });
    }
    check(impl_->wait_for_none(kCutOffLimit), "connections that were cut off are gone");
  }
  // What the last of them posted to their loops, session ends among it.
  for (auto& home : impl_->connections) run_on(home->loop, [] {});
  for (auto& home : impl_->connections) run_on(home->loop, [] {});
  if (const auto left = impl_->http.running_handlers.load(); left > 0)
    log::warn("net.handlers_left", {{"handlers", left}});
}

std::uint16_t Server::port(std::string_view listener) const {
  for (const auto& entry : impl_->bound)
    if (entry->config.name == listener) return entry->port;
  return 0;
}

std::vector<std::string> Server::addresses(std::string_view listener) const {
  for (const auto& entry : impl_->bound)
    if (entry->config.name == listener) return entry->addresses;
  return {};
}

std::size_t Server::connections() const { return impl_->count.load(); }

}  // namespace doppel::net
