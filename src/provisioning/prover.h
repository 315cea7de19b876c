// Who is this device, and may it provision? Finds the enrollment that covers a registration ID and
// checks the proof against it (dps.md sections 2 and 5).
//
// Of certificates: the leaf's common name is the registration ID. An individual enrollment holds
// the leaf itself. Otherwise groups are asked, from the certificate nearest to the leaf up to the
// root, over what the device sent and what is stored; the first one found decides, even when it is
// disabled. A disabled entry of any kind that names a certificate of the path blocks the device.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "hub/api.h"
#include "provisioning/enrollment_codec.h"
#include "provisioning/tpm_attestation.h"
#include "provisioning/trace.h"
#include "resources/catalog.h"
#include "security/certificate.h"
#include "security/sas.h"
#include "store/store.h"

namespace doppel::provisioning {

// The instance a device talks to; keeps its catalog alive.
using Instance = std::shared_ptr<const resources::Dps>;

// What a device shows. A token is judged before certificates: devices may hold both.
struct Proof {
  std::string sas_token{};
  std::shared_ptr<const security::PresentedChain> certificates{};  // null: none
  std::optional<TpmKeys> tpm{};  // beside a token that its TPM signed

  bool is_empty() const { return sas_token.empty() && !certificates; }
};

// A proven device with the enrollment that admits it, enabled or not. `stored` is the entry as it
// was read: whoever acts on the proof checks in its own transaction that it is still the same.
struct Proven {
  std::shared_ptr<const Enrollment> enrollment;
  std::string key;
  std::string stored;
  hub::Authentication authentication;  // what the hub will know the device by
  json::Object runtime_context;        // its part of deviceRuntimeContext: {"symmetricKey":{}}
  std::optional<TpmProof> tpm{};       // with a TPM; `authentication` then has no keys yet
};

// Groups of one instance. Each costs two to four HMACs for a device that no other has admitted yet;
// more are refused at creation.
inline constexpr std::size_t kGroupsMax = 1000;

class Prover {
 public:
  Prover(store::Store& store, const EnrollmentCodec& codec, const Clock& clock,
         const TpmAttestation& tpm)
      : store_(store), codec_(codec), clock_(clock), tpm_(tpm) {}

  // Errors: Unauthorized for whatever is wrong with the proof, its message the reason for the log
  // (clients never see it); unavailable and internal from below. What was looked at, and why it did
  // not fit, is noted in `trail`. Any thread.
  Task<Result<Proven>> prove(Instance instance, RegistrationId id, Proof proof,
                             Trail trail = {}) const;

 private:
  Task<Result<Proven>> prove_by_token(Instance instance, RegistrationId id, Proof proof,
                                      Trail trail) const;
  Task<Result<Proven>> prove_by_group(Instance instance, RegistrationId id,
                                      security::SasToken token,
                                      std::shared_ptr<const store::Snapshot> snapshot,
                                      Trail trail) const;
  // prover_x509.cc
  using Certificates = std::shared_ptr<const security::PresentedChain>;
  Task<Result<Proven>> prove_by_certificate(Instance instance, RegistrationId id,
                                            Certificates shown, Trail trail) const;

  store::Store& store_;
  const EnrollmentCodec& codec_;
  const Clock& clock_;
  const TpmAttestation& tpm_;
};

}  // namespace doppel::provisioning
