// An asynchronous MQTT 3.1.1 client over TLS for fleets of simulated devices, tests and benchmarks:
// thousands on a loop. QoS 0 and 1.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "net/loop.h"
#include "net/socket_stream.h"
#include "net/stream.h"
#include "net/tls.h"
#include "protocol/mqtt/packet.h"
#include "protocol/mqtt/packet_reader.h"

namespace doppel::net {

struct MqttClientOptions {
  std::string host;                         // for the certificate's name and SNI
  std::vector<SocketAddress> addresses;     // tried in turn; Resolver::find makes them
  std::optional<SocketAddress> from{};      // local address, for fleets beyond 28,000 connections
  std::shared_ptr<const TlsContext> tls{};  // shared by a fleet; null: plain TCP
  mqtt::Connect connect{};                  // identifier, user name, password, keep-alive, will
  Duration connect_timeout = std::chrono::seconds(15);  // until CONNACK, over all addresses
};

// Publishes of ours that are not acknowledged; more fail with `throttled`.
inline constexpr std::size_t kClientInFlightMax = 4096;

// Lives until it is closed, whoever still holds it: end it with disconnect() or abort(). One
// connection in its life; connect again with a new client. connect(), publish() and subscribe()
// return tasks that may be awaited on any executor; the *_now methods and handlers are for the
// client's loop only, cost no coroutine, and are what a load generator uses.
class MqttClient final : public StreamReceiver,
                         public StreamOwner,
                         public std::enable_shared_from_this<MqttClient> {
 public:
  // Called on the loop. Empty ones are not called.
  struct Handlers {
    // QoS 1 is acknowledged after the handler returns.
    std::function<void(const mqtt::PublishView&)> on_message;
    std::function<void(std::uint16_t packet_id)> on_puback;
    // Once, for every client whose connect() was accepted.
    std::function<void(std::string_view reason)> on_closed;
  };

  static std::shared_ptr<MqttClient> create(Loop& loop, MqttClientOptions options,
                                            Handlers handlers = {});
  MqttClient(Loop& loop, MqttClientOptions options, Handlers handlers);
  ~MqttClient() override;

  // The CONNACK, whatever its code. Errors: unavailable, timeout, bad_gateway.
  Task<Result<mqtt::Connack>> connect();
  // Done when sent (QoS 0) or acknowledged (QoS 1). Errors: unavailable, throttled.
  Task<Status> publish(mqtt::Publish message);
  // Errors: unavailable; forbidden when a filter was refused.
  Task<Status> subscribe(std::vector<mqtt::Subscribe::Filter> filters);
  // Sends DISCONNECT and closes. Any thread.
  void disconnect();
  // Drops the connection without a word. Any thread.
  void abort();

  // On the loop. The packet id; 0 for QoS 0, or nothing when it cannot be sent now.
  std::optional<std::uint16_t> publish_now(mqtt::Publish message);
  bool is_open() const { return state_ == State::open; }
  std::size_t in_flight() const { return in_flight_; }
  Loop& loop() { return loop_; }

  // StreamReceiver and StreamOwner.
  void on_open() override;
  std::size_t on_data(std::span<char> bytes) override;
  void on_end() override;
  void on_quiet() override;
  void on_stop() override {}
  void on_closed(std::string_view reason) override;
  void on_gone(SocketStream& stream) override;

 private:
  enum class State : std::uint8_t { fresh, connecting, open, closed };
  using Connected = std::move_only_function<void(Result<mqtt::Connack>)>;
  using Done = std::move_only_function<void(Status)>;

  void start(Connected done);
  void dial_next(std::string_view reason);
  void answer_connect(Result<mqtt::Connack> answer);
  void handle(mqtt::PacketView& packet);
  void handle_message(const mqtt::PublishView& message);
  void finish(std::uint16_t packet_id, const Status& status);
  std::uint16_t next_packet_id();
  void publish_then(mqtt::Publish message, Done done);
  void subscribe_then(std::vector<mqtt::Subscribe::Filter> filters, Done done);
  template <class Packet>
  void write(const Packet& packet);

  Loop& loop_;
  MqttClientOptions options_;
  Handlers handlers_;
  std::shared_ptr<MqttClient> self_;  // while a stream may call
  std::shared_ptr<SocketStream> stream_;
  mqtt::PacketReader reader_{mqtt::Sender::server};
  Connected connected_;
  Executor::TimerId connect_timer_ = 0;
  std::unordered_map<std::uint16_t, Done> waiting_;  // by packet id
  std::size_t next_address_ = 0;
  std::size_t in_flight_ = 0;
  std::uint16_t last_packet_id_ = 0;
  State state_ = State::fresh;
  bool is_stream_up_ = false;
  bool is_ping_due_ = false;  // a PINGRESP is
};

}  // namespace doppel::net
