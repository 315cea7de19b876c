#include "provisioning/enrollment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/tpm_attestation.h"
#include "provisioning/twin_text.h"

namespace doppel::provisioning {
namespace {

using json::Object;
using json::Value;

std::unexpected<Error> invalid(std::string text) {
  return fail(errors::dps::kInvalidEnrollment, std::move(text));
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A member that is there and not null; many clients write null for what they do not set.
const Value* find_set(const Value& object, std::string_view name) {
  const Value* member = json::find(object, name);
  return member != nullptr && !member->is_null() ? member : nullptr;
}

Result<std::string> read_string(const Value& object, std::string_view name) {
  const Value* member = find_set(object, name);
  if (member == nullptr) return std::string();
  if (!json::is_string(*member)) return invalid(fmt::format("{} must be a string", name));
  return std::string(json::view(member->get_string()));
}

Result<std::optional<bool>> read_bool(const Value& object, std::string_view name) {
  const Value* member = find_set(object, name);
  if (member == nullptr) return std::nullopt;
  if (!member->is_bool()) return invalid(fmt::format("{} must be true or false", name));
  return member->get_bool();
}

// Empty texts count as absent: Node's bulk writes "primaryKey":"" where it means "make one".
Result<std::string> read_key(const Value& keys, std::string_view name) {
  auto key = read_string(keys, name);
  if (!key || key->empty()) return key;
  const auto bytes = base64_decode(*key);
  if (!bytes || bytes->size() < kKeyBytesMin || bytes->size() > kKeyBytesMax) {
    return invalid(fmt::format("symmetricKey.{} must be base64 of {} to {} bytes", name,
                               kKeyBytesMin, kKeyBytesMax));
  }
  return key;
}

Status read_symmetric_keys(const Value& attestation, const Enrollment* stored, Enrollment& made,
                           Random& random) {
  const Value* keys = find_set(attestation, "symmetricKey");
  if (keys != nullptr && !keys->is_object()) return invalid("symmetricKey must be an object");
  if (stored != nullptr && stored->attestation == AttestationType::symmetric_key) {
    made.keys = stored->keys;
  }
  if (keys != nullptr) {
    auto primary = read_key(*keys, "primaryKey");
    if (!primary) return fail(std::move(primary.error()));
    auto secondary = read_key(*keys, "secondaryKey");
    if (!secondary) return fail(std::move(secondary.error()));
    if (!primary->empty()) made.keys.primary = *std::move(primary);
    if (!secondary->empty()) made.keys.secondary = *std::move(secondary);
  }
  if (made.keys.primary.empty()) made.keys.primary = make_key(random);
  if (made.keys.secondary.empty()) made.keys.secondary = make_key(random);
  return {};
}

Status read_tpm(const Value& attestation, Enrollment& made) {
  const Value* detail = find_set(attestation, "tpm");
  if (detail == nullptr || !detail->is_object()) {
    return invalid("attestation.tpm must be an object when the type is tpm");
  }
  if (auto good = check_tpm_attestation(*detail); !good) return good;
  made.attestation_detail = detail->get_object();
  return {};
}

Status read_x509_member(const Value& attestation, const Enrollment* stored, Enrollment& made) {
  const Value empty = Object();
  const Value* member = find_set(attestation, "x509");
  auto read = read_x509(member != nullptr ? *member : empty, made.kind == EnrollmentKind::group,
                        stored != nullptr && stored->x509 ? &*stored->x509 : nullptr);
  if (!read) return fail(std::move(read.error()));
  made.x509 = *std::move(read);
  return {};
}

Status read_attestation(const Value& body, const Enrollment* stored, Enrollment& made,
                        Random& random) {
  const Value* attestation = find_set(body, "attestation");
  if (attestation == nullptr || !attestation->is_object()) {
    return invalid("attestation is required");
  }
  auto type = read_string(*attestation, "type");
  if (!type) return fail(std::move(type.error()));
  if (equal_ignoring_case(*type, "symmetricKey")) {
    made.attestation = AttestationType::symmetric_key;
    return read_symmetric_keys(*attestation, stored, made, random);
  }
  if (equal_ignoring_case(*type, "x509")) {
    made.attestation = AttestationType::x509;
    return read_x509_member(*attestation, stored, made);
  }
  if (equal_ignoring_case(*type, "tpm")) {
    if (made.kind == EnrollmentKind::group) return invalid("a group cannot be attested by TPM");
    made.attestation = AttestationType::tpm;
    return read_tpm(*attestation, made);
  }
  return invalid("attestation.type must be symmetricKey, x509 or tpm");
}

Status read_status_and_capabilities(const Value& body, Enrollment& made) {
  auto status = read_string(body, "provisioningStatus");
  if (!status) return fail(std::move(status.error()));
  if (!status->empty()) {
    made.enabled = equal_ignoring_case(*status, "enabled");
    if (!made.enabled && !equal_ignoring_case(*status, "disabled")) {
      return invalid("provisioningStatus must be enabled or disabled");
    }
  }
  if (const Value* capabilities = find_set(body, "capabilities")) {
    if (!capabilities->is_object()) return invalid("capabilities must be an object");
    auto edge = read_bool(*capabilities, "iotEdge");
    if (!edge) return fail(std::move(edge.error()));
    made.iot_edge = edge->value_or(false);
  }
  if (const Value* policy = find_set(body, "reprovisionPolicy")) {
    auto update = read_bool(*policy, "updateHubAssignment");
    auto migrate = read_bool(*policy, "migrateDeviceData");
    if (!update) return fail(std::move(update.error()));
    if (!migrate) return fail(std::move(migrate.error()));
    if (!*update || !*migrate) {
      return invalid("reprovisionPolicy needs updateHubAssignment and migrateDeviceData");
    }
    made.reprovision = ReprovisionPolicy{**update, **migrate};
  }
  return {};
}

Status read_hubs(const Value& body, const std::vector<std::string>& linked, Enrollment& made) {
  if (const Value* hubs = find_set(body, "iotHubs")) {
    if (!hubs->is_array()) return invalid("iotHubs must be an array");
    if (hubs->get_array().size() > kHubsPerEnrollment) return invalid("iotHubs names too many");
    for (const Value& hub : hubs->get_array()) {
      if (!json::is_string(hub)) return invalid("iotHubs must hold host names");
      made.iot_hubs.emplace_back(json::view(hub.get_string()));
    }
  }
  auto legacy = read_string(body, "iotHubHostName");
  if (!legacy) return fail(std::move(legacy.error()));
  if (!legacy->empty()) {
    // What clients before iotHubs existed mean by it, as az translates it.
    made.legacy_hub = *legacy;
    if (made.iot_hubs.empty()) made.iot_hubs.push_back(*legacy);
    if (!made.allocation) made.allocation = AllocationPolicy::static_hub;
  }
  for (const std::string& hub : made.iot_hubs) {
    const bool known =
        std::ranges::any_of(linked, [&](auto& name) { return equal_ignoring_case(name, hub); });
    if (!known) return invalid(fmt::format("iotHubs names {}, which is not linked", hub));
  }
  return {};
}

Status read_allocation(const Value& body, const std::vector<std::string>& linked,
                       Enrollment& made) {
  auto policy = read_string(body, "allocationPolicy");
  if (!policy) return fail(std::move(policy.error()));
  if (!policy->empty()) {
    made.allocation = parse_allocation_policy(*policy);
    if (!made.allocation) {
      return invalid("allocationPolicy must be hashed, geoLatency, static or custom");
    }
  }
  if (auto hubs = read_hubs(body, linked, made); !hubs) return hubs;
  if (made.allocation == AllocationPolicy::static_hub && made.iot_hubs.size() != 1) {
    return invalid("allocationPolicy static needs exactly one entry in iotHubs");
  }
  if (const Value* definition = find_set(body, "customAllocationDefinition")) {
    auto url = read_string(*definition, "webhookUrl");
    auto version = read_string(*definition, "apiVersion");
    if (!url) return fail(std::move(url.error()));
    if (!version) return fail(std::move(version.error()));
    if (url->empty() || version->empty()) {
      return invalid("customAllocationDefinition needs webhookUrl and apiVersion");
    }
    if (url->size() > kWebhookUrlSizeMax || !(starts_with_ignoring_case(*url, "https://") ||
                                              starts_with_ignoring_case(*url, "http://"))) {
      return invalid("webhookUrl must be an http or https URL");
    }
    made.webhook = WebhookDefinition{*std::move(url), *std::move(version)};
  }
  if (made.allocation == AllocationPolicy::custom && !made.webhook) {
    return invalid("allocationPolicy custom needs customAllocationDefinition");
  }
  return {};
}

Status read_identifiers(std::string_view id, const Value& body, Enrollment& made) {
  const bool individual = made.kind == EnrollmentKind::individual;
  const std::string_view name = individual ? "registrationId" : "enrollmentGroupId";
  if (!is_valid_registration_id(id)) {
    return invalid(fmt::format(
        "{} must be 1 to {} characters of letters, digits, - . _ : and end with a letter, a digit "
        "or -",
        name, kIdSizeMax));
  }
  auto given = read_string(body, name);
  if (!given) return fail(std::move(given.error()));
  if (!given->empty() && !equal_ignoring_case(*given, id)) {
    return invalid(fmt::format("{} differs from the one in the path", name));
  }
  if (!individual) return {};
  auto device = read_string(body, "deviceId");
  if (!device) return fail(std::move(device.error()));
  if (!device->empty() && !is_valid_device_id(*device)) {
    return invalid("deviceId is not one that IoT Hub takes");
  }
  made.device_id = *std::move(device);
  return {};
}

// Our own member. Clients that do not know it leave it out when they write back what they read, and
// that must not open the door.
Status read_approval(const Value& body, const Enrollment* stored, Enrollment& made) {
  const Value* given = find_set(body, "approval");
  if (given == nullptr) {
    made.needs_approval = stored != nullptr && stored->needs_approval;
    return {};
  }
  const std::string_view text =
      json::is_string(*given) ? json::view(given->get_string()) : std::string_view();
  if (!equal_ignoring_case(text, "required") && !equal_ignoring_case(text, "none")) {
    return invalid("approval must be required or none");
  }
  made.needs_approval = equal_ignoring_case(text, "required");
  if (made.needs_approval && made.kind == EnrollmentKind::individual) {
    return invalid("approval is for groups: an individual enrollment is one");
  }
  return {};
}

Status read_documents(const Value& body, Enrollment& made) {
  if (const Value* twin = find_set(body, "initialTwin")) {
    auto read = read_twin(*twin);
    if (!read) return invalid(fmt::format("initialTwin: {}", read.error().message));
    made.initial_twin = twin_json(*read);
  }
  if (made.kind == EnrollmentKind::individual) {
    if (const Value* information = find_set(body, "optionalDeviceInformation")) {
      if (!information->is_object()) return invalid("optionalDeviceInformation must be an object");
      made.device_information = without_twin_decoration(information->get_object());
    }
  }
  auto credential = read_string(body, "credentialPolicyName");
  if (!credential) return fail(std::move(credential.error()));
  made.credential_policy = *std::move(credential);
  return {};
}

}  // namespace

bool is_valid_registration_id(std::string_view id) {
  if (id.empty() || id.size() > kIdSizeMax) return false;
  const bool good = std::ranges::all_of(id, [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == ':';
  });
  return good && (is_alphanumeric(id.back()) || id.back() == '-');
}

// Refused here, or each registration would fail later (iot-hub.md section 6).
bool is_valid_device_id(std::string_view id) {
  constexpr std::string_view kOthers = "-:.+%_#*?!(),=@$'";
  return !id.empty() && id.size() <= kIdSizeMax &&
         std::ranges::all_of(id, [&](char c) { return is_alphanumeric(c) || kOthers.contains(c); });
}

std::string make_etag(Random& random) { return fmt::format("\"{}\"", random.uuid()); }
std::string make_key(Random& random) { return base64_encode(random.bytes(kKeyBytesMax)); }

std::string_view to_string(AllocationPolicy policy) {
  switch (policy) {
    case AllocationPolicy::hashed:
      return "hashed";
    case AllocationPolicy::geo_latency:
      return "geoLatency";
    case AllocationPolicy::static_hub:
      return "static";
    case AllocationPolicy::custom:
      return "custom";
  }
  return "";
}

std::string_view to_string(AttestationType type) {
  switch (type) {
    case AttestationType::none:
      return "none";
    case AttestationType::symmetric_key:
      return "symmetricKey";
    case AttestationType::x509:
      return "x509";
    case AttestationType::tpm:
      return "tpm";
  }
  return "";
}

std::optional<AllocationPolicy> parse_allocation_policy(std::string_view text) {
  for (const auto policy : {AllocationPolicy::hashed, AllocationPolicy::geo_latency,
                            AllocationPolicy::static_hub, AllocationPolicy::custom}) {
    if (equal_ignoring_case(text, to_string(policy))) return policy;
  }
  return std::nullopt;
}

std::optional<AttestationType> parse_attestation_type(std::string_view text) {
  for (const auto type : {AttestationType::none, AttestationType::symmetric_key,
                          AttestationType::x509, AttestationType::tpm}) {
    if (equal_ignoring_case(text, to_string(type))) return type;
  }
  return std::nullopt;
}

Result<Enrollment> parse_enrollment(EnrollmentKind kind, std::string_view id, const Value& body,
                                    const Enrollment* stored,
                                    const std::vector<std::string>& linked_hubs, Random& random) {
  if (!body.is_object()) return invalid("the enrollment must be a JSON object");
  Enrollment made;
  made.kind = kind;
  made.id = stored != nullptr ? stored->id : std::string(id);
  if (auto read = read_identifiers(id, body, made); !read) return fail(read.error());
  if (auto read = read_attestation(body, stored, made, random); !read) return fail(read.error());
  if (auto read = read_status_and_capabilities(body, made); !read) return fail(read.error());
  if (auto read = read_allocation(body, linked_hubs, made); !read) return fail(read.error());
  if (auto read = read_documents(body, made); !read) return fail(read.error());
  if (auto read = read_approval(body, stored, made); !read) return fail(read.error());
  return made;
}

json::Object attestation_json(const Enrollment& enrollment, ShowKeys show) {
  const std::string_view type = to_string(enrollment.attestation);
  Object attestation;
  attestation["type"] = type;
  if (enrollment.attestation == AttestationType::symmetric_key) {
    if (show == ShowKeys::show) {
      Object keys;
      keys["primaryKey"] = enrollment.keys.primary;
      keys["secondaryKey"] = enrollment.keys.secondary;
      attestation["symmetricKey"] = std::move(keys);
    }
  } else if (enrollment.x509) {
    attestation[type] = x509_json(*enrollment.x509, show == ShowKeys::show);
  } else {
    attestation[type] = enrollment.attestation_detail;
  }
  return attestation;
}

json::Object to_json(const Enrollment& e, ShowKeys keys) {
  const bool individual = e.kind == EnrollmentKind::individual;
  Object out;
  out[individual ? "registrationId" : "enrollmentGroupId"] = e.id;
  if (!e.device_id.empty()) out["deviceId"] = e.device_id;
  if (e.device_information) out["optionalDeviceInformation"] = *e.device_information;
  out["attestation"] = attestation_json(e, keys);
  out["capabilities"] = Object{{"iotEdge", e.iot_edge}};
  if (!e.legacy_hub.empty()) out["iotHubHostName"] = e.legacy_hub;
  if (e.initial_twin) out["initialTwin"] = *e.initial_twin;
  out["etag"] = e.etag;
  out["provisioningStatus"] = e.enabled ? "enabled" : "disabled";
  if (e.reprovision) {
    out["reprovisionPolicy"] = Object{{"updateHubAssignment", e.reprovision->update_hub_assignment},
                                      {"migrateDeviceData", e.reprovision->migrate_device_data}};
  }
  out["createdDateTimeUtc"] = to_iso8601(e.created);
  out["lastUpdatedDateTimeUtc"] = to_iso8601(e.updated);
  if (e.allocation) out["allocationPolicy"] = to_string(*e.allocation);
  if (!e.iot_hubs.empty()) {
    json::Array hubs;
    for (const auto& hub : e.iot_hubs) hubs.emplace_back(hub);
    out["iotHubs"] = std::move(hubs);
  }
  if (e.webhook) {
    out["customAllocationDefinition"] =
        Object{{"webhookUrl", e.webhook->url}, {"apiVersion", e.webhook->api_version}};
  }
  if (!e.credential_policy.empty()) out["credentialPolicyName"] = e.credential_policy;
  if (e.needs_approval) out["approval"] = "required";
  return out;
}

}  // namespace doppel::provisioning
