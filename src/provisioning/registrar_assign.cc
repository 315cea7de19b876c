// The transaction of a registration. Order: what is there, where the device shall be, what its twin
// shall be, and only then the staging, so that each rule reads as one step.
#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/keys.h"
#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"
#include "provisioning/twin_text.h"

namespace doppel::provisioning {
namespace {

// C before 1.2.9, Node before 1.7.4 and their kin: no policy meant that a device stays where it is.
constexpr std::string_view kLastStickyVersion = "2018-04-01";

hub::InitialTwin initial_twin(const Enrollment& enrollment) {
  if (!enrollment.initial_twin) return {};
  return read_twin(*enrollment.initial_twin).value_or(hub::InitialTwin{});
}

bool holds(const hub::DeviceTwin& twin, const hub::InitialTwin& initial) {
  return contains(twin.tags, initial.tags) && contains(twin.desired, initial.desired);
}

bool is_exactly(const hub::DeviceTwin& twin, const hub::InitialTwin& initial) {
  return json::equal(twin.tags, initial.tags) && json::equal(twin.desired, initial.desired) &&
         twin.reported.empty();
}

hub::InitialTwin merged(const hub::DeviceTwin& twin, const hub::InitialTwin& over) {
  hub::InitialTwin out{.tags = twin.tags, .desired = twin.desired, .reported = twin.reported};
  merge_over(out.tags, over.tags);
  merge_over(out.desired, over.desired);
  return out;
}

// Whether the hub knows the device by just this already. Thumbprints are hex of any case.
bool knows_by(const hub::Identity& identity, const hub::Authentication& wanted) {
  const hub::Authentication& known = identity.authentication;
  return known.type == wanted.type && known.primary_key == wanted.primary_key &&
         known.secondary_key == wanted.secondary_key &&
         equal_ignoring_case(known.primary_thumbprint, wanted.primary_thumbprint) &&
         equal_ignoring_case(known.secondary_thumbprint, wanted.secondary_thumbprint);
}

// How the device reads a refusal of the built-in function: as of a webhook.
Error as_allocation_failure(const Error& error) {
  switch (error.code) {
    case Code::invalid_argument:
    case Code::internal: {
      const int status = error.code == Code::internal ? 500 : 400;
      return Error{.code = errors::dps::kAllocationFailed.code,
                   .message = fmt::format("Custom allocation failed with status code: {}: {}",
                                          status, error.message),
                   .service = &errors::dps::kAllocationFailed};
    }
    case Code::conflict:
    case Code::throttled:
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
      return error;
    case Code::unauthenticated:
    case Code::forbidden:
    case Code::not_found:
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::too_large:
    case Code::quota_exceeded:
    case Code::unsupported:
    case Code::bad_gateway:
      break;
  }
  return Error{.code = errors::dps::kAllocationFailed.code,
               .message = fmt::format("Custom allocation failed: {}", error.message),
               .service = &errors::dps::kAllocationFailed};
}

}  // namespace

ReprovisionPolicy effective_reprovision(const Enrollment& enrollment,
                                        std::string_view api_version) {
  if (enrollment.reprovision) return *enrollment.reprovision;
  const bool is_old = !api_version.empty() && api_version <= kLastStickyVersion;
  return ReprovisionPolicy{.update_hub_assignment = !is_old, .migrate_device_data = !is_old};
}

Task<Result<Registration>> Registrar::assign(store::Transaction& tx, std::shared_ptr<Job> job) {
  Plan plan;
  if (auto read = co_await read_state(tx, *job, plan); !read) co_return fail(read.error());
  note_state(*job, plan);
  if (auto chosen = co_await allocate(tx, *job, plan); !chosen) {
    job->trail().note("allocation", Verdict::refused, "{}", chosen.error().message);
    co_return fail(chosen.error());
  }
  note_allocation(*job, plan);
  if (auto decided = co_await decide_twin(tx, *job, plan); !decided) {
    co_return fail(decided.error());
  }
  note_twin(*job, plan);
  if (auto staged = co_await stage_identity(tx, *job, plan); !staged) {
    co_return fail(staged.error());
  }
  job->tpm_key = plan.tpm_key;
  const bool is_member = plan.current && equal_ignoring_case(plan.current->group, job->group());
  if (!is_member) {
    // From here on the record says that it was let in.
    const std::string& instance = job->instance().name;
    auto erased = co_await erase_approval(tx, instance, job->request.id.str());
    if (!erased) co_return fail(erased.error());
  }
  co_return stage_record(tx, *job, plan);
}

// Whether the hub of the record is one that this instance still deals with.
bool Registrar::is_there(const resources::Dps& instance, const Registration& record) const {
  if (!record.is_remote) {
    const auto catalog = deps_.catalog();
    return catalog->find_hub(record.hub.view()) != nullptr;
  }
  const resources::LinkedHub* linked = instance.find_linked_hub(record.hub.view());
  return linked != nullptr && !linked->hub && is_usable(*linked);
}

Task<Status> Registrar::read_state(store::Transaction& tx, const Job& job, Plan& plan) {
  const std::string_view instance = job.instance().name;
  const std::string_view id = job.request.id.view();
  // The proof was made on an earlier snapshot. The commit depends on what it was made on: not
  // disabled, changed, deleted or hidden by an individual enrollment meanwhile.
  auto enrollment = co_await tx.get(job.proven.key);
  if (!enrollment) co_return fail(std::move(enrollment.error()));
  if (*enrollment != job.proven.stored) co_return fail(kBeginAgain);
  if (job.enrollment().kind == EnrollmentKind::group) {
    auto hiding = co_await tx.get(enrollment_key(instance, EnrollmentKind::individual, id));
    if (!hiding) co_return fail(std::move(hiding.error()));
    if (*hiding) co_return fail(kBeginAgain);
  }

  auto stored = co_await tx.get(registration_key(instance, id));
  if (!stored) co_return fail(std::move(stored.error()));
  if (*stored) {
    auto record = decode_registration(**stored);
    if (!record) co_return fail(std::move(record.error()));
    plan.current = *std::move(record);
  }
  if (job.enrollment().needs_approval &&
      !(plan.current && equal_ignoring_case(plan.current->group, job.group()))) {
    auto approved = co_await is_approved(tx, job.instance().name, job.group(), std::string(id));
    if (!approved) co_return fail(std::move(approved.error()));
    if (!*approved) co_return fail(kBeginAgain);
  }
  plan.policy = effective_reprovision(job.enrollment(), job.request.api_version);
  if (plan.current && is_there(job.instance(), *plan.current)) {
    plan.hub = plan.current->hub;
    plan.is_remote = plan.current->is_remote;
    plan.device = plan.current->device_id;
    auto identity = co_await find_identity(tx, job, plan);
    if (!identity) co_return fail(std::move(identity.error()));
    plan.current_identity = *std::move(identity);
  } else if (plan.current) {
    plan.policy.update_hub_assignment = true;  // its hub is gone; the device needs another
  }
  // A device that was deleted in its hub also lost its digital twin: the function makes it again.
  plan.runs_allocation = !plan.current || plan.policy.update_hub_assignment ||
                         !plan.current_identity || job.remote->needs_allocation;
  co_return Status();
}

Task<Status> Registrar::allocate(store::Transaction& tx, const Job& job, Plan& plan) {
  const Enrollment& enrollment = job.enrollment();
  const resources::Dps& instance = job.instance();
  const resources::LinkedHub* chosen = nullptr;
  if (plan.runs_allocation && effective_policy(enrollment, instance) == AllocationPolicy::custom) {
    const auto hubs = candidates(enrollment, instance);
    if (hubs.empty()) {
      co_return fail(errors::dps::kNoHub, "no linked hub can take the device");
    }
    if (const auto app = deps_.functions.builtin_allocation_app(enrollment.webhook->url)) {
      json::Value request =
          allocation_request(enrollment, job.request.id, job.proven.runtime_context,
                             plan.current ? &*plan.current : nullptr, job.request.payload, hubs);
      auto answer = co_await deps_.functions.allocate(tx, *app, std::move(request));
      if (!answer) co_return fail(as_allocation_failure(answer.error()));
      plan.answer = *std::move(answer);
    } else {
      if (!job.webhook_answer) co_return fail(kBeginAgain);
      plan.answer = job.webhook_answer;
    }
    if (!plan.answer->hub_host_name.empty()) {
      chosen = instance.find_linked_hub(plan.answer->hub_host_name);
      if (chosen == nullptr || !is_usable(*chosen)) {
        co_return fail(errors::dps::kAllocationFailed,
                       fmt::format("Custom allocation failed: {} is not a linked hub",
                                   plan.answer->hub_host_name));
      }
    }
  }

  const bool stays = plan.current && !plan.policy.update_hub_assignment;
  if (stays) {
    plan.hub = plan.current->hub;
    plan.is_remote = plan.current->is_remote;
    const auto catalog = deps_.catalog();
    const resources::Hub* hub = plan.is_remote ? nullptr : catalog->find_hub(plan.hub.view());
    plan.host_name = hub != nullptr ? hub->host_name : plan.current->assigned_hub;
    plan.device = plan.current->device_id;
  } else {
    if (chosen == nullptr) {
      auto best = choose_hub(enrollment, instance, job.request.id.view(), deps_.latency);
      if (!best) co_return fail(std::move(best.error()));
      chosen = *best;
    }
    plan.is_remote = !chosen->hub.has_value();
    plan.hub = chosen->hub.value_or(HubName(remote_name(*chosen)));
    plan.host_name = chosen->host_name;
    // A group's device keeps the spelling it came with first: device IDs are case-sensitive.
    if (plan.answer && plan.answer->device_id) {
      plan.device = *plan.answer->device_id;
    } else if (!enrollment.device_id.empty()) {
      plan.device = DeviceId(enrollment.device_id);
    } else if (plan.current) {
      plan.device = plan.current->device_id;
    } else {
      plan.device = DeviceId(enrollment.kind == EnrollmentKind::individual ? enrollment.id
                                                                           : job.request.id.str());
    }
  }
  plan.moves = plan.current_identity &&
               (plan.current->hub != plan.hub || plan.current->is_remote != plan.is_remote ||
                plan.current->device_id != plan.device);
  co_return Status();
}

Task<Status> Registrar::decide_twin(store::Transaction& tx, const Job& job, Plan& plan) {
  plan.existing = plan.current_identity;
  if (plan.moves || !plan.current_identity) {
    auto found = co_await find_identity(tx, job, plan);
    if (!found) co_return fail(std::move(found.error()));
    plan.existing = *std::move(found);
  }
  plan.substatus = plan.current ? plan.current->substatus : std::string(kInitialAssignment);

  hub::EnsureIdentity wanted;
  wanted.device_id = plan.device;
  wanted.authentication = job.proven.authentication;
  wanted.iot_edge = job.enrollment().iot_edge;
  plan.ensure = std::move(wanted);
  decide_tpm_key(job, plan);
  plan.authentication = plan.ensure->authentication;

  // The function's twin takes the place of the enrollment's, and of the one a device would bring
  // along.
  hub::InitialTwin initial = plan.answer && plan.answer->initial_twin
                                 ? *plan.answer->initial_twin
                                 : initial_twin(job.enrollment());
  if (plan.moves) {
    plan.substatus = kDataReset;
    if (plan.policy.migrate_device_data && !(plan.answer && plan.answer->initial_twin)) {
      auto old = co_await find_twin(tx, job, plan.current->hub, plan.current->is_remote,
                                    plan.current->device_id);
      if (!old) co_return fail(std::move(old.error()));
      if (*old) {
        initial = {.tags = (*old)->tags, .desired = (*old)->desired, .reported = (*old)->reported};
      }
      plan.substatus = kDataMigrated;
    }
    plan.ensure->reset_twin = plan.existing.has_value();
    // Whom an operator has shut out stays out.
    plan.ensure->status = plan.current_identity->status;
    plan.ensure->status_reason = plan.current_identity->status_reason;
  }
  if (!plan.existing || plan.moves) {
    plan.ensure->initial_twin = std::move(initial);
    co_return Status();
  }
  co_return co_await decide_existing_twin(tx, job, plan, std::move(initial));
}

// The identity is there and stays: leave what is as it should be alone.
Task<Status> Registrar::decide_existing_twin(store::Transaction& tx, const Job& job, Plan& plan,
                                             hub::InitialTwin initial) {
  const bool first_time = !plan.current;
  const bool may_change = first_time || plan.policy.update_hub_assignment;
  if (may_change) {
    auto found = co_await find_twin(tx, job, plan.hub, plan.is_remote, plan.device);
    if (!found) co_return fail(std::move(found.error()));
    const hub::DeviceTwin twin = found->value_or(hub::DeviceTwin{});
    if (!first_time && !plan.policy.migrate_device_data) {
      // "Reset": the factory state, whatever the device made of its twin since.
      if (!is_exactly(twin, initial)) {
        plan.ensure->initial_twin = std::move(initial);
        plan.ensure->reset_twin = true;
        plan.substatus = kDataReset;
      }
    } else if ((first_time || (plan.answer && plan.answer->initial_twin)) &&
               !holds(twin, initial)) {
      // The device existed before it was provisioned, or the function says something new (a changed
      // model): that goes over what is there.
      plan.ensure->initial_twin = merged(twin, initial);
      plan.ensure->reset_twin = true;
    }
  }
  if (knows_by(*plan.existing, plan.ensure->authentication) &&
      plan.existing->iot_edge == plan.ensure->iot_edge && !plan.ensure->reset_twin) {
    plan.ensure.reset();
  }
  co_return Status();
}

Task<Status> Registrar::stage_identity(store::Transaction& tx, const Job& job, Plan& plan) {
  if (plan.is_remote) {
    if (auto staged = co_await stage_remote(tx, job, plan); !staged) co_return staged;
  }
  if (plan.moves) {
    if (auto staged = co_await stage_departure(tx, job, plan); !staged) co_return staged;
  }
  if (plan.ensure) {
    auto ensured = co_await deps_.hubs.ensure_identity(tx, plan.hub, *plan.ensure);
    if (!ensured) co_return fail(std::move(ensured.error()));
    plan.generation = ensured->identity.generation;
  } else {
    plan.generation = plan.existing->generation;
  }
  if (plan.answer && plan.answer->digital_twin) {
    auto bound = co_await deps_.functions.bind(
        tx, *plan.answer,
        twins::DeviceBinding{
            .hub = plan.hub, .device_id = plan.device, .generation = plan.generation});
    if (!bound) co_return bound;
  }
  co_return Status();
}

Registration Registrar::stage_record(store::Transaction& tx, const Job& job, const Plan& plan) {
  const std::string_view instance = job.instance().name;
  const RegistrationId& id = job.request.id;
  const auto now = deps_.clock.now();
  Registration record;
  record.id = id;
  record.created = now;
  if (plan.current) record = *plan.current;
  const std::string group = job.group();
  const std::string tpm =
      job.proven.tpm ? tpm_fingerprint(job.proven.tpm->keys->endorsement_key) : std::string();
  const auto payload = plan.runs_allocation
                           ? (plan.answer ? plan.answer->payload : std::optional<json::Value>())
                           : record.payload;
  const bool same_payload = payload.has_value() == record.payload.has_value() &&
                            (!payload || json::equal(*payload, *record.payload));
  if (plan.current && !plan.ensure && !plan.moves && same_payload && record.group == group &&
      record.attestation == job.enrollment().attestation && record.tpm == tpm &&
      record.hub == plan.hub && record.is_remote == plan.is_remote &&
      record.assigned_hub == plan.host_name && record.device_id == plan.device &&
      record.substatus == plan.substatus) {
    return record;  // all is as it was: nothing is written
  }

  if (plan.current && !record.group.empty() && !equal_ignoring_case(record.group, group)) {
    tx.erase(member_key(instance, record.group, id.view()));
  }
  record.group = group;
  record.attestation = job.enrollment().attestation;
  record.tpm = tpm;
  record.hub = plan.hub;
  record.is_remote = plan.is_remote;
  record.assigned_hub = plan.host_name;
  record.device_id = plan.device;
  record.substatus = plan.substatus;
  record.operation_id = job.operation->id();
  record.etag = deps_.random.uuid();
  record.updated = std::max(now, record.updated);
  record.payload = payload;
  tx.put(registration_key(instance, id.view()), encode(record));
  if (!group.empty()) tx.put(member_key(instance, group, id.view()), std::string());
  return record;
}

}  // namespace doppel::provisioning
