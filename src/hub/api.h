// IoT Hub as other folders see it: identities, device twins, messages and the events about them.
// One Hubs object serves every hub of the server; `hub` is always the resource's name, never a host
// name.
//
// Two feeds leave a hub. User routes copy messages and events to the built-in endpoint (log
// "events") and to event hubs, as Azure does. Independent of them, every hub has an internal feed,
// log "activity" in space "hub:<name>", of all telemetry and lifecycle events, one device always in
// one partition: built-in functions read that one, so telemetry and deletion of a device reach them
// in order whatever routes exist.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "json/value.h"
#include "resources/api.h"
#include "security/certificate.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::hub {

inline constexpr std::uint32_t kActivityPartitions = 4;
inline constexpr std::size_t kMessageSizeMax =
    256 * 1024;  // body and properties; iot-hub.md section 1.4
inline constexpr std::size_t kDeviceIdSizeMax = 128;

enum class DeviceStatus : std::uint8_t { enabled, disabled };
enum class AuthenticationType : std::uint8_t { sas, self_signed, certificate_authority, none };

struct Authentication {
  AuthenticationType type = AuthenticationType::sas;
  std::string primary_key{};  // base64; empty: generate (create) or keep (update)
  std::string secondary_key{};
  std::string primary_thumbprint{};  // hex, SHA-1 or SHA-256
  std::string secondary_thumbprint{};
};

// An identity: a device's, or a module's when `module_id` is set (iot-hub.md section 6).
struct Identity {
  DeviceId device_id{};
  ModuleId module_id{};
  GenerationId generation{};
  Etag etag{};  // without quotes
  DeviceStatus status = DeviceStatus::enabled;
  std::string status_reason{};
  TimePoint status_updated{};  // epoch: never
  Authentication authentication{};
  bool iot_edge = false;
  std::string device_scope{};
};

// A device twin's own content (identity fields are joined in when it is shown). `desired` and
// `reported` are without $metadata and $version.
struct DeviceTwin {
  json::Object tags{};
  json::Object desired{};
  json::Object reported{};
  json::Object desired_metadata{};
  json::Object reported_metadata{};
  std::int64_t desired_version = 1;
  std::int64_t reported_version = 1;
  std::int64_t version = 2;
  std::uint64_t etag = 1;  // shown as base64 of 8 bytes
  std::string model_id{};
};

struct InitialTwin {
  json::Object tags{};
  json::Object desired{};
  json::Object reported{};  // of a device that comes from another hub
};

// What provisioning wants a hub to hold for one device.
struct EnsureIdentity {
  DeviceId device_id{};
  Authentication authentication{};
  bool iot_edge = false;
  std::optional<InitialTwin> initial_twin{};    // for a new identity
  DeviceStatus status = DeviceStatus::enabled;  // of a new identity
  std::string status_reason{};                  //
  bool reset_twin = false;  // an existing identity's twin goes back to initial_twin
};
struct EnsuredIdentity {
  Identity identity{};
  bool created = false;
};

// A message from a device, whatever protocol brought it.
struct DeviceMessage {
  DeviceId device_id{};
  ModuleId module_id{};
  GenerationId generation{};  // of the identity that was authenticated
  std::string auth_method{};  // the JSON of iothub-connection-auth-method
  events::Event
      event{};  // body and properties as the device set them; the hub adds its annotations
};

// The same as views, which must last during the call that takes it.
struct DeviceMessageView {
  const DeviceId& device_id;
  const ModuleId& module_id;
  const GenerationId& generation;
  std::string_view auth_method;
  events::EventView event;

  static DeviceMessageView of(const DeviceMessage& message) {
    return {.device_id = message.device_id,
            .module_id = message.module_id,
            .generation = message.generation,
            .auth_method = message.auth_method,
            .event = events::view(message.event)};
  }
};

// Why the hub ends a device's connection.
enum class CloseCause : std::uint8_t {
  taken_over,  // by a newer connection of the same identity
  deleted,     // the identity
  recreated,   // the identity: what was proven is not about the one of now
  disabled,    // the identity
  unsure,      // the store was reopened; what became of the identity is not known
};
std::string_view to_text(CloseCause cause);

// What kMessageSizeMax limits: the body, the values of system properties, names and values of the
// device's own (iot-hub.md section 1.4).
std::size_t counted_size(const events::EventView& event);

// How a device that is connected is reached. Kept by the connection's owner; called on its
// executor.
class DeviceConnection {
 public:
  virtual ~DeviceConnection() = default;
  virtual void close(CloseCause cause) = 0;
  // A desired-property delta (with $version), if the device asked for them.
  virtual void push_desired(const std::string& body, std::int64_t version) = 0;
};

// Proof presented by a device. A token is judged before certificates: devices may hold both.
struct DeviceProof {
  std::string sas_token{};
  std::shared_ptr<const security::PresentedChain> certificates{};  // null: none
};
struct DeviceGrant {
  Identity identity{};
  std::optional<TimePoint> expires{};  // of the token, grace included
  std::string auth_method{};
};

class Hubs {
 public:
  virtual ~Hubs() = default;

  // ---- Identities. Errors are those of errors/hub.h. ----
  virtual Task<Result<Identity>> get_identity(HubName hub, DeviceId device, ModuleId module) = 0;
  virtual Task<Result<Identity>> create_identity(HubName hub, Identity wanted) = 0;
  // `if_match` empty or "*": unconditional.
  virtual Task<Result<Identity>> update_identity(HubName hub, Identity wanted,
                                                 std::string if_match) = 0;
  virtual Task<Status> delete_identity(HubName hub, DeviceId device, ModuleId module,
                                       std::string if_match) = 0;

  // ---- The same as parts of a bigger commit. The lifecycle event is staged with the identity.
  // ----
  virtual Task<Result<EnsuredIdentity>> ensure_identity(store::Transaction& tx, HubName hub,
                                                        EnsureIdentity wanted) = 0;
  virtual Task<Status> remove_identity(store::Transaction& tx, HubName hub,
                                       DeviceId device) = 0;  // missing: succeeds
  virtual Task<Result<std::optional<Identity>>> find_identity(store::Transaction& tx, HubName hub,
                                                              DeviceId device) = 0;
  virtual Task<Result<std::optional<DeviceTwin>>> find_twin(store::Transaction& tx, HubName hub,
                                                            DeviceId device) = 0;

  // For `check`, functions and provisioning: the device IDs of a hub, in order, after `after`.
  virtual Task<Result<std::vector<DeviceId>>> list_devices(HubName hub, DeviceId after,
                                                           std::size_t limit) = 0;

  // Verifies who connects. Unknown, disabled and badly proven devices all fail with
  // unauthenticated; the error's message says why, for the log only.
  virtual Task<Result<DeviceGrant>> authenticate(HubName hub, DeviceId device, ModuleId module,
                                                 DeviceProof proof) = 0;

  // ---- Messages. The hot path: a callback, on `home`, when the message is durable. ----
  using Sent = store::Store::CommitDone;
  virtual void send(const HubName& hub, DeviceMessageView message, Executor& home, Sent done) = 0;
  void send(const HubName& hub, const DeviceMessage& message, Executor& home, Sent done) {
    send(hub, DeviceMessageView::of(message), home, std::move(done));
  }
};

// The log of the internal feed of a hub, and the consumer-visible names in it.
inline events::LogName activity_log(const HubName& hub) { return {"hub:" + hub.str(), "activity"}; }
inline events::LogName builtin_log(const HubName& hub) { return {"hub:" + hub.str(), "events"}; }

// Annotation and property names of events (iot-hub.md section 9).
inline constexpr std::string_view kConnectionDeviceId = "iothub-connection-device-id";
inline constexpr std::string_view kConnectionModuleId = "iothub-connection-module-id";
inline constexpr std::string_view kConnectionGenerationId = "iothub-connection-auth-generation-id";
inline constexpr std::string_view kConnectionAuthMethod = "iothub-connection-auth-method";
inline constexpr std::string_view kMessageSource = "iothub-message-source";
inline constexpr std::string_view kEnqueuedTime = "iothub-enqueuedtime";
inline constexpr std::string_view kSourceTelemetry = "Telemetry";
inline constexpr std::string_view kSourceLifecycle = "deviceLifecycleEvents";
inline constexpr std::string_view kSourceTwinChange = "twinChangeEvents";
inline constexpr std::string_view kOpType = "opType";
inline constexpr std::string_view kCreateDevice = "createDeviceIdentity";
inline constexpr std::string_view kDeleteDevice = "deleteDeviceIdentity";
inline constexpr std::string_view kDeviceIdProperty = "deviceId";
inline constexpr std::string_view kGenerationIdProperty =
    "generationId";  // our addition, on lifecycle events

}  // namespace doppel::hub
