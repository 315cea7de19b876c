// One MQTT connection: packets in and out of a stream on one side, a service's session on the
// other. It keeps the protocol's rules that need no knowledge of the service: CONNECT first and in
// time, keep-alive, packet ids, QoS 2 refused, bounded work in flight.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/stream.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/service.h"

namespace doppel::net {

struct MqttLimits {
  // From the open stream to a whole CONNECT.
  Duration connect = std::chrono::seconds(10);
  // For the service to judge it.
  Duration verdict = std::chrono::seconds(30);
  // Publishes of a client that are not acknowledged yet; above either the socket is not read.
  std::size_t in_flight_max = 512;
  std::size_t in_flight_bytes_max = 1024 * 1024;
  std::size_t packet_bytes_max = mqtt::kPacketBytesMax;
};

class MqttConnection final : public StreamReceiver,
                             public mqtt::Connection,
                             public std::enable_shared_from_this<MqttConnection> {
 public:
  // `services` and `limits` outlive the connection. Set it as the stream's receiver.
  MqttConnection(std::shared_ptr<Stream> stream, const mqtt::ServiceTable& services,
                 const MqttLimits& limits);
  ~MqttConnection() override;

  void on_open() override;
  std::size_t on_data(std::span<char> bytes) override;
  void on_end() override;
  void on_quiet() override;
  void on_stop() override;
  void on_closed(std::string_view reason) override;

  std::uint16_t publish(mqtt::Publish message) override;
  void puback(std::uint16_t packet_id) override;
  void suback(mqtt::Suback suback) override;
  void unsuback(std::uint16_t packet_id) override;
  void close(std::string_view reason) override;
  Executor& executor() override { return stream_->loop(); }
  const PeerInfo& peer() const override { return stream_->peer(); }

 private:
  enum class State : std::uint8_t { waiting_connect, judging, open, closed };

  void handle(mqtt::PacketView&& packet);
  void handle_connect(mqtt::Connect&& connect);
  void on_answer(mqtt::ConnectAnswer answer);
  void accept(mqtt::ConnectAnswer answer);
  void refuse(mqtt::ConnectReturn code, std::string_view reason);
  void handle_publish(const mqtt::PublishView& publish);
  void handle_puback(std::uint16_t packet_id);
  bool is_full() const;
  std::uint16_t next_packet_id();
  template <class Packet>
  void write(const Packet& packet);

  std::shared_ptr<Stream> stream_;
  const mqtt::ServiceTable& services_;
  const MqttLimits& limits_;
  mqtt::PacketReader reader_;
  std::unique_ptr<mqtt::Session> session_;
  std::vector<std::uint16_t> unacked_;    // ids of our publishes, oldest first
  std::vector<std::uint32_t> in_flight_;  // sizes of the client's publishes, from first_ on
  std::size_t in_flight_first_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::uint16_t last_packet_id_ = 0;
  std::uint16_t keep_alive_s_ = 0;
  State state_ = State::waiting_connect;
  bool is_orderly_ = false;
  bool is_stopping_ = false;
  bool is_paused_ = false;
  std::string client_id_;
};

}  // namespace doppel::net
