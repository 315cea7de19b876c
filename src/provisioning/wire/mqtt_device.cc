#include "provisioning/wire/mqtt_device.h"

#include "base/encoding.h"
#include "base/log.h"
#include "errors/dps.h"
#include "protocol/mqtt/request_topic.h"
#include "provisioning/wire/errors.h"
#include "provisioning/wire/proof.h"

namespace doppel::provisioning {
namespace {

using mqtt::ConnectReturn;

// What a device asks for.
struct Request {
  std::string rid;
  std::optional<std::string> operation_id;  // of a poll; a registration has none
};

// Nothing when the topic is none of DPS.
std::optional<Request> read_request(std::string_view topic) {
  auto parsed = mqtt::parse_request_topic(topic);
  if (!parsed) return std::nullopt;
  if (auto* wanted = std::get_if<mqtt::DpsRegister>(&*parsed))
    return Request{.rid = std::move(wanted->rid), .operation_id = std::nullopt};
  if (auto* poll = std::get_if<mqtt::DpsPoll>(&*parsed))
    return Request{.rid = std::move(poll->rid), .operation_id = std::move(poll->operation_id)};
  return std::nullopt;
}

// What a connection's session and its requests under way share. On the connection's executor only.
struct State {
  std::shared_ptr<mqtt::Connection> connection;
  DeviceApi* api = nullptr;
  Random* random = nullptr;
  DeviceCall call;  // without tracking ID, which every request has its own of
  std::optional<std::uint8_t> response_qos;  // nothing: not subscribed
  std::size_t in_flight = 0;
  bool is_proven = false;   // a request was answered with something else than 401
  bool is_refused = false;  // one was answered with 401; there is no second
  bool is_closed = false;
  Executor::TimerId timer = 0;

  void close(std::string_view reason) {
    if (is_closed) return;
    log::info("provisioning.connection_closed",
              {{"registration_id", call.id.view()}, {"transport", "mqtt"}, {"reason", reason}});
    connection->close(reason);
  }
};

void stop_timer(State& state) {
  if (state.timer != 0) state.connection->executor().cancel(state.timer);
  state.timer = 0;
}

void start_timer(const std::shared_ptr<State>& state) {
  stop_timer(*state);
  state->timer =
      state->connection->executor().post_after(kUnprovenLife, [weak = std::weak_ptr(state)] {
        if (const auto alive = weak.lock(); alive && !alive->is_proven && alive->in_flight == 0) {
          alive->timer = 0;
          alive->close("no good registration in time");
        }
      });
}

void respond(const std::shared_ptr<State>& state, const Request& request,
             const DeviceAnswer& answer) {
  --state->in_flight;
  if (state->is_closed) return;
  if (answer.status == 401) {
    state->is_refused = true;
    start_timer(state);
  } else if (answer.status == 429) {
    if (!state->is_proven) start_timer(state);  // the proof was not looked at; it may ask again
  } else {
    state->is_proven = true;
    stop_timer(*state);
  }
  if (!state->response_qos) return;  // nobody listens
  mqtt::Publish publish;
  publish.qos = *state->response_qos;
  publish.topic = mqtt::dps_response_topic(answer.status, request.rid, answer.retry_after_s);
  publish.payload = answer.body;
  state->connection->publish(std::move(publish));
}

Task<DeviceAnswer> ask(std::shared_ptr<State> state, Request request, std::string body) {
  DeviceCall call = state->call;
  call.tracking_id = state->random->uuid();
  if (!request.operation_id) {
    co_return co_await state->api->register_device(std::move(call), std::move(body));
  }
  // The body of a poll is noise, and every SDK makes a different one.
  co_return co_await state->api->poll(std::move(call), *std::move(request.operation_id));
}

class DeviceSession final : public mqtt::Session {
 public:
  explicit DeviceSession(std::shared_ptr<State> state) : state_(std::move(state)) {
    start_timer(state_);
  }

  void on_publish(mqtt::Publish message) override {
    // There is no error topic: what cannot be answered ends the connection.
    auto request = read_request(message.topic);
    if (!request) return state_->close("a message to an unknown topic");
    if (message.payload.size() > kMessageSizeMax) return state_->close("a message is too large");
    if (state_->is_refused || (!state_->is_proven && state_->in_flight > 0)) {
      return state_->close("a second request without proof");
    }
    // Before the answer, always: .NET is a strict state machine. It acknowledges a request, not
    // data; what must be durable is told in the answer.
    if (message.qos > 0) state_->connection->puback(message.packet_id);
    ++state_->in_flight;
    if (state_->in_flight > kRequestsInFlightMax) {
      DeviceCall call = state_->call;
      call.tracking_id = state_->random->uuid();
      const Error busy =
          fail(errors::dps::kThrottled, "too many requests at once on one connection").error();
      return respond(state_, *request, state_->api->refuse(call, busy));
    }
    auto task = ask(state_, *request, std::move(message.payload));
    spawn(std::move(task), [state = state_, request = *std::move(request)](
                               const DeviceAnswer& answer) { respond(state, request, answer); });
  }

  void on_puback(std::uint16_t) override {}

  void on_subscribe(mqtt::Subscribe subscribe) override {
    mqtt::Suback suback{.packet_id = subscribe.packet_id, .codes = {}};
    for (const auto& filter : subscribe.filters) {
      if (filter.topic != mqtt::kDpsResponseFilter) {
        suback.codes.push_back(mqtt::kSubscribeFailure);
        continue;
      }
      state_->response_qos = std::min<std::uint8_t>(filter.qos, 1);
      suback.codes.push_back(*state_->response_qos);
    }
    state_->connection->suback(std::move(suback));
  }

  void on_unsubscribe(mqtt::Unsubscribe unsubscribe) override {
    for (const auto& topic : unsubscribe.topics) {
      if (topic == mqtt::kDpsResponseFilter) state_->response_qos.reset();
    }
    state_->connection->unsuback(unsubscribe.packet_id);
  }

  void on_closed(bool) override {
    state_->is_closed = true;
    stop_timer(*state_);
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

void MqttDeviceService::connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
                                Answer answer) {
  const auto refuse = [&](ConnectReturn code, std::string_view reason) {
    log::warn("provisioning.connect_refused", {{"tracking_id", random_.uuid()},
                                               {"user_name", connect.user_name.value_or("")},
                                               {"peer", connection->peer().address},
                                               {"code", static_cast<int>(code)},
                                               {"reason", reason}});
    mqtt::ConnectAnswer refused;
    refused.code = code;
    answer(std::move(refused));
  };
  if (connect.protocol_name != "MQTT" || connect.protocol_level != 4) {
    return refuse(ConnectReturn::unacceptable_protocol_version, "not MQTT 3.1.1");
  }
  const auto name = parse_user_name(connect.user_name.value_or(""));
  if (!name) return refuse(ConnectReturn::not_authorized, "the user name cannot be read");
  auto instance = provisioning_.find_by_scope(name->id_scope);
  if (!instance) return refuse(ConnectReturn::server_unavailable, "unknown ID scope");
  if (!equal_ignoring_case(connect.client_id, name->registration_id)) {
    return refuse(ConnectReturn::identifier_rejected,
                  "client ID and registration ID of the user name differ");
  }

  auto state = std::make_shared<State>();
  state->call.instance = std::move(instance);
  state->call.id = RegistrationId(name->registration_id);
  state->call.proof = proof_of(&connection->peer(), connect.password.value_or(""));
  state->call.api_version = name->api_version;
  state->call.transport = "mqtt";
  state->call.peer = connection->peer().address;
  state->connection = std::move(connection);
  state->api = &api_;
  state->random = &random_;

  mqtt::ConnectAnswer accepted;
  accepted.code = ConnectReturn::accepted;
  accepted.session = std::make_unique<DeviceSession>(std::move(state));
  accepted.keep_alive_cap_s = kIdleMaxS;
  answer(std::move(accepted));
}

}  // namespace doppel::provisioning
