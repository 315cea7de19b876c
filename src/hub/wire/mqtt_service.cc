#include "hub/wire/mqtt_service.h"

#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "hub/wire/mqtt_device.h"

namespace doppel::hub {
namespace {

// What net/ holds: hands everything to the device, which may live longer.
class MqttSession final : public mqtt::Session {
 public:
  explicit MqttSession(std::shared_ptr<MqttDevice> device) : device_(std::move(device)) {}
  // A connection that ended while it was judged gets no on_closed; the hub must not think it lives.
  ~MqttSession() override {
    if (!is_over_) device_->on_closed(false);
  }
  MqttSession(const MqttSession&) = delete;
  MqttSession& operator=(const MqttSession&) = delete;
  void on_publish(mqtt::Publish message) override { device_->on_publish(std::move(message)); }
  void on_puback(std::uint16_t) override {}  // twin traffic goes out at QoS 0
  void on_subscribe(mqtt::Subscribe subscribe) override { device_->on_subscribe(subscribe); }
  void on_unsubscribe(mqtt::Unsubscribe unsubscribe) override {
    device_->on_unsubscribe(unsubscribe);
  }
  void on_closed(bool orderly) override {
    is_over_ = true;
    device_->on_closed(orderly);
  }

 private:
  std::shared_ptr<MqttDevice> device_;
  bool is_over_ = false;
};

}  // namespace

void MqttService::connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
                          Answer answer) {
  auto shared = std::make_shared<Answer>(std::move(answer));
  spawn(judge(std::move(connect), std::move(connection)),
        [shared](mqtt::ConnectAnswer judged) { (*shared)(std::move(judged)); });
}

mqtt::ConnectAnswer MqttService::refuse(mqtt::ConnectReturn code, const MqttUserName& name,
                                        const mqtt::PeerInfo& peer, std::string_view reason) {
  static auto& refused = metrics::counter("doppel_hub_connects_refused_total",
                                          "Refused device connections", {{"protocol", "mqtt"}});
  refused.add();
  // The client learns a number; whoever runs the server needs the reason.
  log::warn("hub.connect_refused", {{"host", name.host},
                                    {"device_id", name.device.view()},
                                    {"module_id", name.module.view()},
                                    {"peer", peer.address},
                                    {"code", static_cast<int>(code)},
                                    {"reason", reason}});
  return {.code = code, .session_present = false, .session = nullptr};
}

Task<Result<std::pair<HubName, DeviceGrant>>> MqttService::authenticate(
    MqttUserName name, std::string password, const mqtt::PeerInfo& peer) {
  const auto catalog = hubs_.catalog();
  const auto certificates =
      password.empty() ? security::presented(peer.client_certificate, peer.client_chain) : nullptr;
  Error last{.code = Code::unauthenticated, .message = "no hub has this host name"};
  // Hubs may share a host name: the one that knows the device and its proof is meant.
  for (const auto* hub : catalog->find_hubs_by_host(name.host)) {
    DeviceProof proof{.sas_token = password, .certificates = certificates};
    const HubName hub_name = hub->name;
    auto grant = co_await hubs_.authenticate(hub_name, name.device, name.module, std::move(proof));
    if (grant) co_return std::pair(hub_name, std::move(*grant));
    last = std::move(grant.error());
  }
  co_return fail(std::move(last));
}

Task<mqtt::ConnectAnswer> MqttService::judge(mqtt::Connect connect,
                                             std::shared_ptr<mqtt::Connection> connection) {
  const auto& peer = connection->peer();
  auto name = parse_user_name(connect.user_name.value_or(""));
  if (!name)
    co_return refuse(mqtt::ConnectReturn::not_authorized, {}, peer,
                     "the user name is not that of a device");
  const std::string client_id =
      name->module.empty() ? name->device.str() : name->device.str() + "/" + name->module.str();
  if (connect.client_id != client_id)
    co_return refuse(mqtt::ConnectReturn::identifier_rejected, *name, peer,
                     "the client ID differs from the user name");

  auto proven = co_await authenticate(*name, connect.password.value_or(""), peer);
  if (!proven) {
    // Unknown, disabled and badly proven look the same; only trouble of our own asks the client to
    // come back.
    const bool is_ours =
        proven.error().code == Code::unavailable || proven.error().code == Code::throttled;
    co_return refuse(
        is_ours ? mqtt::ConnectReturn::server_unavailable : mqtt::ConnectReturn::not_authorized,
        *name, peer, proven.error().message);
  }
  auto& [hub, grant] = *proven;
  if (connect.clean_session) kept_.forget(hub, grant.identity);
  const auto kept = kept_.find(hub, grant.identity);
  MqttDevice::Parts parts{.hubs = hubs_,
                          .kept = kept_,
                          .hub = hub,
                          .grant = grant,
                          .model_id = name->model_id,
                          .is_clean_session = connect.clean_session,
                          .will = std::move(connect.will),
                          .subscriptions = kept.value_or(0),
                          .connection = connection};
  auto device = std::make_shared<MqttDevice>(std::move(parts));
  const std::weak_ptr<DeviceConnection> weak = device;
  auto ticket = co_await hubs_.connect(hub, grant, name->model_id, weak, connection->executor());
  if (!ticket)
    co_return refuse(mqtt::ConnectReturn::not_authorized, *name, peer, ticket.error().message);
  device->begin(*ticket);
  if (!connect.clean_session && !kept) kept_.keep(hub, grant.identity, 0);
  mqtt::ConnectAnswer answer{.code = mqtt::ConnectReturn::accepted,
                             .session_present = kept.has_value(),
                             .session = nullptr};
  answer.session = std::make_unique<MqttSession>(std::move(device));
  answer.keep_alive_cap_s = kSilenceMax_s;
  co_return answer;
}

}  // namespace doppel::hub
