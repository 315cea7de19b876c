// Where a registration asks whether a person let the device in, and where it goes on after one did.
#include "base/encoding.h"
#include "base/log.h"
#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"

namespace doppel::provisioning {

// Before anything else happens for a device that nobody let in: no function hears of it.
Task<Result<bool>> Registrar::waits_for_approval(std::shared_ptr<Job> job) {
  const Enrollment& enrollment = job->enrollment();
  if (!enrollment.needs_approval) co_return false;
  const RegisterRequest& request = job->request;
  auto record = co_await find_record(*request.instance, request.id);
  if (!record) co_return fail(std::move(record.error()));
  if (*record && equal_ignoring_case((*record)->group, enrollment.id)) {
    job->trail().note("approval", Verdict::passed, "was let into {} before", enrollment.id);
    co_return false;
  }
  ApprovalRequest asked{.instance = request.instance, .wanted = {}};
  asked.wanted.id = request.id;
  asked.wanted.group = enrollment.id;
  asked.wanted.api_version = request.api_version;
  asked.wanted.payload = request.payload;
  if (request.csr) asked.wanted.csr = base64_encode(request.csr->der());
  asked.wanted.proof = to_string(enrollment.attestation);
  asked.wanted.requested = deps_.clock.now();
  auto state = co_await ask_approval(deps_.store, std::move(asked));
  if (!state) {
    job->trail().note("approval", Verdict::refused, "{}", state.error().message);
    co_return fail(std::move(state.error()));
  }
  const bool waits = *state == ApprovalState::pending;
  job->trail().note("approval", waits ? Verdict::noted : Verdict::passed, "{}",
                    waits ? "waits for a person: group " + enrollment.id + " wants approval"
                          : "a person let the device in");
  co_return waits;
}

// A poll of a device that waits for approval, or has been decided about meanwhile.
Task<Result<OperationStatus>> Registrar::go_on(Instance instance, RegistrationId id, Proof proof,
                                               Proven proven, Approval approval,
                                               std::string operation_id) {
  const Enrollment& enrollment = *proven.enrollment;
  if (approval.state == ApprovalState::pending && enrollment.needs_approval && enrollment.enabled &&
      equal_ignoring_case(approval.group, enrollment.id)) {
    co_return OperationStatus{std::move(operation_id), std::nullopt, kApprovalRetryAfterS};
  }
  if (operation_id.size() > kOperationIdMax) operation_id.clear();
  RegisterRequest request{.instance = instance,
                          .id = id,
                          .proof = std::move(proof),
                          .payload = std::move(approval.payload),
                          .csr = {},
                          .api_version = approval.api_version,
                          .tracking_id = deps_.random.uuid()};
  if (!approval.csr.empty()) {
    auto csr = security::CertificateRequest::parse(approval.csr);
    if (csr) request.csr = *std::move(csr);
  }
  request.trail = deps_.traces.begin({.instance = instance->name,
                                      .registration_id = id.view(),
                                      .tracking_id = request.tracking_id,
                                      .call = "poll",
                                      .transport = "",
                                      .peer = "",
                                      .api_version = request.api_version});
  request.trail.set_proven(enrollment.id);
  request.trail.note("approval", Verdict::noted, "goes on after it was {}{}{}",
                     to_string(approval.state), approval.decided_by.empty() ? "" : " by ",
                     approval.decided_by);
  co_return co_await start(std::move(request), std::move(proven), std::move(operation_id));
}

}  // namespace doppel::provisioning
