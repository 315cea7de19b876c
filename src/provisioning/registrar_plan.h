// The parts that registrar.cc (what to call when) and registrar_assign.cc (the transaction) share.
#pragma once

#include <map>
#include <vector>

#include "provisioning/registrar.h"

namespace doppel::provisioning {

// What a registration knows of remote hubs and does there. A transaction cannot wait for them: it
// says what it lacks (kLookFirst, kMakeFirst), the registration does that outside, and a new
// transaction decides again.
struct Registrar::RemoteWork {
  struct Seen {
    bool has_identity = false;        // `identity` was asked for
    std::optional<std::string> slot;  // what was recorded about it just before, as stored
    std::optional<RemoteIdentity> identity;
    bool has_twin = false;
    std::optional<hub::DeviceTwin> twin;
  };
  std::map<std::string, Seen> seen;  // by pending_key
  std::optional<RemotePlace> lacks;  // what the last transaction lacked
  bool lacks_twin = false;           // its twin, not its identity
  std::optional<hub::EnsureIdentity> wanted;
  std::string wanted_substatus;
  std::optional<RemotePlace> made;  // is as it shall be, and not committed yet
  std::string made_substatus;
  // An identity that was made here and now looks as if it had always been there: what a new one
  // needs, a function's digital twin for one, is done all the same.
  bool needs_allocation = false;
  std::vector<RemotePlace> begun;  // each is given up when all has come to its end
  bool leaves_behind = false;      // an identity that the background must remove
  bool is_silent = false;          // a hub did not answer: no more waiting for it now
  SteadyTime until{};
};

struct Registrar::Job {
  RegisterRequest request;
  Proven proven;
  std::shared_ptr<Operation> operation;
  std::optional<functions::AllocationAnswer> webhook_answer;
  std::optional<Issuance::Issuer> issuer{};  // of the certificate that is asked for
  std::string tpm_key{};                     // to be delivered to a TPM, once assigned
  std::shared_ptr<RemoteWork> remote = std::make_shared<RemoteWork>();

  const Enrollment& enrollment() const { return *proven.enrollment; }
  const resources::Dps& instance() const { return *request.instance; }
  // The group that admits the device; empty: an individual enrollment does.
  std::string group() const {
    return enrollment().kind == EnrollmentKind::group ? enrollment().id : std::string();
  }
  const Trail& trail() const { return request.trail; }
};

struct Registrar::Plan {
  std::optional<Registration> current;
  std::optional<hub::Identity> current_identity;  // what the record speaks of, if it is there still
  ReprovisionPolicy policy;
  bool runs_allocation = true;
  std::optional<functions::AllocationAnswer> answer;  // of custom allocation

  HubName hub;
  bool is_remote = false;  // `hub` is a linked hub elsewhere, called by its host name
  std::string host_name;
  DeviceId device;
  bool moves = false;                     // from where the record says to another hub or device ID
  std::optional<hub::Identity> existing;  // at the target
  std::optional<hub::EnsureIdentity> ensure;
  std::string tpm_key;                 // of the hub, for a device with a TPM
  hub::Authentication authentication;  // what the hub shall know the device by
  std::string substatus;
  GenerationId generation;
};

// Whether to tell a device to try again: an error then, else an outcome.
bool may_pass(Code code);
// What the device reads as errorCode.
std::int64_t error_code(const Error& error);

// The error by which a transaction says that what it was based on has changed: prove and ask again.
extern const ServiceError kBeginAgain;
// A remote hub must be asked, or changed, before a transaction can go on; see RemoteWork.
extern const ServiceError kLookFirst;
extern const ServiceError kMakeFirst;

// Not enrollment.reprovision alone: clients of old versions that name no policy keep what they
// have.
ReprovisionPolicy effective_reprovision(const Enrollment& enrollment, std::string_view api_version);

}  // namespace doppel::provisioning
