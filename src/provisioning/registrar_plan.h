// The parts that registrar.cc (what to call when) and registrar_assign.cc (the transaction) share.
#pragma once

#include "provisioning/registrar.h"

namespace doppel::provisioning {

struct Registrar::Job {
  RegisterRequest request;
  Proven proven;
  std::shared_ptr<Operation> operation;
  std::optional<functions::AllocationAnswer> webhook_answer;
  std::optional<Issuance::Issuer> issuer{};  // of the certificate that is asked for
  std::string tpm_key{};                     // to be delivered to a TPM, once assigned

  const Enrollment& enrollment() const { return *proven.enrollment; }
  const resources::Dps& instance() const { return *request.instance; }
};

struct Registrar::Plan {
  std::optional<Registration> current;
  std::optional<hub::Identity> current_identity;  // what the record speaks of, if it is there still
  ReprovisionPolicy policy;
  bool runs_allocation = true;
  std::optional<functions::AllocationAnswer> answer;  // of custom allocation

  HubName hub;
  std::string host_name;
  DeviceId device;
  bool moves = false;                     // from where the record says to another hub or device ID
  std::optional<hub::Identity> existing;  // at the target
  std::optional<hub::EnsureIdentity> ensure;
  std::string tpm_key;  // of the hub, for a device with a TPM
  std::string substatus;
  GenerationId generation;
};

// The error by which a transaction says that what it was based on has changed: prove and ask again.
extern const ServiceError kBeginAgain;

// Not enrollment.reprovision alone: clients of old versions that name no policy keep what they
// have.
ReprovisionPolicy effective_reprovision(const Enrollment& enrollment, std::string_view api_version);

}  // namespace doppel::provisioning
