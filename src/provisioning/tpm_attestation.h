// TPM attestation (dps.md section 2.4): a device presents the public keys of its TPM, is sent a key
// in a blob that only this TPM can open, and signs its token with it. Once registered it gets the
// key for its hub in a second blob of the same kind.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "provisioning/enrollment_codec.h"
#include "provisioning/tpm_challenges.h"
#include "resources/catalog.h"
#include "security/sas.h"
#include "store/store.h"

namespace doppel::provisioning {

// Bytes of the hub's key; its base64 is what the identity has.
inline constexpr std::size_t kTpmHubKeySize = 32;

// How a device proved itself with its TPM.
struct TpmProof {
  std::optional<TpmKeys> keys;  // as presented now; a poll has none
  std::string challenge_key;
};

// Any thread.
class TpmAttestation {
 public:
  // All outlive the object.
  TpmAttestation(store::Store& store, const EnrollmentCodec& codec, const Clock& clock,
                 Random& random)
      : store_(store), codec_(codec), clock_(clock), random_(random), challenges_(clock, random) {}

  // The blob with which the device's TPM is challenged. Errors: Unauthorized when the ID has no
  // TPM enrollment with this endorsement key; BadRequest for a storage root key that is none.
  Task<Result<std::string>> challenge(std::shared_ptr<const resources::Dps> instance,
                                      RegistrationId id, TpmKeys keys);

  // Whether `token`, whose resource was checked, answers a challenge. `keys`: as presented now.
  // Errors: Unauthorized.
  Result<TpmProof> prove(const resources::Dps& instance, const RegistrationId& id,
                         const Enrollment& enrollment, const security::SasToken& token,
                         const std::optional<TpmKeys>& keys) const;

  // Spends the proof on a registration. Errors: Unauthorized when it was spent before; throttled.
  Status use(const resources::Dps& instance, const RegistrationId& id, const TpmProof& proof,
             const std::shared_ptr<Operation>& operation);

  // Wraps the hub's key for the TPM with these keys. Errors: BadRequest, internal.
  Result<std::string> wrap(const TpmKeys& keys, std::string_view key) const;

 private:
  store::Store& store_;
  const EnrollmentCodec& codec_;
  const Clock& clock_;
  Random& random_;
  TpmChallenges challenges_;
};

// Reads attestation.tpm of an enrollment: an endorsement key that is one, and a storage root key
// that may be absent (devices send theirs; it is kept, never compared). Errors: InvalidEnrollment.
Status check_tpm_attestation(const json::Value& tpm);

// What a registration record remembers its TPM by: hex of the endorsement key's SHA-256.
std::string tpm_fingerprint(std::string_view endorsement_key);

}  // namespace doppel::provisioning
