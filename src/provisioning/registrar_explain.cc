// A register call that is thought through to its end and then thrown away. It runs the same code as
// a real one - proof, approval, allocation, the whole transaction - and only the commit is left
// out, so it cannot tell another story than the one that would happen.
#include <fmt/format.h>

#include "errors/dps.h"
#include "provisioning/keys.h"
#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"
#include "security/sas.h"

namespace doppel::provisioning {
namespace {

constexpr std::size_t kNamedGroupsMax = 10;
constexpr Duration kExplainRemoteMax = std::chrono::seconds(10);
constexpr int kExplainLooksMax = 4;

Result<std::string> token_by(const resources::Dps& instance, const RegistrationId& id,
                             const Enrollment& enrollment, TimePoint now) {
  std::string key = enrollment.keys.primary;
  if (enrollment.kind == EnrollmentKind::group) {
    auto derived = security::derive_device_key(key, id.view());
    if (!derived) return fail(std::move(derived.error()));
    key = *std::move(derived);
  }
  return security::make_sas(fmt::format("{}/registrations/{}", instance.id_scope.view(), id.view()),
                            key, security::KeyForm::base64, "registration",
                            now + std::chrono::minutes(5));
}

}  // namespace

// The token that a device would show whose key is the one of the enrollment that covers it. Empty,
// with a step that says why, when that cannot be imagined.
Task<Result<std::string>> Registrar::imagine_token(const ExplainRequest& request,
                                                   const Trail& trail) const {
  const resources::Dps& instance = *request.instance;
  const auto now = deps_.clock.now();
  const auto snapshot = deps_.store.snapshot();
  if (request.group.empty()) {
    const auto key = enrollment_key(instance.name, EnrollmentKind::individual, request.id.view());
    auto stored = co_await snapshot->get(key);
    if (!stored) co_return fail(std::move(stored.error()));
    if (*stored) {
      auto individual = deps_.codec.decode(EnrollmentKind::individual, key, **stored);
      if (!individual) co_return fail(std::move(individual.error()));
      if ((*individual)->attestation == AttestationType::symmetric_key) {
        co_return token_by(instance, request.id, **individual, now);
      }
      trail.note("enrollment", Verdict::refused,
                 "the individual enrollment wants attestation {}: give what the device would show",
                 to_string((*individual)->attestation));
      co_return std::string();
    }
  }
  auto record = co_await snapshot->get(registration_key(instance.name, request.id.view()));
  if (!record) co_return fail(std::move(record.error()));
  std::string wanted = request.group;
  if (wanted.empty() && *record) {
    if (auto known = decode_registration(**record)) wanted = known->group;
  }
  const auto prefix = enrollments_prefix(instance.name, EnrollmentKind::group);
  auto groups = co_await snapshot->scan(prefix, store::after_prefix(prefix), kGroupsMax);
  if (!groups) co_return fail(std::move(groups.error()));
  std::vector<std::shared_ptr<const Enrollment>> fitting;
  for (const store::Entry& entry : *groups) {
    auto group = deps_.codec.decode(EnrollmentKind::group, entry.key, entry.value);
    if (!group) co_return fail(std::move(group.error()));
    if ((*group)->attestation != AttestationType::symmetric_key) continue;
    if (wanted.empty() || equal_ignoring_case((*group)->id, wanted)) fitting.push_back(*group);
  }
  if (fitting.size() == 1) co_return token_by(instance, request.id, *fitting.front(), now);
  if (fitting.empty()) {
    trail.note("enrollment", Verdict::refused, "{}",
               wanted.empty()
                   ? std::string("no enrollment covers this registration ID by its ID or "
                                 "by a symmetric key")
                   : "there is no symmetric key group " + wanted);
    co_return std::string();
  }
  std::string names;
  for (std::size_t i = 0; i < fitting.size() && i < kNamedGroupsMax; ++i) {
    names += (i == 0 ? "" : ", ") + fitting[i]->id;
  }
  trail.note("enrollment", Verdict::refused,
             "the device's key decides among {} groups ({}{}): name one", fitting.size(), names,
             fitting.size() > kNamedGroupsMax ? ", ..." : "");
  co_return std::string();
}

Task<Result<AttemptRecord>> Registrar::explain(ExplainRequest request) {
  if (!is_valid_registration_id(request.id.view())) {
    co_return fail(errors::dps::kBadRequest, "not a registration ID");
  }
  const Trail trail = deps_.traces.begin_private({.instance = request.instance->name,
                                                  .registration_id = request.id.view(),
                                                  .tracking_id = request.tracking_id,
                                                  .call = "explain",
                                                  .transport = "",
                                                  .peer = "",
                                                  .api_version = ""});
  if (request.proof.is_empty()) {
    auto token = co_await imagine_token(request, trail);
    if (!token) co_return fail(std::move(token.error()));
    if (token->empty()) {
      trail.finish("unclear");
      co_return trail.record();
    }
    request.proof.sas_token = *std::move(token);
  }
  auto proven = co_await prover_.prove(request.instance, request.id, request.proof, trail);
  if (!proven) {
    trail.note("proof", Verdict::refused, "{}", proven.error().message);
    trail.finish("refused", error_code(proven.error()), proven.error().message);
    co_return trail.record();
  }
  trail.set_proven(proven->enrollment->id);
  trail.note("proof", Verdict::passed, "{} enrollment {}, attestation {}",
             proven->enrollment->kind == EnrollmentKind::group ? "group" : "individual",
             proven->enrollment->id, to_string(proven->enrollment->attestation));
  auto job = std::make_shared<Job>(
      Job{RegisterRequest{.instance = std::move(request.instance),
                          .id = std::move(request.id),
                          .proof = std::move(request.proof),
                          .payload = std::move(request.payload),
                          .api_version = {},
                          .tracking_id = std::move(request.tracking_id),
                          .trail = trail},
          *std::move(proven), std::make_shared<Operation>("explain", "explain"), std::nullopt});
  co_await explain_proven(job, request.calls_webhook);
  co_return trail.record();
}

Task<void> Registrar::explain_proven(std::shared_ptr<Job> job, bool calls_webhook) {
  const Trail& trail = job->trail();
  if (!job->enrollment().enabled) {
    trail.note("enrollment", Verdict::refused, "{} is disabled", job->enrollment().id);
    co_return trail.finish("disabled");
  }
  if (co_await explain_approval(job)) co_return;
  const Enrollment& enrollment = job->enrollment();
  const bool is_outside =
      effective_policy(enrollment, job->instance()) == AllocationPolicy::custom &&
      !deps_.functions.builtin_allocation_app(enrollment.webhook->url);
  if (is_outside && !calls_webhook) {
    trail.note("webhook", Verdict::skipped, "{} would be asked; its answer decides",
               masked_url(enrollment.webhook->url));
    co_return trail.finish("depends on the webhook");
  }
  auto asked = co_await ask_webhook(job);
  if (!asked) co_return trail.finish("failed", error_code(asked.error()), asked.error().message);
  job->remote->until = deps_.clock.steady() + kExplainRemoteMax;
  auto assigned = co_await explain_assignment(job);
  if (!assigned && assigned.error().service == &kMakeFirst) {
    trail.note("remote hub", Verdict::skipped, "{} would be made on {}",
               job->remote->lacks->device.view(), job->remote->lacks->hub);
    trail.set_assignment(job->remote->lacks->hub, job->remote->lacks->device.view(), 0);
    co_return trail.finish("assigned");
  }
  if (!assigned) {
    co_return trail.finish(may_pass(assigned.error().code) ? "error" : "failed",
                           error_code(assigned.error()), assigned.error().message);
  }
  trail.set_assignment(assigned->assigned_hub, assigned->device_id.view(), 0);
  trail.note("commit", Verdict::skipped, "this was an explanation: nothing is written");
  trail.finish("assigned");
}

// The transaction of a registration on what hubs elsewhere say; they are looked at, not changed.
Task<Result<Registration>> Registrar::explain_assignment(std::shared_ptr<Job> job) {
  for (int looks = 0;; ++looks) {
    store::Transaction tx(deps_.store);  // never committed
    auto assigned = co_await assign(tx, job);
    if (assigned || assigned.error().service != &kLookFirst || looks == kExplainLooksMax) {
      co_return assigned;
    }
    auto looked = co_await look(job);
    if (!looked) co_return fail(std::move(looked.error()));
  }
}

// Whether it ends here, waiting or turned away.
Task<bool> Registrar::explain_approval(std::shared_ptr<Job> job) {
  const Enrollment& enrollment = job->enrollment();
  if (!enrollment.needs_approval) co_return false;
  auto record = co_await find_record(job->instance(), job->request.id);
  if (record && *record && equal_ignoring_case((*record)->group, enrollment.id)) co_return false;
  auto found = co_await approvals_.find(job->request.instance, job->request.id.str());
  const bool is_decided = found && *found && equal_ignoring_case((*found)->group, enrollment.id);
  const auto state = is_decided ? (*found)->state : ApprovalState::pending;
  switch (state) {
    case ApprovalState::pending:
      job->trail().note("approval", Verdict::noted, "{} wants approval: the device would wait",
                        enrollment.id);
      job->trail().finish("waiting");
      co_return true;
    case ApprovalState::rejected:
      job->trail().note("approval", Verdict::refused, "rejected by {}", (*found)->decided_by);
      job->trail().finish("failed", errors::dps::kRegistrationRejected.number,
                          std::string(errors::dps::kRegistrationRejected.text));
      co_return true;
    case ApprovalState::approved:
      job->trail().note("approval", Verdict::passed, "approved by {}", (*found)->decided_by);
      break;
  }
  co_return false;
}

}  // namespace doppel::provisioning
