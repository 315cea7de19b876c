// What a device may ask, independent of MQTT, HTTP and AMQP: they bring a call and carry the answer
// back. Bodies, statuses and logging are decided here, so that all transports refuse alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/task.h"
#include "provisioning/api.h"

namespace doppel::provisioning {

inline constexpr std::size_t kMessageSizeMax = 96 * 1024;  // bytes of body; Azure's limit for DPS

// A connection whose proof did not turn out good has this long to register, and again this long
// after its one answer.
inline constexpr Duration kUnprovenLife = std::chrono::seconds(10);
inline constexpr std::size_t kRequestsInFlightMax = 4;  // of one connection; beyond: status 429

struct DeviceCall {
  Instance instance;  // null: unknown ID scope, refused like a bad proof
  RegistrationId id;
  Proof proof;
  std::string api_version;
  std::string tracking_id;
  std::string_view transport;      // "mqtt", "https", "amqp": for the log; static text
  bool may_be_challenged = false;  // a TPM without a token gets a challenge in a 401: HTTPS only
  std::string peer{};              // "192.0.2.7:40000"
};

struct DeviceAnswer {
  int status = 200;
  std::string body;
  int retry_after_s = 0;  // 0: no such header
  int error_code = 0;     // 0: no error
};

class DeviceApi {
 public:
  explicit DeviceApi(Provisioning& provisioning)
      : provisioning_(provisioning), clock_(provisioning.clock()) {}

  // `body` may be empty (.NET over MQTT), may lack the ID and may hold "payload":null (Python).
  Task<DeviceAnswer> register_device(DeviceCall call, std::string body);
  Task<DeviceAnswer> poll(DeviceCall call, std::string operation_id);
  Task<DeviceAnswer> look_up(DeviceCall call, std::string body);

  // The answer for an error; logs it with the reason that clients are not told. A bad proof is held
  // against the peer's address.
  DeviceAnswer refuse(const DeviceCall& call, const Error& error) const;

  // ---- For transports that judge a proof before there is a request. ----
  // What every call begins with: nothing when it may go on.
  std::optional<Error> check(const DeviceCall& call) const;
  // The verdict on the proof of `call`: remembered and, if it is bad, traced and answered.
  void accept_proof(const DeviceCall& call) const;
  DeviceAnswer refuse_proof(const DeviceCall& call, const Error& error) const;

 private:
  Task<DeviceAnswer> refuse_body(DeviceCall call, Error error, Trail trail);
  Task<DeviceAnswer> challenge(DeviceCall call, Trail trail);
  Trail begin_trail(const DeviceCall& call, std::string_view name) const;
  // Notes a refusal that is worth a trace, and answers it.
  DeviceAnswer refuse(const DeviceCall& call, const Error& error, const Trail& trail) const;

  Provisioning& provisioning_;
  const Clock& clock_;
};

// "2019-03-31", "2025-07-01-preview": a date since DPS exists. Newer ones than we know are
// accepted.
bool is_api_version(std::string_view text);

}  // namespace doppel::provisioning
