#include "provisioning/registrar.h"

#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/keys.h"
#include "provisioning/registrar_plan.h"

namespace doppel::provisioning {
namespace {

std::string subject_of(const resources::Dps& instance, const RegistrationId& id) {
  return fmt::format("{}/{}", to_lower(instance.name), to_lower(id.view()));
}

void finish_trail(const Trail& trail, const Result<Outcome>& result) {
  if (!result) {
    trail.finish("error", error_code(result.error()), result.error().message);
    return;
  }
  const json::Value* code = result->state.if_contains("errorCode");
  const json::Value* text = result->state.if_contains("errorMessage");
  trail.finish(result->status == OutcomeStatus::waiting ? "waiting" : to_string(result->status),
               code != nullptr ? json::to_int64(*code).value_or(0) : 0,
               text != nullptr && json::is_string(*text)
                   ? std::string(json::view(text->get_string()))
                   : std::string());
}

// The answer for an operation that has ended.
Result<OperationStatus> answered(const Operation& operation) {
  auto result = operation.result();
  if (!*result) return fail(std::move(result->error()));
  if ((*result)->status == OutcomeStatus::waiting) {
    return OperationStatus{operation.id(), std::nullopt, kApprovalRetryAfterS};
  }
  return OperationStatus{operation.id(), **std::move(result), 0};
}

// Whether an operation that was joined gives the certificate that this request asks for.
bool answers(const Outcome& outcome, const security::CertificateRequest& csr) {
  if (outcome.status != OutcomeStatus::assigned) return true;
  const auto* chain = outcome.state.if_contains("issuedCertificateChain");
  if (chain == nullptr) return false;
  const json::Value& first = chain->get_array().front();
  const auto leaf = security::Certificate::parse(json::view(first.get_string()));
  return leaf && csr.has_key_of(*leaf);
}

metrics::Counter& finished_counter(OutcomeStatus status) {
  constexpr std::string_view kName = "doppel_provisioning_registrations_total";
  constexpr std::string_view kHelp = "Registrations that came to an end";
  static metrics::Counter& assigned = metrics::counter(kName, kHelp, {{"status", "assigned"}});
  static metrics::Counter& failed = metrics::counter(kName, kHelp, {{"status", "failed"}});
  static metrics::Counter& disabled = metrics::counter(kName, kHelp, {{"status", "disabled"}});
  static metrics::Counter& waiting = metrics::counter(kName, kHelp, {{"status", "waiting"}});
  switch (status) {
    case OutcomeStatus::assigned:
      return assigned;
    case OutcomeStatus::failed:
      return failed;
    case OutcomeStatus::disabled:
      return disabled;
    case OutcomeStatus::waiting:
      return waiting;
  }
  return failed;
}

}  // namespace

// What may pass by itself is told as an error: clients repeat a register that is answered with 429
// or more. All else is final, and a register that is repeated for ever helps nobody.
bool may_pass(Code code) {
  switch (code) {
    case Code::conflict:
    case Code::throttled:
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
    case Code::unauthenticated:  // the enrollment changed meanwhile
      return true;
    case Code::invalid_argument:
    case Code::forbidden:
    case Code::not_found:
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::too_large:
    case Code::quota_exceeded:
    case Code::unsupported:
    case Code::bad_gateway:
    case Code::internal:
      return false;
  }
  return false;
}

std::int64_t error_code(const Error& error) {
  if (error.service == nullptr) return errors::dps::kInternal.number;
  return error.service->number >= 100'000 ? error.service->number
                                          : error.service->http_status * 1000;
}

const ServiceError kBeginAgain{.name = "BeginAgain",
                               .number = 0,
                               .http_status = 409,
                               .code = Code::conflict,
                               .text = "what the registration was based on has changed"};

const ServiceError kLookFirst{.name = "LookFirst",
                              .number = 0,
                              .http_status = 503,
                              .code = Code::unavailable,
                              .text = "a linked hub must be asked first"};
const ServiceError kMakeFirst{.name = "MakeFirst",
                              .number = 0,
                              .http_status = 503,
                              .code = Code::unavailable,
                              .text = "a linked hub must be changed first"};

Registrar::Registrar(Deps deps)
    : deps_(std::move(deps)),
      tpm_(deps_.store, deps_.codec, deps_.clock, deps_.random),
      prover_(deps_.store, deps_.codec, deps_.clock, tpm_),
      operations_(deps_.clock, deps_.random),
      approvals_(deps_.store, deps_.clock),
      issuance_(deps_.catalog, deps_.ensure_issuer, deps_.clock, deps_.random) {}

Task<Result<Proven>> Registrar::prove(Instance instance, RegistrationId id, Proof proof) const {
  return prover_.prove(std::move(instance), std::move(id), std::move(proof));
}

Task<Result<OperationStatus>> Registrar::register_device(RegisterRequest request) {
  if (stop_.stop_requested()) co_return fail(errors::dps::kUnavailable);
  const Trail trail = request.trail;
  auto proven = co_await prover_.prove(request.instance, request.id, request.proof, trail);
  if (!proven) {
    trail.note("proof", Verdict::refused, "{}", proven.error().message);
    co_return fail(std::move(proven.error()));
  }
  trail.set_proven(proven->enrollment->id);
  trail.note("proof", Verdict::passed, "{} enrollment {}, attestation {}",
             proven->enrollment->kind == EnrollmentKind::group ? "group" : "individual",
             proven->enrollment->id, to_string(proven->enrollment->attestation));

  if (request.csr && proven->enrollment->enabled && proven->enrollment->credential_policy.empty()) {
    co_return fail(errors::dps::kBadRequest,
                   "a signing request needs an enrollment with a credentialPolicyName");
  }
  co_return co_await start(std::move(request), *std::move(proven), {});
}

// Begins or joins the operation of a proven device, and answers for it.
Task<Result<OperationStatus>> Registrar::start(RegisterRequest request, Proven proven,
                                               std::string operation_id) {
  const auto csr = request.csr;
  // Not before the proof: a stranger could use up what the devices have.
  if (auto taken = deps_.throttle.take(*request.instance, Metered::registration); !taken) {
    co_return fail(std::move(taken.error()));
  }
  auto begun =
      operations_.begin_or_join(subject_of(*request.instance, request.id), std::move(operation_id));
  if (!begun) co_return fail(std::move(begun.error()));
  const std::shared_ptr<Operation> operation = begun->operation;
  const Trail trail = request.trail;
  trail.set_operation(operation->id());
  if (proven.tpm) {
    auto used = tpm_.use(*request.instance, request.id, *proven.tpm, operation);
    if (!used) {
      if (begun->is_new) operations_.finish(operation, fail(Error(used.error())));
      co_return fail(std::move(used.error()));
    }
  }
  if (begun->is_new) {
    auto job =
        std::make_shared<Job>(Job{std::move(request), std::move(proven), operation, std::nullopt});
    // The operation outlives the connection that asked for it; stop() waits for it.
    spawn(run_guarded(std::move(job)), [this, operation, trail](Result<Outcome> result) {
      if (result) finished_counter(result->status).add();
      finish_trail(trail, result);
      operations_.finish(operation, std::move(result));
    });
  } else {
    trail.note("operation", Verdict::skipped, "joins the registration that runs already");
    trail.finish("joined");
  }
  if (!co_await Operation::wait(operation, kAnswerWait)) {
    co_return OperationStatus{operation->id(), std::nullopt, kFirstRetryAfterS};
  }
  auto status = answered(*operation);
  if (status && status->outcome && csr && !answers(*status->outcome, *csr)) {
    co_return fail(errors::dps::kThrottled,
                   "a registration with another signing request, or with none, was under way");
  }
  co_return status;
}

Task<Result<OperationStatus>> Registrar::poll(Instance instance, RegistrationId id, Proof proof,
                                              std::string operation_id) {
  auto proven = co_await prover_.prove(instance, id, proof);
  if (!proven) co_return fail(std::move(proven.error()));
  const auto operation = operations_.find(operation_id, subject_of(*instance, id));
  if (!operation) {
    // A TPM's record does not say what its device needs most, the key for the hub.
    if (proven->tpm) co_return fail(errors::dps::kOperationNotFound);
    auto waiting = co_await approvals_.find(instance, id.str());
    if (!waiting) co_return fail(std::move(waiting.error()));
    if (*waiting) {
      co_return co_await go_on(std::move(instance), std::move(id), std::move(proof),
                               *std::move(proven), **std::move(waiting), std::move(operation_id));
    }
    auto record = co_await find_record(*instance, id);
    if (!record) co_return fail(std::move(record.error()));
    if (!*record) co_return fail(errors::dps::kOperationNotFound);
    Outcome outcome{OutcomeStatus::assigned, result_json(**record)};
    co_return OperationStatus{std::move(operation_id), std::move(outcome), 0};
  }
  if (!operation->result()) {
    std::size_t polls = 0;
    if (!operation->count_poll(deps_.clock.steady(), polls)) {
      co_return fail(errors::dps::kThrottled);
    }
    if (!co_await Operation::wait(operation, kAnswerWait)) {
      const int retry_after_s = polls < 2 ? kFirstRetryAfterS : kLaterRetryAfterS;
      co_return OperationStatus{operation->id(), std::nullopt, retry_after_s};
    }
  }
  co_return answered(*operation);
}

Task<Result<json::Object>> Registrar::look_up(Instance instance, RegistrationId id, Proof proof) {
  auto proven = co_await prover_.prove(instance, id, proof);
  if (!proven) co_return fail(std::move(proven.error()));
  auto record = co_await find_record(*instance, id);
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return fail(errors::dps::kRegistrationNotFound);
  co_return result_json(**record);
}

Task<void> Registrar::stop() {
  stop_.request_stop();
  co_await operations_.wait_until_idle();
}

Task<Result<std::optional<Registration>>> Registrar::find_record(const resources::Dps& instance,
                                                                 const RegistrationId& id) {
  auto stored = co_await deps_.store.snapshot()->get(registration_key(instance.name, id.view()));
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return std::nullopt;
  auto record = decode_registration(**stored);
  if (!record) co_return fail(std::move(record.error()));
  co_return *std::move(record);
}

// Nothing may escape a spawned task.
Task<Result<Outcome>> Registrar::run_guarded(std::shared_ptr<Job> job) {
  std::string what;
  std::optional<Result<Outcome>> ended;
  job->remote->until = deps_.clock.steady() + kRemoteWhole;
  try {
    ended.emplace(co_await run(job));
  } catch (const std::exception& error) {
    what = error.what();
  }
  if (!ended) {
    ended.emplace(failed(*job, Error{.code = Code::internal, .message = std::move(what)}));
  }
  try {
    co_await give_up_unfinished(job);
  } catch (const std::exception& error) {
    log::error("provisioning.give_up_failed", {{"reason", error.what()}});
  }
  co_return *std::move(ended);
}

Task<Result<Outcome>> Registrar::run(std::shared_ptr<Job> job) {
  for (int begun = 0; begun < kRestartsMax; ++begun) {
    if (begun > 0) {
      auto proven =
          co_await prover_.prove(job->request.instance, job->request.id, job->request.proof);
      job->trail().note("proof", proven ? Verdict::passed : Verdict::refused,
                        "once more, since what it was based on has changed{}",
                        proven ? "" : ": " + proven.error().message);
      if (!proven) co_return fail(std::move(proven.error()));
      job->proven = *std::move(proven);
    }
    if (!job->enrollment().enabled) {
      job->trail().note("enrollment", Verdict::refused, "{} is disabled", job->enrollment().id);
      json::Object state;
      state["registrationId"] = job->request.id.str();
      state["status"] = "disabled";
      co_return Outcome{OutcomeStatus::disabled, std::move(state)};
    }
    auto waits = co_await waits_for_approval(job);
    if (!waits && may_pass(waits.error().code)) co_return fail(std::move(waits.error()));
    if (!waits) co_return failed(*job, waits.error());
    if (*waits) {
      log::info("provisioning.waiting", {{"tracking_id", job->request.tracking_id},
                                         {"registration_id", job->request.id.view()},
                                         {"group", job->enrollment().id}});
      co_return Outcome{OutcomeStatus::waiting, {}};
    }
    auto assigned = co_await attempt(job);
    if (assigned) {
      json::Object state = assigned_state(*job, *assigned);
      if (auto added = deliver_tpm_key(*job, state); !added) co_return failed(*job, added.error());
      log::info("provisioning.assigned", {{"tracking_id", job->request.tracking_id},
                                          {"registration_id", job->request.id.view()},
                                          {"device_id", assigned->device_id.view()},
                                          {"hub", assigned->hub.view()}});
      co_return Outcome{OutcomeStatus::assigned, std::move(state)};
    }
    if (assigned.error().service == &kBeginAgain) continue;
    if (may_pass(assigned.error().code)) co_return fail(std::move(assigned.error()));
    co_return failed(*job, assigned.error());
  }
  co_return fail(errors::dps::kConflict);
}

Task<Result<Registration>> Registrar::attempt(std::shared_ptr<Job> job) {
  if (auto ready = co_await prepare_issuance(job); !ready) co_return fail(std::move(ready.error()));
  job->remote->seen.clear();
  job->remote->made.reset();
  // The waits on the outside world come before the commit, never inside it.
  if (auto asked = co_await ask_webhook(job); !asked) co_return fail(std::move(asked.error()));
  co_return co_await commit_assignment(std::move(job));
}

// The issuer is there, and trusted by the hub, before the device is told so.
Task<Status> Registrar::prepare_issuance(std::shared_ptr<Job> job) {
  if (!job->request.csr) co_return Status();
  const std::string& device = job->enrollment().device_id;
  if (device.size() > security::kCommonNameMax) {
    co_return fail(errors::dps::kNoIssuer,
                   fmt::format("a certificate cannot name a device ID of more than {} characters",
                               security::kCommonNameMax));
  }
  auto issuer = co_await issuance_.find(job->instance().name, job->enrollment().credential_policy);
  if (!issuer) co_return fail(std::move(issuer.error()));
  job->issuer = *std::move(issuer);
  job->proven.authentication =
      hub::Authentication{.type = hub::AuthenticationType::certificate_authority};
  co_return Status();
}

json::Object Registrar::assigned_state(const Job& job, const Registration& registration) const {
  json::Object state = result_json(registration);
  if (!job.issuer) return state;
  // For the hub the device is called by its device ID, which may be another than the one it
  // registers with.
  state["issuedCertificateChain"] =
      issuance_.issue(*job.issuer, *job.request.csr, registration.device_id.view());
  log::info("provisioning.certificate_issued", {{"tracking_id", job.request.tracking_id},
                                                {"registration_id", job.request.id.view()},
                                                {"device_id", registration.device_id.view()},
                                                {"policy", job.enrollment().credential_policy}});
  return state;
}

Task<Status> Registrar::ask_webhook(std::shared_ptr<Job> job) {
  job->webhook_answer.reset();
  const Enrollment& enrollment = job->enrollment();
  if (effective_policy(enrollment, job->instance()) != AllocationPolicy::custom) co_return Status();
  if (deps_.functions.builtin_allocation_app(enrollment.webhook->url)) co_return Status();
  std::string body;
  while (body.empty()) {
    store::Transaction tx(deps_.store);  // reads only
    Plan plan;
    if (auto read = co_await read_state(tx, *job, plan); !read) {
      if (read.error().service != &kLookFirst) co_return read;
      if (auto looked = co_await look(job); !looked) co_return looked;
      continue;
    }
    if (!plan.runs_allocation) co_return Status();
    const auto hubs = candidates(enrollment, job->instance());
    if (hubs.empty()) {
      co_return fail(errors::dps::kNoHub, "no linked hub can take the device");
    }
    body = json::write(allocation_request(enrollment, job->request.id, job->proven.runtime_context,
                                          plan.current ? &*plan.current : nullptr,
                                          job->request.payload, hubs));
  }
  auto answer = co_await call_webhook(deps_.webhooks, deps_.clock, enrollment.webhook->url,
                                      std::move(body), stop_.get_token(), job->trail());
  if (!answer) co_return fail(std::move(answer.error()));
  job->webhook_answer = *std::move(answer);
  co_return Status();
}

Outcome Registrar::failed(const Job& job, const Error& error) const {
  log::warn("provisioning.failed", {{"tracking_id", job.request.tracking_id},
                                    {"registration_id", job.request.id.view()},
                                    {"enrollment", job.enrollment().id},
                                    {"reason", error.message}});
  const auto now = to_iso8601(deps_.clock.now());
  json::Object state;
  state["registrationId"] = job.request.id.str();
  state["createdDateTimeUtc"] = now;
  state["status"] = to_string(OutcomeStatus::failed);
  state["errorCode"] = error_code(error);
  state["errorMessage"] = error.code == Code::internal && error.service == nullptr
                              ? std::string(errors::dps::kInternal.text)
                              : error.message;
  state["lastUpdatedDateTimeUtc"] = now;
  return Outcome{OutcomeStatus::failed, std::move(state)};
}

}  // namespace doppel::provisioning
