// Registrations in which a hub elsewhere takes part. The transaction is the same as for our own
// hubs; this is what it asks instead of hub/, and what happens around it (remote_saga.h).
#include <algorithm>

#include "errors/dps.h"
#include "provisioning/registrar.h"
#include "provisioning/registrar_plan.h"

namespace doppel::provisioning {
namespace {

// Looks, changes and second thoughts of one registration; more means that somebody else keeps
// changing the device over there.
constexpr int kRemoteRoundsMax = 12;

}  // namespace

// ---- What the transaction asks ----

Result<std::optional<RemoteIdentity>> Registrar::seen_identity(const Job& job,
                                                               const RemotePlace& place) {
  RemoteWork& work = *job.remote;
  const auto at = work.seen.find(pending_key(place));
  if (at != work.seen.end() && at->second.has_identity) return at->second.identity;
  work.lacks = place;
  work.lacks_twin = false;
  return fail(kLookFirst);
}

Result<std::optional<hub::DeviceTwin>> Registrar::seen_twin(const Job& job,
                                                            const RemotePlace& place) {
  RemoteWork& work = *job.remote;
  const auto at = work.seen.find(pending_key(place));
  if (at != work.seen.end() && at->second.has_twin) return at->second.twin;
  work.lacks = place;
  work.lacks_twin = true;
  return fail(kLookFirst);
}

Task<Result<std::optional<hub::Identity>>> Registrar::find_identity(store::Transaction& tx,
                                                                    const Job& job,
                                                                    const Plan& plan) {
  if (!plan.is_remote) co_return co_await deps_.hubs.find_identity(tx, plan.hub, plan.device);
  auto seen = seen_identity(
      job, {.instance = job.instance().name, .hub = plan.hub.str(), .device = plan.device});
  if (!seen) co_return fail(std::move(seen.error()));
  if (!*seen) co_return std::nullopt;
  co_return (*seen)->identity(plan.device);
}

Task<Result<std::optional<hub::DeviceTwin>>> Registrar::find_twin(store::Transaction& tx,
                                                                  const Job& job, HubName hub,
                                                                  bool is_remote, DeviceId device) {
  if (!is_remote) co_return co_await deps_.hubs.find_twin(tx, std::move(hub), std::move(device));
  co_return seen_twin(
      job, {.instance = job.instance().name, .hub = hub.str(), .device = std::move(device)});
}

// ---- What it stages ----

// The identity must be made before this commit; afterwards the intent goes with it.
Task<Status> Registrar::stage_remote(store::Transaction& tx, const Job& job, Plan& plan) {
  const RemotePlace place{
      .instance = job.instance().name, .hub = plan.hub.str(), .device = plan.device};
  RemoteWork& work = *job.remote;
  const bool is_made = work.made == place;
  auto pending = co_await deps_.remotes.pending(tx, place, job.operation->id());
  if (!pending) co_return fail(std::move(pending.error()));
  // What was there when we looked may have been removed since, if a record said so that is gone
  // now.
  auto slot = co_await tx.get(pending_key(place));
  if (!slot) co_return fail(std::move(slot.error()));
  RemoteWork::Seen& seen = work.seen[pending_key(place)];
  if (*pending != RemoteSaga::Pending::mine && seen.slot != *slot) {
    seen = {};
    work.lacks = place;
    work.lacks_twin = false;
    co_return fail(kLookFirst);
  }
  // Whatever else is recorded about the identity would undo it some day, so it is taken over.
  if (*pending == RemoteSaga::Pending::other || (plan.ensure && !is_made)) {
    work.lacks = place;
    if (plan.ensure) {
      work.wanted = *plan.ensure;
    } else {
      work.wanted = hub::EnsureIdentity{.device_id = plan.device,
                                        .authentication = plan.authentication,
                                        .iot_edge = job.enrollment().iot_edge};
    }
    work.wanted_substatus = plan.substatus;
    if (plan.runs_allocation || *pending == RemoteSaga::Pending::other) {
      work.needs_allocation = true;
    }
    co_return fail(kMakeFirst);
  }
  if (is_made) plan.substatus = work.made_substatus;
  if (*pending == RemoteSaga::Pending::mine) deps_.remotes.stage_done(tx, place);
  auto identity = seen_identity(job, place);
  if (!identity) co_return fail(std::move(identity.error()));
  if (!*identity) co_return fail(kBeginAgain);
  plan.existing = (*identity)->identity(plan.device);
  plan.ensure.reset();
  co_return Status();
}

// The identity that the device leaves behind: ours goes in this commit, another hub's after it.
Task<Status> Registrar::stage_departure(store::Transaction& tx, const Job& job, const Plan& plan) {
  const Registration& from = *plan.current;
  if (!from.is_remote) {
    co_return co_await deps_.hubs.remove_identity(tx, from.hub, from.device_id);
  }
  const resources::LinkedHub* linked = job.instance().find_linked_hub(from.hub.view());
  if (linked == nullptr) co_return fail(kBeginAgain);
  job.remote->leaves_behind = true;
  co_return co_await deps_.remotes.stage_removal(
      tx, {.instance = job.instance().name, .hub = from.hub.str(), .device = from.device_id},
      address_of(*linked), plan.current_identity->generation);
}

// ---- What happens around it ----

Task<Result<Registration>> Registrar::commit_assignment(std::shared_ptr<Job> job) {
  for (int round = 0; round < kRemoteRoundsMax; ++round) {
    std::function<Task<Result<Registration>>(store::Transaction&)> body =
        [this, job](store::Transaction& tx) { return assign(tx, job); };
    store::Committed committed;
    auto assigned =
        co_await store::transact<Registration>(deps_.store, std::move(body), &committed);
    if (assigned) {
      note_commit(*job, *assigned, committed);
      co_return assigned;
    }
    const ServiceError* why = assigned.error().service;
    if (why != &kLookFirst && why != &kMakeFirst) co_return assigned;
    job->trail().note("remote hub", Verdict::noted, "{} on {} is {}",
                      job->remote->lacks->device.view(), job->remote->lacks->hub,
                      why == &kLookFirst ? "looked at" : "made");
    auto done = co_await (why == &kLookFirst ? look(job) : make(job));
    if (!done) job->trail().note("remote hub", Verdict::refused, "{}", done.error().message);
    if (!done) {
      job->remote->is_silent = done.error().code == Code::unavailable;
      co_return fail(std::move(done.error()));
    }
  }
  co_return fail(errors::dps::kUnavailable, "the device keeps changing in its hub");
}

// How to reach `place`. Nothing: the hub is not linked.
static std::optional<RemoteSaga::Request> request_for(const resources::Dps& instance,
                                                      const RemotePlace& place,
                                                      std::string operation, SteadyTime until,
                                                      std::stop_token stop) {
  const resources::LinkedHub* linked = instance.find_linked_hub(place.hub);
  if (linked == nullptr) return std::nullopt;
  return RemoteSaga::Request{.place = place,
                             .address = address_of(*linked),
                             .operation = std::move(operation),
                             .until = until,
                             .stop = std::move(stop)};
}

Task<Status> Registrar::look(std::shared_ptr<Job> job) {
  RemoteWork& work = *job->remote;
  const RemotePlace place = *work.lacks;
  const bool twin = work.lacks_twin;
  auto request =
      request_for(job->instance(), place, job->operation->id(), work.until, stop_.get_token());
  if (!request) co_return fail(kBeginAgain);
  if (twin) {
    auto found = co_await deps_.remotes.find_twin(*std::move(request));
    if (!found) co_return fail(std::move(found.error()));
    RemoteWork::Seen& seen = work.seen[pending_key(place)];
    seen.twin = *std::move(found);
    seen.has_twin = true;
    co_return Status();
  }
  auto slot = co_await deps_.store.snapshot()->get(pending_key(place));
  if (!slot) co_return fail(std::move(slot.error()));
  auto found = co_await deps_.remotes.find(*std::move(request));
  if (!found) co_return fail(std::move(found.error()));
  RemoteWork::Seen& seen = work.seen[pending_key(place)];
  seen.slot = *std::move(slot);
  seen.identity = *std::move(found);
  seen.has_identity = true;
  co_return Status();
}

Task<Status> Registrar::make(std::shared_ptr<Job> job) {
  RemoteWork& work = *job->remote;
  const RemotePlace place = *work.lacks;
  auto request =
      request_for(job->instance(), place, job->operation->id(), work.until, stop_.get_token());
  if (!request) co_return fail(kBeginAgain);
  work.made.reset();
  if (std::ranges::find(work.begun, place) == work.begun.end()) work.begun.push_back(place);
  const std::optional<RemoteIdentity> existing = work.seen[pending_key(place)].identity;
  const hub::EnsureIdentity wanted = *work.wanted;
  auto made = co_await deps_.remotes.make(*std::move(request), wanted, existing);
  RemoteWork::Seen& seen = work.seen[pending_key(place)];
  seen = {};
  if (!made) {
    // It is not as it was when we looked: look again, decide again.
    if (made.error().code == Code::conflict) co_return Status();
    co_return fail(std::move(made.error()));
  }
  seen.identity = *std::move(made);
  seen.has_identity = true;
  work.made = place;
  work.made_substatus = work.wanted_substatus;
  co_return Status();
}

Task<void> Registrar::give_up_unfinished(std::shared_ptr<Job> job) {
  for (const RemotePlace& place : job->remote->begun) {
    co_await deps_.remotes.give_up(place, job->operation->id(), !job->remote->is_silent);
  }
  if (job->remote->leaves_behind) deps_.remotes.wake();
}

}  // namespace doppel::provisioning
