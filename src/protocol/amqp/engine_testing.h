// For tests of this folder and of services: engines joined in memory, or with a peer made of frames
// by hand. One thread, no sockets, time by hand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/testing.h"
#include "protocol/amqp/connection.h"
#include "protocol/amqp/frame.h"
#include "protocol/amqp/session.h"

namespace doppel::amqp::testing {

// A stream that ends in memory: what the engine writes is kept until somebody takes it.
class MemoryTransport final : public Transport {
 public:
  explicit MemoryTransport(Executor& executor) : executor_(executor) {}

  std::string& out() override { return out_; }
  void flush_soon() override { wants_flush_ = true; }
  std::size_t backlog() const override { return out_.size(); }
  void resume() override { wants_resume_ = true; }
  void close(std::string_view reason) override {
    close_reason_ = reason;
    is_closed_ = true;
  }
  Executor& executor() override { return executor_; }
  const PeerInfo& peer() const override { return peer_; }

  bool is_closed() const { return is_closed_; }
  const std::string& close_reason() const { return close_reason_; }
  bool take_flush() { return std::exchange(wants_flush_, false); }
  PeerInfo& mutable_peer() { return peer_; }

 private:
  Executor& executor_;
  PeerInfo peer_{};
  std::string out_;
  std::string close_reason_;
  bool wants_flush_ = false;
  bool wants_resume_ = false;
  bool is_closed_ = false;
};

// One engine and the stream below it.
class Endpoint {
 public:
  explicit Endpoint(Executor& executor) : transport(executor) {}
  ~Endpoint() {
    if (engine) engine->on_transport_closed();
  }

  // What the peer sent and the engine has not taken.
  void receive(std::string_view bytes) { in_ += bytes; }
  // True if anything moved.
  bool work() {
    bool has_moved = false;
    if (!in_.empty() && !transport.is_closed()) {
      const auto taken = engine->on_bytes(in_);
      in_.erase(0, taken);
      has_moved = taken > 0;
    }
    if (transport.take_flush()) {
      engine->flush();
      has_moved = true;
    }
    if (transport.is_closed() && !std::exchange(was_told_, transport.is_closed())) {
      engine->on_transport_closed();
      has_moved = true;
    }
    return has_moved;
  }
  std::string take(std::size_t most = SIZE_MAX) {
    const bool was_full = transport.out().size() > 64 * 1024;
    std::string bytes = transport.out().substr(0, most);
    transport.out().erase(0, bytes.size());
    if (was_full && transport.out().size() <= 64 * 1024) engine->on_drained();
    return bytes;
  }
  bool was_told() const { return was_told_; }

  MemoryTransport transport;
  std::shared_ptr<ConnectionEngine> engine;

 private:
  std::string in_;
  bool was_told_ = false;
};

// A container whose nodes are lambdas: by default every link is refused.
class TestContainer final : public Container, public Service {
 public:
  void authenticate(std::shared_ptr<Connection> connection, PlainCredentials credentials,
                    std::move_only_function<void(bool)> answer) override {
    if (on_authenticate) return on_authenticate(connection, credentials, std::move(answer));
    Container::authenticate(std::move(connection), std::move(credentials), std::move(answer));
  }
  std::unique_ptr<SaslExchange> start_exchange(std::shared_ptr<Connection> connection,
                                               std::string_view mechanism,
                                               std::string_view host) override {
    if (on_exchange) return on_exchange(mechanism);
    return Container::start_exchange(std::move(connection), mechanism, host);
  }
  void open(std::shared_ptr<Connection> connection,
            std::move_only_function<void(std::optional<Condition>)> answer) override {
    if (on_open) return on_open(connection, std::move(answer));
    Container::open(std::move(connection), std::move(answer));
  }
  Service* service_for(const LinkQuery& query) override {
    last_address = query.address;
    return on_link ? this : nullptr;
  }
  void on_attach(std::shared_ptr<Link> link) override { on_link(std::move(link)); }

  std::function<void(std::shared_ptr<Link>)> on_link;
  std::function<void(std::shared_ptr<Connection>, PlainCredentials,
                     std::move_only_function<void(bool)>)>
      on_authenticate;
  std::function<std::unique_ptr<SaslExchange>(std::string_view)> on_exchange;
  std::function<void(std::shared_ptr<Connection>,
                     std::move_only_function<void(std::optional<Condition>)>)>
      on_open;
  std::string last_address;
};

// A handler that writes down what happens and does what it is told.
class TestHandler final : public LinkHandler {
 public:
  struct Message {
    std::uint32_t id = 0;
    std::uint32_t format = 0;
    bool is_settled = false;
    std::string tag{};
    std::string payload{};
  };

  void on_attached(const Attach& attach) override {
    attached = attach;
    if (then_attached) then_attached();
  }
  void on_message(const Delivery& delivery) override {
    messages.push_back({delivery.id, delivery.message_format, delivery.is_settled,
                        std::string(delivery.tag), std::string(delivery.payload)});
    if (then_message) then_message(delivery);
  }
  void on_can_send() override {
    ++can_send_calls;
    if (then_can_send) then_can_send();
  }
  void on_verdict(std::uint32_t id, const Verdict& verdict) override {
    verdicts.emplace_back(id, verdict);
  }
  bool on_drain() override {
    ++drain_calls;
    return then_drain ? then_drain() : true;
  }
  void on_detached(const Condition* why) override {
    ++detached_calls;
    if (why != nullptr) detached_why = *why;
  }

  std::optional<Attach> attached;
  std::vector<Message> messages;
  std::vector<std::pair<std::uint32_t, Verdict>> verdicts;
  int can_send_calls = 0;
  int drain_calls = 0;
  int detached_calls = 0;
  std::optional<Condition> detached_why;
  std::function<void()> then_attached;
  std::function<void(const Delivery&)> then_message;
  std::function<void()> then_can_send;
  std::function<bool()> then_drain;
};

class TestObserver final : public ClientObserver {
 public:
  void on_open(const Open& open) override { opened = open; }
  void on_closed(const Condition* why) override {
    ++closed_calls;
    if (why != nullptr) closed_why = *why;
  }

  std::optional<Open> opened;
  int closed_calls = 0;
  std::optional<Condition> closed_why;
};

// Time of its own, for tests that have none yet.
struct OwnTime {
  doppel::testing::ManualClock clock;
  doppel::testing::ManualExecutor executor{clock};
};

// A server engine and a client engine, joined by pipes that carry `chunk` bytes at a time.
class Pair {
 public:
  explicit Pair(EngineOptions server_options = {}, EngineOptions client_options = {})
      : Pair(std::make_unique<OwnTime>(), nullptr, std::move(server_options),
             std::move(client_options)) {}
  // On the executor of the test, which outlives it.
  Pair(doppel::testing::ManualExecutor& shared, EngineOptions client_options)
      : Pair(nullptr, &shared, {}, std::move(client_options)) {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() { end(); }
  // Breaks the transport and lets the engines tell it. For whoever is told and goes before the pair
  // does.
  void end() {
    for (auto* side : {&client, &server}) side->engine->on_transport_closed();
    executor.run_until_idle();
  }

 private:
  Pair(std::unique_ptr<OwnTime> own, doppel::testing::ManualExecutor* shared,
       EngineOptions server_options, EngineOptions client_options)
      : own_time_(std::move(own)),
        executor(shared != nullptr ? *shared : own_time_->executor),
        clock(executor.clock()),
        server(executor),
        client(executor) {
    server_options.container_id = "server";
    client_options.container_id = "client";
    server.engine =
        ConnectionEngine::server(server.transport, container, std::move(server_options));
    client.engine = ConnectionEngine::client(client.transport, observer, std::move(client_options));
  }
  std::unique_ptr<OwnTime> own_time_;

 public:
  // Until nothing moves any more.
  void run() {
    bool has_moved = true;
    while (has_moved) {
      has_moved = executor.run_until_idle();
      has_moved |= server.work();
      has_moved |= client.work();
      has_moved |= carry(server, client);
      has_moved |= carry(client, server);
    }
  }
  void open() {
    client.engine->start();
    run();
    check(client.engine->is_open() && server.engine->is_open(), "both ends are open");
    session = client.engine->begin_session();
    run();
  }
  // A link of the client's, attached when this returns.
  std::shared_ptr<Link> attach(LinkOptions options, std::shared_ptr<LinkHandler> handler) {
    auto link = session->attach(std::move(options), std::move(handler));
    run();
    return link;
  }

  doppel::testing::ManualExecutor& executor;
  doppel::testing::ManualClock& clock;
  TestContainer container;
  TestObserver observer;
  Endpoint server;
  Endpoint client;
  std::shared_ptr<Session> session;
  std::size_t chunk = SIZE_MAX;

 private:
  bool carry(Endpoint& from, Endpoint& to) {
    const auto bytes = from.take(chunk);
    if (bytes.empty()) return false;
    to.receive(bytes);
    return true;
  }
};

// A server engine whose peer is frames written by hand.
class RawPeer {
 public:
  struct Frame {
    std::uint16_t channel = 0;
    Performative performative;
    std::string payload;
  };

  explicit RawPeer(EngineOptions options = {})
      : RawPeer(std::make_unique<OwnTime>(), nullptr, std::move(options)) {}
  // On the executor of the test, which outlives it.
  explicit RawPeer(doppel::testing::ManualExecutor& shared) : RawPeer(nullptr, &shared, {}) {}
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() {
    server.engine->on_transport_closed();
    executor.run_until_idle();
  }

 private:
  RawPeer(std::unique_ptr<OwnTime> own, doppel::testing::ManualExecutor* shared,
          EngineOptions options)
      : own_time_(std::move(own)),
        executor(shared != nullptr ? *shared : own_time_->executor),
        clock(executor.clock()),
        server(executor) {
    options.container_id = "server";
    server.engine = ConnectionEngine::server(server.transport, container, std::move(options));
  }
  std::unique_ptr<OwnTime> own_time_;

 public:
  void bytes(std::string_view bytes) {
    server.receive(bytes);
    run();
  }
  template <class P>
  void send(std::uint16_t channel, const P& performative, std::string_view payload = {}) {
    bytes(frame(channel, performative, payload));
  }
  template <class P>
  static std::string frame(std::uint16_t channel, const P& performative,
                           std::string_view payload = {}) {
    std::string out;
    const auto start = begin_frame(out, FrameType::amqp, channel);
    append(out, performative);
    out += payload;
    end_frame(out, start);
    return out;
  }
  void run() {
    bool has_moved = true;
    while (has_moved) {
      has_moved = executor.run_until_idle();
      has_moved |= server.work();
    }
    received_ += server.take();
  }

  // AMQP header, open, and a begin on channel 0, answered.
  void open(Open open_frame = {}) {
    open_frame.container_id = "peer";
    bytes(kAmqpHeader);
    send(0, open_frame);
    Begin begin;
    begin.incoming_window = 1000;
    begin.outgoing_window = 1000;
    send(0, begin);
    frames();
  }
  static Attach attach_frame(std::string name, std::uint32_t handle, Role role,
                             std::string address) {
    Attach attach;
    attach.name = std::move(name);
    attach.handle = handle;
    attach.role = role;
    Source source;
    Target target;
    (role == Role::sender ? target.address : source.address) = std::move(address);
    attach.source = source;
    attach.target = target;
    if (role == Role::sender) attach.initial_delivery_count = 0;
    return attach;
  }
  static Transfer transfer_frame(std::uint32_t handle, std::uint32_t id) {
    Transfer transfer;
    transfer.handle = handle;
    transfer.delivery_id = id;
    transfer.delivery_tag = DeliveryTag::from("t");
    return transfer;
  }

  // AMQP frames since the last call; headers and signs of life are left out.
  std::vector<Frame> frames() {
    std::vector<Frame> list;
    run();
    std::string_view rest = received_;
    while (!rest.empty()) {
      if (rest.starts_with("AMQP")) {
        rest.remove_prefix(kProtocolHeaderBytes);
        continue;
      }
      const auto header = decode_frame_header(rest);
      check(header.has_value() && header->size <= rest.size(), "whole frames come out");
      const auto body = rest.substr(header->body_offset, header->size - header->body_offset);
      rest.remove_prefix(header->size);
      if (body.empty() || header->type == 1) continue;
      auto decoded = decode_performative(body);
      check(decoded.has_value(), "what the engine writes can be read");
      list.push_back({header->channel, std::move(decoded->performative),
                      std::string(body.substr(decoded->consumed))});
    }
    received_.clear();
    return list;
  }
  // The only frame of that kind since the last call of frames(); fails the test run without.
  template <class P>
  P expect() {
    std::optional<P> found;
    for (auto& entry : frames())
      if (auto* p = std::get_if<P>(&entry.performative)) found = std::move(*p);
    check(found.has_value(), "the frame that was expected came");
    return std::move(*found);
  }
  std::string take_bytes() {
    run();
    return std::exchange(received_, {});
  }

  doppel::testing::ManualExecutor& executor;
  doppel::testing::ManualClock& clock;
  TestContainer container;
  Endpoint server;

 private:
  std::string received_;
};

inline LinkOptions sender_to(std::string address) {
  Target target;
  target.address = std::move(address);
  return {.name = "sender", .is_sender = true, .source = Source{}, .target = target};
}

inline LinkOptions receiver_from(std::string address, std::uint32_t credit = 10) {
  Source source;
  source.address = std::move(address);
  return {.name = "receiver", .source = source, .target = Target{}, .credit = credit};
}

}  // namespace doppel::amqp::testing
