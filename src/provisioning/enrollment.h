// Enrollments: who may provision, by which proof, into which hub. An individual enrollment speaks
// of one registration ID, an enrollment group of every device with a key derived from the group's.
// Plain data with its JSON form (reference: swagger of the service API 2021-10-01).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "json/value.h"
#include "provisioning/x509_attestation.h"

namespace doppel::provisioning {

inline constexpr std::size_t kIdSizeMax = 128;         // characters; dps.md section 2.1
inline constexpr std::size_t kKeyBytesMin = 16;        // of a symmetric key, decoded
inline constexpr std::size_t kKeyBytesMax = 64;        //
inline constexpr std::size_t kHubsPerEnrollment = 50;  // linked hubs of an instance, limit of Azure
inline constexpr std::size_t kWebhookUrlSizeMax = 2048;  // characters, ours

enum class EnrollmentKind : std::uint8_t { individual, group };
enum class AttestationType : std::uint8_t { none, symmetric_key, x509, tpm };
enum class AllocationPolicy : std::uint8_t { hashed, geo_latency, static_hub, custom };

struct SymmetricKeys {
  std::string primary;  // base64
  std::string secondary;
  bool operator==(const SymmetricKeys&) const = default;
};

struct ReprovisionPolicy {
  bool update_hub_assignment = true;
  bool migrate_device_data = true;
};

struct WebhookDefinition {
  std::string url;
  std::string api_version;
};

struct Enrollment {
  EnrollmentKind kind = EnrollmentKind::individual;
  std::string id;         // registrationId or enrollmentGroupId, as spelled when it was made
  std::string device_id;  // individual only; empty: the registration ID
  AttestationType attestation = AttestationType::symmetric_key;
  SymmetricKeys keys;                   // with symmetric_key
  std::optional<X509Attestation> x509;  // with x509
  json::Object attestation_detail;      // with tpm: the member of that name, as given
  bool enabled = true;
  bool needs_approval = false;  // group only, ours: its devices wait for a person
  bool iot_edge = false;
  std::optional<json::Object> initial_twin;  // {"tags":{},"properties":{"desired":{}}}
  std::optional<ReprovisionPolicy> reprovision;
  std::optional<AllocationPolicy> allocation;  // absent: the instance's
  std::vector<std::string> iot_hubs;           // host names; empty: all that are linked
  std::string legacy_hub;                      // iotHubHostName of old clients, echoed
  std::optional<WebhookDefinition> webhook;
  std::optional<json::Object> device_information;
  std::string credential_policy;
  std::string etag;  // with its quotes inside, as clients see it
  TimePoint created{};
  TimePoint updated{};
};

// 1..128 characters of A-Z a-z 0-9 - . _ :, the last one alphanumeric or '-'.
bool is_valid_registration_id(std::string_view id);
// What IoT Hub takes: 1..128 characters of letters, digits and -:.+%_#*?!(),=@$'
bool is_valid_device_id(std::string_view id);
// A quoted etag that was never used before.
std::string make_etag(Random& random);
// 64 random bytes in base64, as the service makes keys.
std::string make_key(Random& random);

std::string_view to_string(AllocationPolicy policy);
std::string_view to_string(AttestationType type);
std::optional<AllocationPolicy> parse_allocation_policy(std::string_view text);  // any case
std::optional<AttestationType> parse_attestation_type(std::string_view text);    // any case

// Reads the body of a PUT. `id` is the path's; `stored` the current entry or null: keys that are
// absent or empty, and certificates given by their info, keep what is stored, since clients read an
// entry (keys hidden) and write it back; without stored ones they are generated. `linked_hubs` are
// the host names that may be named. Etag and dates are left for the caller. Errors:
// InvalidEnrollment with a text that names the member and the rule.
Result<Enrollment> parse_enrollment(EnrollmentKind kind, std::string_view id,
                                    const json::Value& body, const Enrollment* stored,
                                    const std::vector<std::string>& linked_hubs, Random& random);

enum class ShowKeys : std::uint8_t { hide, show };
// As the service API and the allocation webhook show it.
json::Object to_json(const Enrollment& enrollment, ShowKeys keys);
// The answer to .../attestationmechanism.
json::Object attestation_json(const Enrollment& enrollment, ShowKeys keys);

}  // namespace doppel::provisioning
