// IoT Hub's door for MQTT devices: judges a CONNECT and makes its session.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hub/hubs.h"
#include "hub/wire/kept_subscriptions.h"
#include "hub/wire/mqtt_names.h"
#include "protocol/mqtt/service.h"

namespace doppel::hub {

// The hub caps what it waits for a silent client (iot-hub.md section 1.3).
inline constexpr std::uint32_t kSilenceMax_s = 1767;

// Any thread; outlives every connection it accepted.
class MqttService final : public mqtt::Service {
 public:
  explicit MqttService(HubService& hubs) : hubs_(hubs) {}

  void connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
               Answer answer) override;

 private:
  Task<mqtt::ConnectAnswer> judge(mqtt::Connect connect,
                                  std::shared_ptr<mqtt::Connection> connection);
  Task<Result<std::pair<HubName, DeviceGrant>>> authenticate(MqttUserName name,
                                                             std::string password,
                                                             const mqtt::PeerInfo& peer);
  static mqtt::ConnectAnswer refuse(mqtt::ConnectReturn code, const MqttUserName& name,
                                    const mqtt::PeerInfo& peer, std::string_view reason);

  HubService& hubs_;
  KeptSubscriptions kept_;
};

}  // namespace doppel::hub
