// The registration record: where a device was assigned. One for each registration ID, made by the
// first registration, kept until somebody deletes it (dps.md section 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "json/value.h"
#include "provisioning/enrollment.h"

namespace doppel::provisioning {

struct Registration {
  RegistrationId id;  // as the device spelled it first
  std::string group;  // the enrollment group that admitted it; empty: an individual enrollment
  AttestationType attestation = AttestationType::symmetric_key;  // by which it was admitted
  std::string tpm;           // tpm_fingerprint() of the TPM whose key the hub has; else empty
  HubName hub;               // a remote one is called by its host name
  bool is_remote = false;    // a linked hub that is not of this server (remote_hub.h)
  std::string assigned_hub;  // host name, as the device is told
  DeviceId device_id;
  std::string substatus;     // initialAssignment, deviceDataMigrated, deviceDataReset
  std::string operation_id;  // the one that wrote this
  std::string etag;          // without quotes
  TimePoint created{};
  TimePoint updated{};
  std::optional<json::Value> payload;  // from the allocation function
};

inline constexpr std::string_view kInitialAssignment = "initialAssignment";
inline constexpr std::string_view kDataMigrated = "deviceDataMigrated";
inline constexpr std::string_view kDataReset = "deviceDataReset";

std::string encode(const Registration& registration);
// Errors: internal, for what encode never writes.
Result<Registration> decode_registration(std::string_view stored);

// base64 of the etag in quotes: registrations have it so, unlike enrollments.
std::string shown_etag(const Registration& registration);
// DeviceRegistrationState, as services see it.
json::Object state_json(const Registration& registration);
// DeviceRegistrationResult, as the device sees it: names attestation and group that admitted it,
// too.
json::Object result_json(const Registration& registration);

}  // namespace doppel::provisioning
