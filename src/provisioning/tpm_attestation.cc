#include "provisioning/tpm_attestation.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/keys.h"
#include "security/keys.h"
#include "security/tpm/activation.h"

namespace doppel::provisioning {
namespace {

namespace tpm = security::tpm;

std::unexpected<Error> refuse(std::string reason) {
  return fail(errors::dps::kUnauthorized, std::move(reason));
}
std::unexpected<Error> invalid(std::string text) {
  return fail(errors::dps::kInvalidEnrollment, std::move(text));
}

std::string subject_of(const resources::Dps& instance, const RegistrationId& id) {
  return fmt::format("{}/{}", to_lower(instance.name), to_lower(id.view()));
}

// Bytes of the enrollment's endorsement key; it was checked when the entry was written.
std::string enrolled_key(const Enrollment& enrollment) {
  const json::Value detail(enrollment.attestation_detail);
  return base64_decode(json::get_string_or(detail, "endorsementKey", "")).value_or("");
}

Status check_endorsement_key(const Enrollment& enrollment, const std::string& presented) {
  if (enrollment.attestation != AttestationType::tpm) {
    return refuse("the individual enrollment wants another attestation");
  }
  if (presented.empty() || presented != enrolled_key(enrollment)) {
    return refuse("the TPM's endorsement key is not the enrolled one");
  }
  return {};
}

}  // namespace

Task<Result<std::string>> TpmAttestation::challenge(std::shared_ptr<const resources::Dps> instance,
                                                    RegistrationId id, TpmKeys keys) {
  if (!is_valid_registration_id(id.view())) co_return refuse("not a registration ID");
  const auto key = enrollment_key(instance->name, EnrollmentKind::individual, id.view());
  auto stored = co_await store_.snapshot()->get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return refuse("no individual enrollment is for this registration ID");
  auto enrollment = codec_.decode(EnrollmentKind::individual, key, **stored);
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  if (auto good = check_endorsement_key(**enrollment, keys.endorsement_key); !good) {
    co_return fail(std::move(good.error()));
  }
  co_return wrap(keys, challenges_.key_for(subject_of(*instance, id), keys));
}

Result<TpmProof> TpmAttestation::prove(const resources::Dps& instance, const RegistrationId& id,
                                       const Enrollment& enrollment,
                                       const security::SasToken& token,
                                       const std::optional<TpmKeys>& keys) const {
  if (keys) {
    if (auto good = check_endorsement_key(enrollment, keys->endorsement_key); !good) {
      return fail(std::move(good.error()));
    }
  }
  // Of the newest key, the likeliest that was meant.
  std::string reason;
  const auto verifies = [&](std::string_view key) {
    auto verified = security::verify_sas(token, key, security::KeyForm::text, clock_.now());
    if (!verified && reason.empty()) reason = std::move(verified.error().message);
    return verified.has_value();
  };
  auto key = challenges_.find(subject_of(instance, id), keys ? &*keys : nullptr, verifies);
  if (!key) {
    return refuse("TPM enrollment: " + (reason.empty() ? "no TPM was challenged" : reason));
  }
  return TpmProof{.keys = keys, .challenge_key = *std::move(key)};
}

Status TpmAttestation::use(const resources::Dps& instance, const RegistrationId& id,
                           const TpmProof& proof, const std::shared_ptr<Operation>& operation) {
  // Without them there is nothing to wrap the hub's key for.
  if (!proof.keys) return refuse("the registration does not name the keys of its TPM");
  return challenges_.use(subject_of(instance, id), proof.challenge_key, operation);
}

Result<std::string> TpmAttestation::wrap(const TpmKeys& keys, std::string_view key) const {
  const auto endorsement = tpm::parse_storage_key(keys.endorsement_key);
  if (!endorsement) {
    return fail(errors::dps::kBadRequest, "tpm.endorsementKey: " + endorsement.error().message);
  }
  const auto storage_root = tpm::parse_storage_key(keys.storage_root_key);
  if (!storage_root) {
    return fail(errors::dps::kBadRequest, "tpm.storageRootKey: " + storage_root.error().message);
  }
  return tpm::activation_blob(*endorsement, *storage_root, key, random_);
}

Status check_tpm_attestation(const json::Value& value) {
  const std::string endorsement = json::get_string_or(value, "endorsementKey", "");
  if (endorsement.empty()) return invalid("attestation.tpm.endorsementKey is required");
  const auto bytes = base64_decode(endorsement);
  if (!bytes) return invalid("attestation.tpm.endorsementKey must be base64");
  if (const auto parsed = tpm::parse_storage_key(*bytes); !parsed) {
    return invalid("attestation.tpm.endorsementKey: " + parsed.error().message);
  }
  const json::Value* storage_root = json::find(value, "storageRootKey");
  if (storage_root == nullptr || storage_root->is_null()) return {};
  if (!json::is_string(*storage_root)) {
    return invalid("attestation.tpm.storageRootKey must be a string");
  }
  const auto root = base64_decode(json::view(storage_root->get_string()));
  if (!root || root->size() > tpm::kPublicAreaSizeMax) {
    return invalid("attestation.tpm.storageRootKey must be base64 of a TPM2B_PUBLIC");
  }
  return {};
}

std::string tpm_fingerprint(std::string_view endorsement_key) {
  return hex_encode(security::sha256(endorsement_key));
}

}  // namespace doppel::provisioning
