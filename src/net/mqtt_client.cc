#include "net/mqtt_client.h"

#include <algorithm>
#include <utility>

#include "net/dial.h"
#include "protocol/mqtt/packet_writer.h"

namespace doppel::net {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

// Handshakes end with the client's own time limit; what follows is the peer's to keep.
const StreamLimits& stream_limits() {
  static const StreamLimits limits{.handshake = std::chrono::minutes(5)};
  return limits;
}

}  // namespace

std::shared_ptr<MqttClient> MqttClient::create(Loop& loop, MqttClientOptions options,
                                               Handlers handlers) {
  return std::make_shared<MqttClient>(loop, std::move(options), std::move(handlers));
}

MqttClient::MqttClient(Loop& loop, MqttClientOptions options, Handlers handlers)
    : loop_(loop), options_(std::move(options)), handlers_(std::move(handlers)) {
  options_.connect.protocol_name = "MQTT";
  options_.connect.protocol_level = 4;
}

MqttClient::~MqttClient() = default;

template <class Packet>
void MqttClient::write(const Packet& packet) {
  mqtt::append(stream_->out(), packet);
  stream_->send();
}

Task<Result<mqtt::Connack>> MqttClient::connect() {
  auto self = shared_from_this();
  std::move_only_function<void(Connected)> begin = [self](Connected done) {
    self->loop_.post([self, done = std::move(done)]() mutable { self->start(std::move(done)); });
  };
  co_return co_await from_callback<Result<mqtt::Connack>>(std::move(begin));
}

void MqttClient::start(Connected done) {
  if (state_ != State::fresh) return done(fail(Code::invalid_argument, "connected once already"));
  state_ = State::connecting;
  connected_ = std::move(done);
  connect_timer_ = loop_.post_after(options_.connect_timeout, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ != State::connecting) return;
    self->answer_connect(fail(Code::timeout, "no CONNACK within the time limit"));
    self->state_ = State::closed;
    if (self->stream_) self->stream_->abort("no CONNACK within the time limit");
  });
  dial_next("no address to connect to");
}

void MqttClient::dial_next(std::string_view reason) {
  std::string last(reason);
  while (next_address_ < options_.addresses.size()) {
    const auto& address = options_.addresses[next_address_++];
    const auto fd = start_connect(address, options_.from);
    if (!fd) {
      last = fd.error().message;
      continue;
    }
    self_ = shared_from_this();
    stream_ = std::make_shared<SocketStream>(loop_, *fd, address, stream_limits(),
                                             static_cast<StreamOwner&>(*this));
    stream_->set_receiver(shared_from_this());
    stream_->start_client(options_.tls.get(), options_.host);
    return;
  }
  state_ = State::closed;
  answer_connect(fail(Code::unavailable, std::move(last)));
}

void MqttClient::answer_connect(Result<mqtt::Connack> answer) {
  loop_.cancel(std::exchange(connect_timer_, 0));
  if (auto done = std::exchange(connected_, nullptr)) done(std::move(answer));
}

void MqttClient::on_open() {
  is_stream_up_ = true;
  write(options_.connect);
}

std::size_t MqttClient::on_data(std::span<char> input) {
  const std::string_view bytes(input.data(), input.size());
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != State::closed) {
    auto decoded = reader_.next(bytes.substr(taken));
    if (decoded.needs_more()) break;
    if (decoded.is_malformed()) {
      stream_->abort(decoded.reason());
      break;
    }
    taken += decoded->consumed;
    handle(decoded->packet);
  }
  return taken;
}

void MqttClient::handle(mqtt::PacketView& packet) {
  if (state_ == State::connecting) {
    const auto* connack = std::get_if<mqtt::Connack>(&packet);
    if (connack == nullptr) return stream_->abort("the first packet is not CONNACK");
    if (connack->code != mqtt::ConnectReturn::accepted) {
      state_ = State::closed;
      answer_connect(*connack);
      return stream_->close("refused");
    }
    state_ = State::open;
    // Ping at three quarters of the interval: in time even when the wheel is a tick late.
    stream_->limit_quiet(std::chrono::milliseconds(options_.connect.keep_alive_s * 750));
    return answer_connect(*connack);
  }
  std::visit(
      Overloaded{
          [&](mqtt::PublishView& message) { handle_message(message); },
          [&](mqtt::Puback& puback) {
            if (in_flight_ > 0) --in_flight_;
            finish(puback.packet_id, {});
            if (handlers_.on_puback) handlers_.on_puback(puback.packet_id);
          },
          [&](mqtt::Suback& suback) {
            const bool is_refused = std::find(suback.codes.begin(), suback.codes.end(),
                                              mqtt::kSubscribeFailure) != suback.codes.end();
            finish(suback.packet_id,
                   is_refused ? Status(fail(Code::forbidden, "a filter was refused")) : Status());
          },
          [&](mqtt::Unsuback& unsuback) { finish(unsuback.packet_id, {}); },
          [&](mqtt::Pingresp&) { is_ping_due_ = false; },
          [&](auto&) { stream_->abort("a packet that servers do not send"); },
      },
      packet);
}

void MqttClient::handle_message(const mqtt::PublishView& message) {
  if (message.qos > 1) return stream_->abort("PUBLISH with QoS 2");
  if (handlers_.on_message) handlers_.on_message(message);
  if (message.qos == 1 && state_ == State::open) write(mqtt::Puback{message.packet_id});
}

void MqttClient::finish(std::uint16_t packet_id, const Status& status) {
  const auto at = waiting_.find(packet_id);
  if (at == waiting_.end()) return;
  auto done = std::move(at->second);
  waiting_.erase(at);
  done(status);
}

std::uint16_t MqttClient::next_packet_id() {
  do {
    if (++last_packet_id_ == 0) ++last_packet_id_;
  } while (waiting_.contains(last_packet_id_));
  return last_packet_id_;
}

std::optional<std::uint16_t> MqttClient::publish_now(mqtt::Publish message) {
  if (state_ != State::open) return std::nullopt;
  message.packet_id = 0;
  if (message.qos > 0) {
    if (in_flight_ >= kClientInFlightMax) return std::nullopt;
    ++in_flight_;
    message.packet_id = next_packet_id();
  }
  write(message);
  stream_->touch();
  return message.packet_id;
}

void MqttClient::publish_then(mqtt::Publish message, Done done) {
  const auto qos = message.qos;
  if (state_ != State::open) return done(fail(Code::unavailable, "the connection is closed"));
  const auto id = publish_now(std::move(message));
  if (!id) return done(fail(Code::throttled, "too many messages wait for their acknowledgement"));
  if (qos == 0) return done({});
  waiting_.emplace(*id, std::move(done));
}

void MqttClient::subscribe_then(std::vector<mqtt::Subscribe::Filter> filters, Done done) {
  if (state_ != State::open) return done(fail(Code::unavailable, "the connection is closed"));
  const auto id = next_packet_id();
  waiting_.emplace(id, std::move(done));
  write(mqtt::Subscribe{.packet_id = id, .filters = std::move(filters)});
  stream_->touch();
}

Task<Status> MqttClient::publish(mqtt::Publish message) {
  auto self = shared_from_this();
  std::move_only_function<void(Done)> begin = [&](Done done) {
    self->loop_.post([self, message = std::move(message), done = std::move(done)]() mutable {
      self->publish_then(std::move(message), std::move(done));
    });
  };
  co_return co_await from_callback<Status>(std::move(begin));
}

Task<Status> MqttClient::subscribe(std::vector<mqtt::Subscribe::Filter> filters) {
  auto self = shared_from_this();
  std::move_only_function<void(Done)> begin = [&](Done done) {
    self->loop_.post([self, filters = std::move(filters), done = std::move(done)]() mutable {
      self->subscribe_then(std::move(filters), std::move(done));
    });
  };
  co_return co_await from_callback<Status>(std::move(begin));
}

void MqttClient::disconnect() {
  loop_.post([self = shared_from_this()] {
    if (self->state_ == State::open) self->write(mqtt::Disconnect{});
    if (self->stream_) self->stream_->close("disconnected");
  });
}

void MqttClient::abort() {
  loop_.post([self = shared_from_this()] {
    if (self->stream_) self->stream_->abort("aborted");
  });
}

void MqttClient::on_end() { stream_->close("the server closed the connection"); }

void MqttClient::on_quiet() {
  if (std::exchange(is_ping_due_, true))
    return stream_->abort("no answer to PINGREQ within the keep-alive time");
  write(mqtt::Pingreq{});
  stream_->limit_quiet(std::chrono::milliseconds(options_.connect.keep_alive_s * 750));
}

void MqttClient::on_closed(std::string_view reason) {
  // Before TLS was up the next address may do better.
  if (state_ == State::connecting && !is_stream_up_) return dial_next(reason);
  const auto was = std::exchange(state_, State::closed);
  if (was == State::connecting)
    return answer_connect(fail(Code::unavailable, "closed before CONNACK: " + std::string(reason)));
  for (auto& [id, done] : std::exchange(waiting_, {}))
    done(fail(Code::unavailable, "the connection ended first: " + std::string(reason)));
  in_flight_ = 0;
  if (was == State::open && handlers_.on_closed) handlers_.on_closed(reason);
}

void MqttClient::on_gone(SocketStream& stream) {
  if (stream_.get() != &stream) return;  // the next address is being tried already
  // Both are further up the stack.
  loop_.post([self = std::move(self_), gone = std::move(stream_)] {});
}

}  // namespace doppel::net
