// A device with a TPM in software beside the World of testing.h.
#pragma once

#include <optional>
#include <string>

#include "provisioning/testing.h"
#include "security/tpm/testing.h"

namespace doppel::provisioning::testing {

using security::tpm::testing::SoftTpm;

struct TpmWorld : World {
  explicit TpmWorld(SoftTpm of = SoftTpm::make_ec()) : tpm(std::move(of)) {}

  SoftTpm tpm;

  static TpmKeys keys_of(const SoftTpm& tpm) { return {tpm.endorsement_key, tpm.storage_root_key}; }
  TpmKeys keys() const { return keys_of(tpm); }

  static std::string attestation(std::string_view endorsement_key, std::string_view more = "") {
    return fmt::format(R"({{"attestation":{{"type":"tpm","tpm":{{"endorsementKey":"{}"}}}}{}}})",
                       base64_encode(endorsement_key), more);
  }
  // An individual enrollment of this TPM; `more` are further members.
  Result<json::Object> put_tpm(std::string id, std::string_view more = "") {
    return put(EnrollmentKind::individual, std::move(id), attestation(tpm.endorsement_key, more));
  }

  // A token as the TPM signs it with a key that it was sent.
  std::string tpm_token(std::string_view id, std::string_view raw_key,
                        std::string_view key_name = "registration",
                        std::optional<TimePoint> expires = std::nullopt) {
    return token(id, base64_encode(raw_key), key_name, expires);
  }
  Result<std::string> challenge(std::string_view id, TpmKeys presented) {
    return run(
        provisioning.registrar().challenge(instance(), RegistrationId(id), std::move(presented)));
  }
  // Answers a challenge: the token.
  std::string answer_challenge(std::string_view id) {
    const auto blob = challenge(id, keys());
    return tpm_token(id, blob ? tpm.activate(*blob).value_or("") : "");
  }
  Result<OperationStatus> register_tpm(std::string_view id, std::string sas_token,
                                       std::optional<TpmKeys> presented) {
    auto wanted = request(id, std::move(sas_token));
    wanted.proof.tpm = std::move(presented);
    return run(provisioning.registrar().register_device(std::move(wanted)));
  }
  Result<OperationStatus> register_tpm(std::string_view id) {
    return register_tpm(id, answer_challenge(id), keys());
  }

  // The hub's key as the device gets it; nothing when its TPM cannot open the blob.
  std::optional<std::string> delivered(const json::Object& state) const {
    const json::Value* part = state.if_contains("tpm");
    if (part == nullptr) return std::nullopt;
    const auto blob = base64_decode(json::get_string_or(*part, "authenticationKey", ""));
    return blob ? tpm.activate(*blob) : std::nullopt;
  }
};

}  // namespace doppel::provisioning::testing
