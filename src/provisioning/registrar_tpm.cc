// What registrations of devices with a TPM have beside the others': a challenge before, and the
// hub's key after.
#include "base/encoding.h"
#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"

namespace doppel::provisioning {

Task<Result<std::string>> Registrar::challenge(Instance instance, RegistrationId id, TpmKeys keys) {
  return tpm_.challenge(std::move(instance), std::move(id), std::move(keys));
}

Result<std::string> Registrar::empty_challenge(const TpmKeys& keys) const {
  return tpm_.wrap(keys, deps_.random.bytes(kTpmChallengeKeySize));
}

// A device that lost an answer still has the key it was sent before, and one that connects
// meanwhile shall not be cut off: so the key that the hub has is delivered again, as long as it was
// made for this very TPM.
void Registrar::decide_tpm_key(const Job& job, Plan& plan) {
  if (!job.proven.tpm) return;
  hub::Authentication& wanted = plan.ensure->authentication;
  if (wanted.type != hub::AuthenticationType::sas) {
    // It asked for a certificate, by which its hub will know it. SDKs want a key all the same: it
    // gets one that opens nothing.
    plan.tpm_key = deps_.random.bytes(kTpmHubKeySize);
    return;
  }
  const std::string fingerprint = tpm_fingerprint(job.proven.tpm->keys->endorsement_key);
  // Or it was made for it a moment ago, in a hub elsewhere.
  const bool is_known = (plan.current && plan.current->tpm == fingerprint && !plan.moves) ||
                        (plan.is_remote && job.remote->made);
  if (is_known && plan.existing &&
      plan.existing->authentication.type == hub::AuthenticationType::sas) {
    const auto known = base64_decode(plan.existing->authentication.primary_key);
    if (known && known->size() == kTpmHubKeySize) {
      wanted = plan.existing->authentication;
      plan.tpm_key = *known;
      return;
    }
  }
  plan.tpm_key = deps_.random.bytes(kTpmHubKeySize);
  wanted.primary_key = base64_encode(plan.tpm_key);
  // Nobody holds it; the hub wants one.
  wanted.secondary_key = base64_encode(deps_.random.bytes(kTpmHubKeySize));
}

Status Registrar::deliver_tpm_key(const Job& job, json::Object& state) const {
  if (!job.proven.tpm) return {};
  auto blob = tpm_.wrap(*job.proven.tpm->keys, job.tpm_key);
  if (!blob) return fail(std::move(blob.error()));
  state["tpm"] = json::Object{{"authenticationKey", base64_encode(*blob)}};
  return {};
}

}  // namespace doppel::provisioning
