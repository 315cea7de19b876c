// The device API over MQTT (dps.md section 1.4). A connection carries one registration ID, in its
// user name, and speaks in five topics:
//
//   CONNECT    user name {idScope}/registrations/{id}/api-version={V}[&ClientVersion={agent}]
//   SUBSCRIBE  $dps/registrations/res/#
//   PUBLISH    $dps/registrations/PUT/iotdps-register/?$rid={rid}
//   PUBLISH    $dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={id}
//   answer     $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/mqtt/service.h"
#include "provisioning/wire/device_api.h"

namespace doppel::provisioning {

// C sets no keep-alive; without a packet for so long a connection is closed all the same.
inline constexpr std::uint32_t kIdleMaxS = 600;

// What a DPS user name says.
struct MqttUserName {
  std::string id_scope;
  std::string registration_id;
  std::string api_version;
};
// Nothing when it is not of the form above. Query keys compare without case; unknown ones are fine.
std::optional<MqttUserName> parse_user_name(std::string_view text);

// Accepts every well-formed user name of a known scope; the verdict on the proof is told on the
// register response, as Azure does it: a refusal here would hide the reason from every SDK.
class MqttDeviceService final : public mqtt::Service {
 public:
  // `provisioning` outlives the service, which outlives its connections.
  explicit MqttDeviceService(Provisioning& provisioning)
      : provisioning_(provisioning), api_(provisioning), random_(provisioning.random()) {}

  void connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
               Answer answer) override;

 private:
  Provisioning& provisioning_;
  DeviceApi api_;
  Random& random_;
};

}  // namespace doppel::provisioning
