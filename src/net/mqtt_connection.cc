#include "net/mqtt_connection.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "protocol/mqtt/packet_writer.h"

namespace doppel::net {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

metrics::Gauge& open_connections() {
  static metrics::Gauge& gauge =
      metrics::gauge("doppel_mqtt_connections", "MQTT connections that a service has accepted");
  return gauge;
}

metrics::Counter& refused_connects() {
  static metrics::Counter& counter = metrics::counter("doppel_mqtt_connects_refused_total",
                                                      "CONNECT packets answered with a refusal");
  return counter;
}

}  // namespace

MqttConnection::MqttConnection(std::shared_ptr<Stream> stream, const mqtt::ServiceTable& services,
                               const MqttLimits& limits)
    : stream_(std::move(stream)),
      services_(services),
      limits_(limits),
      reader_(mqtt::Sender::client, mqtt::kConnectBytesMax) {}

MqttConnection::~MqttConnection() = default;

void MqttConnection::on_open() { stream_->limit_quiet(limits_.connect); }

template <class Packet>
void MqttConnection::write(const Packet& packet) {
  mqtt::append(stream_->out(), packet);
  stream_->send();
}

std::size_t MqttConnection::on_data(std::span<char> input) {
  const std::string_view bytes(input.data(), input.size());
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != State::closed) {
    if (state_ == State::judging || is_stopping_ || is_full()) {
      is_paused_ = true;
      stream_->pause();
      break;
    }
    auto decoded = reader_.next(bytes.substr(taken));
    if (decoded.needs_more()) break;
    if (decoded.is_malformed()) {
      close(decoded.reason());
      break;
    }
    taken += decoded->consumed;
    if (state_ == State::open) stream_->touch();
    handle(std::move(decoded->packet));
  }
  return taken;
}

void MqttConnection::handle(mqtt::PacketView&& packet) {
  if (state_ == State::waiting_connect) {
    auto* connect = std::get_if<mqtt::Connect>(&packet);
    if (connect == nullptr) return close("the first packet is not CONNECT [MQTT-3.1.0-1]");
    return handle_connect(std::move(*connect));
  }
  std::visit(
      Overloaded{
          [&](mqtt::PublishView& publish) { handle_publish(publish); },
          [&](mqtt::Puback& puback) { handle_puback(puback.packet_id); },
          [&](mqtt::Subscribe& subscribe) { session_->on_subscribe(std::move(subscribe)); },
          [&](mqtt::Unsubscribe& unsubscribe) { session_->on_unsubscribe(std::move(unsubscribe)); },
          [&](mqtt::Pingreq&) { write(mqtt::Pingresp{}); },
          [&](mqtt::Disconnect&) {
            is_orderly_ = true;
            close("the client disconnected");
          },
          [&](mqtt::Connect&) { close("a second CONNECT [MQTT-3.1.0-2]"); },
          [&](auto&) { close("a packet that belongs to QoS 2 or to servers"); },
      },
      packet);
}

void MqttConnection::handle_connect(mqtt::Connect&& connect) {
  if (connect.protocol_name != "MQTT" || connect.protocol_level != 4)
    return refuse(mqtt::ConnectReturn::unacceptable_protocol_version, "not MQTT 3.1.1");
  client_id_ = connect.client_id;
  keep_alive_s_ = connect.keep_alive_s;
  mqtt::Service* const service = services_(connect);
  if (service == nullptr)
    return refuse(mqtt::ConnectReturn::not_authorized, "no service has a user name like that");
  state_ = State::judging;
  stream_->limit_quiet(limits_.verdict);
  auto self = shared_from_this();
  service->connect(std::move(connect), self, [self](mqtt::ConnectAnswer answer) mutable {
    Loop& loop = self->stream_->loop();
    if (loop.is_current()) return self->on_answer(std::move(answer));
    loop.post([self, late = std::move(answer)]() mutable { self->on_answer(std::move(late)); });
  });
}

void MqttConnection::on_answer(mqtt::ConnectAnswer answer) {
  if (state_ != State::judging) {
    // The client left before the verdict: whoever was let in learns that it is over.
    if (answer.session) answer.session->on_closed(false);
    return;
  }
  if (answer.code != mqtt::ConnectReturn::accepted)
    return refuse(answer.code, "refused by the service");
  check(answer.session != nullptr, "an accepted connection has a session");
  accept(std::move(answer));
}

void MqttConnection::accept(mqtt::ConnectAnswer answer) {
  session_ = std::move(answer.session);
  state_ = State::open;
  reader_.set_packet_bytes_max(limits_.packet_bytes_max);
  open_connections().add(1);

  // [MQTT-3.1.2-24]: one and a half times the client's interval.
  auto limit = std::chrono::milliseconds(keep_alive_s_ * 1500);
  const auto cap = std::chrono::milliseconds(std::uint64_t{answer.keep_alive_cap_s} * 1000);
  if (cap.count() > 0 && (limit.count() == 0 || cap < limit)) limit = cap;
  stream_->limit_quiet(limit);

  write(mqtt::Connack{.session_present = answer.session_present});
  if (std::exchange(is_paused_, false)) stream_->resume();
}

void MqttConnection::refuse(mqtt::ConnectReturn code, std::string_view reason) {
  refused_connects().add();
  write(mqtt::Connack{.code = code});
  close(reason);
}

bool MqttConnection::is_full() const {
  return in_flight_.size() - in_flight_first_ >= limits_.in_flight_max ||
         in_flight_bytes_ >= limits_.in_flight_bytes_max;
}

void MqttConnection::handle_publish(const mqtt::PublishView& publish) {
  // None of the services has QoS 2; IoT Hub closes the connection too.
  if (publish.qos > 1) return close("PUBLISH with QoS 2");
  if (publish.qos == 1) {
    const auto size = publish.topic.size() + publish.payload.size();
    in_flight_.push_back(static_cast<std::uint32_t>(size));
    in_flight_bytes_ += size;
  }
  session_->on_publish(publish.to_owned());
}

void MqttConnection::handle_puback(std::uint16_t packet_id) {
  // Nearly always the oldest. An id that is not ours is an echo of the connection before; harmless.
  const auto at = std::find(unacked_.begin(), unacked_.end(), packet_id);
  if (at == unacked_.end()) return;
  unacked_.erase(at);
  if (unacked_.empty() && unacked_.capacity() > 64) unacked_ = {};
  session_->on_puback(packet_id);
}

std::uint16_t MqttConnection::next_packet_id() {
  do {
    if (++last_packet_id_ == 0) ++last_packet_id_;
  } while (std::find(unacked_.begin(), unacked_.end(), last_packet_id_) != unacked_.end());
  return last_packet_id_;
}

std::uint16_t MqttConnection::publish(mqtt::Publish message) {
  if (state_ != State::open) return 0;
  message.packet_id = 0;
  if (message.qos > 0) {
    if (unacked_.size() >= mqtt::kUnackedMax) {
      stream_->abort("too many messages that the client has not acknowledged");
      return 0;
    }
    message.packet_id = next_packet_id();
    unacked_.push_back(message.packet_id);
  }
  write(message);
  const auto id = message.packet_id;
  if (stream_->backlog() > mqtt::kOutboxBytesMax) stream_->abort("the client does not read");
  return id;
}

void MqttConnection::puback(std::uint16_t packet_id) {
  if (state_ != State::open) return;
  write(mqtt::Puback{packet_id});
  stream_->touch();  // while we were slow we may not have read its pings
  if (in_flight_first_ < in_flight_.size()) in_flight_bytes_ -= in_flight_[in_flight_first_++];
  if (in_flight_first_ == in_flight_.size()) {
    in_flight_first_ = 0;
    in_flight_bytes_ = 0;
    if (in_flight_.capacity() > 64)
      in_flight_ = {};
    else
      in_flight_.clear();
    if (is_stopping_) return close("the server stops");
  } else if (in_flight_first_ > limits_.in_flight_max) {
    in_flight_.erase(in_flight_.begin(),
                     in_flight_.begin() + static_cast<std::ptrdiff_t>(in_flight_first_));
    in_flight_first_ = 0;
  }
  if (is_paused_ && !is_stopping_ && !is_full()) {
    is_paused_ = false;
    stream_->resume();
  }
}

void MqttConnection::suback(mqtt::Suback suback) {
  if (state_ == State::open) write(suback);
}

void MqttConnection::unsuback(std::uint16_t packet_id) {
  if (state_ == State::open) write(mqtt::Unsuback{packet_id});
}

void MqttConnection::close(std::string_view reason) {
  if (state_ != State::closed) stream_->close(reason);
}

void MqttConnection::on_end() { close("the client closed the connection"); }

void MqttConnection::on_quiet() {
  switch (state_) {
    case State::waiting_connect:
      return close("no CONNECT within the time limit");
    case State::judging:
      return refuse(mqtt::ConnectReturn::server_unavailable, "no verdict within the time limit");
    case State::open:
      return close("keep-alive exceeded [MQTT-3.1.2-24]");
    case State::closed:
      return;
  }
}

void MqttConnection::on_stop() {
  is_stopping_ = true;
  if (state_ == State::open && in_flight_first_ < in_flight_.size()) return;  // puback() closes
  close("the server stops");
}

void MqttConnection::on_closed(std::string_view reason) {
  const auto was = std::exchange(state_, State::closed);
  log::info("mqtt.closed",
            {{"peer", peer().address}, {"client_id", client_id_}, {"reason", reason}});
  if (was == State::open) open_connections().add(-1);
  if (!session_) return;
  // Later: the session itself may be what closed the connection, further up the stack.
  stream_->loop().post([self = shared_from_this()] {
    self->session_->on_closed(self->is_orderly_);
    self->session_.reset();
  });
}

}  // namespace doppel::net
