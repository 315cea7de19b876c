// Registers devices: proof, allocation, and one commit of everything that a registration changes -
// hub identity, device twin, digital twin, registration record and lifecycle event (DESIGN section
// 2). Knows no protocol; wire/ translates.
//
// Safe to repeat: devices register again after every lost answer, and a register that finds all as
// it should be writes nothing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "functions/api.h"
#include "hub/api.h"
#include "provisioning/allocation.h"
#include "provisioning/approvals.h"
#include "provisioning/issuance.h"
#include "provisioning/operations.h"
#include "provisioning/prover.h"
#include "provisioning/registration.h"
#include "provisioning/remote_saga.h"
#include "provisioning/throttle.h"
#include "provisioning/trace.h"
#include "store/transaction.h"

namespace doppel::provisioning {

// How long a register or a poll waits for the outcome before it is answered "assigning".
inline constexpr Duration kAnswerWait = std::chrono::milliseconds(500);
// Enrollments may change between the proof and the commit; then all begins anew.
inline constexpr int kRestartsMax = 5;
inline constexpr int kFirstRetryAfterS = 1;  // seconds; told with the register and the first poll
inline constexpr int kLaterRetryAfterS = 3;
inline constexpr std::size_t kOperationIdMax = 128;  // characters of one that goes on

struct RegisterRequest {
  Instance instance;
  RegistrationId id;
  Proof proof;
  std::optional<json::Value> payload;
  std::optional<security::CertificateRequest> csr{};  // its common name is the registration ID
  std::string api_version;
  std::string tracking_id;
  Trail trail{};  // where the steps are noted; the caller finishes it when the call is refused
};

// A register call to be explained, not done.
struct ExplainRequest {
  Instance instance;
  RegistrationId id;
  Proof proof;        // empty: that of the enrollment found, with its key
  std::string group;  // the enrollment group to try; empty: whatever fits
  std::optional<json::Value> payload;
  bool calls_webhook = false;
  std::string tracking_id;
};

// What a register or a poll is answered with.
struct OperationStatus {
  std::string operation_id;
  std::optional<Outcome> outcome;  // nothing: "assigning"
  int retry_after_s = kFirstRetryAfterS;
};

class Registrar {
 public:
  using CatalogSource = std::function<std::shared_ptr<const resources::Catalog>()>;
  struct Deps {
    store::Store& store;
    const Clock& clock;
    Random& random;
    const EnrollmentCodec& codec;
    CatalogSource catalog;
    hub::Hubs& hubs;
    functions::Functions& functions;
    WebhookClient& webhooks;
    Issuance::EnsureIssuer ensure_issuer;
    Throttle& throttle;
    RemoteSaga& remotes;
    Traces& traces;
    MeasuredLatency latency{};  // of linked hubs elsewhere
  };
  explicit Registrar(Deps deps);

  // The blob that challenges a device's TPM; what it signs with the key in there proves it. Errors:
  // those of TpmAttestation::challenge.
  Task<Result<std::string>> challenge(Instance instance, RegistrationId id, TpmKeys keys);
  // A challenge that proves nothing, for a device that will be refused where it can be told why.
  // Errors: BadRequest (keys that are none), internal.
  Result<std::string> empty_challenge(const TpmKeys& keys) const;

  // Whether `proof` is good; for connections that are judged before they register.
  Task<Result<Proven>> prove(Instance instance, RegistrationId id, Proof proof) const;

  // Starts a registration, or joins the one that runs, and waits for it up to kAnswerWait. A device
  // whose group wants approval is told "assigning" until a person decided; its polls ask again.
  // What goes wrong after the proof is an outcome ("failed"), except what may pass by itself. With
  // a signing request the hub knows the device by the certificate that it is given. Errors:
  // Unauthorized, BadRequest (a signing request without a credential policy), throttled,
  // unavailable.
  Task<Result<OperationStatus>> register_device(RegisterRequest request);

  // The state of an operation. One that is not known any more (a restart, too old) is answered from
  // the registration record. Errors: Unauthorized, OperationNotFound, throttled.
  Task<Result<OperationStatus>> poll(Instance instance, RegistrationId id, Proof proof,
                                     std::string operation_id);

  // The record, for the device itself. Errors: Unauthorized, RegistrationNotFound.
  Task<Result<json::Object>> look_up(Instance instance, RegistrationId id, Proof proof);

  // What a register call would do, step by step, without doing it: nothing is written, and an
  // outside function is called only when asked for. Without a proof of its own the device is given
  // the one that its enrollment expects. Errors: BadRequest for a wish that makes no sense.
  Task<Result<AttemptRecord>> explain(ExplainRequest request);

  // Refuses new registrations, cancels webhooks and waits for what runs.
  Task<void> stop();

 private:
  struct Job;   // one registration under way
  struct Plan;  // what its transaction decided
  Task<Result<std::string>> imagine_token(const ExplainRequest& request, const Trail& trail) const;
  Task<void> explain_proven(std::shared_ptr<Job> job, bool calls_webhook);
  Task<bool> explain_approval(std::shared_ptr<Job> job);
  Task<Result<Registration>> explain_assignment(std::shared_ptr<Job> job);
  Task<Result<OperationStatus>> start(RegisterRequest request, Proven proven,
                                      std::string operation_id);
  Task<Result<OperationStatus>> go_on(Instance instance, RegistrationId id, Proof proof,
                                      Proven proven, Approval approval, std::string operation_id);
  Task<Result<bool>> waits_for_approval(std::shared_ptr<Job> job);
  struct RemoteWork;
  Task<Result<Outcome>> run(std::shared_ptr<Job> job);
  Task<Result<Outcome>> run_guarded(std::shared_ptr<Job> job);
  Task<Result<Registration>> attempt(std::shared_ptr<Job> job);
  Task<Status> prepare_issuance(std::shared_ptr<Job> job);
  json::Object assigned_state(const Job& job, const Registration& registration) const;
  Outcome failed(const Job& job, const Error& error) const;
  Task<Status> ask_webhook(std::shared_ptr<Job> job);
  Task<Result<Registration>> assign(store::Transaction& tx, std::shared_ptr<Job> job);
  Task<Status> read_state(store::Transaction& tx, const Job& job, Plan& plan);
  bool is_there(const resources::Dps& instance, const Registration& record) const;
  Task<Status> allocate(store::Transaction& tx, const Job& job, Plan& plan);
  Task<Status> decide_twin(store::Transaction& tx, const Job& job, Plan& plan);
  Task<Status> decide_existing_twin(store::Transaction& tx, const Job& job, Plan& plan,
                                    hub::InitialTwin initial);
  Task<Status> stage_identity(store::Transaction& tx, const Job& job, Plan& plan);
  // registrar_tpm.cc; nothing for other devices
  void decide_tpm_key(const Job& job, Plan& plan);
  Status deliver_tpm_key(const Job& job, json::Object& state) const;
  Registration stage_record(store::Transaction& tx, const Job& job, const Plan& plan);

  // With hubs elsewhere (registrar_remote.cc).
  Task<Result<Registration>> commit_assignment(std::shared_ptr<Job> job);
  Task<Status> look(std::shared_ptr<Job> job);
  Task<Status> make(std::shared_ptr<Job> job);
  Task<void> give_up_unfinished(std::shared_ptr<Job> job);
  static Result<std::optional<RemoteIdentity>> seen_identity(const Job& job,
                                                             const RemotePlace& place);
  static Result<std::optional<hub::DeviceTwin>> seen_twin(const Job& job, const RemotePlace& place);
  Task<Result<std::optional<hub::Identity>>> find_identity(store::Transaction& tx, const Job& job,
                                                           const Plan& plan);
  Task<Result<std::optional<hub::DeviceTwin>>> find_twin(store::Transaction& tx, const Job& job,
                                                         HubName hub, bool is_remote,
                                                         DeviceId device);
  Task<Status> stage_remote(store::Transaction& tx, const Job& job, Plan& plan);
  Task<Status> stage_departure(store::Transaction& tx, const Job& job, const Plan& plan);
  // What a transaction found and decided, for the trace (registrar_trace.cc).
  static void note_state(const Job& job, const Plan& plan);
  static void note_allocation(const Job& job, const Plan& plan);
  static void note_twin(const Job& job, const Plan& plan);
  static void note_commit(const Job& job, const Registration& assigned,
                          const store::Committed& committed);
  Task<Result<std::optional<Registration>>> find_record(const resources::Dps& instance,
                                                        const RegistrationId& id);

  Deps deps_;
  TpmAttestation tpm_;
  Prover prover_;
  Operations operations_;
  Approvals approvals_;
  Issuance issuance_;
  std::stop_source stop_;
};

}  // namespace doppel::provisioning
