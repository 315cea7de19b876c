#include "provisioning/remote_saga.h"

#include <algorithm>

#include <fmt/format.h>

#include "errors/dps.h"
#include "provisioning/keys.h"

namespace doppel::provisioning {
namespace {

constexpr std::string_view kRemoteSpace = "dps-remote";

// Tries what only reads again while the hub does not answer, as long as there is time.
template <class T>
Task<Result<T>> with_tries(const Clock& clock, Random& random, SteadyTime until,
                           std::stop_token stop, std::function<Task<Result<T>>()> once) {
  Duration wait = kRemoteFirstBackOff;
  for (int tries = 1;; ++tries) {
    auto result = co_await once();
    if (result || result.error().code != Code::unavailable || tries == kRemoteTriesMax) {
      co_return result;
    }
    const Duration jittered = wait / 2 + wait * static_cast<int>(random.next() % 64) / 128;
    if (clock.steady() + jittered >= until) co_return result;
    if (!co_await sleep_for(jittered, stop)) co_return fail(Code::cancelled, "the server stops");
    wait *= 2;
  }
}

bool is_marked(const PendingIdentity& pending, const RemoteIdentity& identity) {
  return !pending.marker.empty() && identity.status_reason == pending.marker;
}

// Whether the record speaks of this very identity.
bool owns(const PendingIdentity& pending, const RemoteIdentity& identity) {
  return is_marked(pending, identity) ||
         (!pending.generation.empty() && identity.generation == pending.generation);
}

}  // namespace

std::string pending_prefix() { return store::key({kRemoteSpace}); }

std::string pending_key(const RemotePlace& place) {
  return store::key({kRemoteSpace, to_lower(place.instance), place.hub, place.device.view()});
}

// ---- Who works on what ----

bool RemoteSaga::is_active(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  return active_.contains(key);
}

bool RemoteSaga::claim(const std::string& key, const std::string& operation) {
  const std::scoped_lock lock(mutex_);
  return active_.emplace(key, operation).first->second == operation;
}

void RemoteSaga::release(const std::string& key, const std::string& operation) {
  const std::scoped_lock lock(mutex_);
  const auto at = active_.find(key);
  if (at != active_.end() && at->second == operation) active_.erase(at);
}

RemoteHub RemoteSaga::hub(const RemoteAddress& address, std::stop_token stop) const {
  return RemoteHub(deps_.transport, deps_.clock, address, std::move(stop));
}

// ---- Making ----

Task<Result<std::optional<RemoteIdentity>>> RemoteSaga::find(Request request) const {
  const RemoteHub there = hub(request.address, request.stop);
  std::function<Task<Result<std::optional<RemoteIdentity>>>()> once = [&] {
    return there.find(request.place.device);
  };
  co_return co_await with_tries(deps_.clock, deps_.random, request.until, request.stop,
                                std::move(once));
}

Task<Result<std::optional<hub::DeviceTwin>>> RemoteSaga::find_twin(Request request) const {
  const RemoteHub there = hub(request.address, request.stop);
  std::function<Task<Result<std::optional<hub::DeviceTwin>>>()> once = [&] {
    return there.find_twin(request.place.device);
  };
  co_return co_await with_tries(deps_.clock, deps_.random, request.until, request.stop,
                                std::move(once));
}

Task<Result<RemoteSaga::Intent>> RemoteSaga::begin(Request request,
                                                   std::optional<RemoteIdentity> existing) {
  if (!claim(pending_key(request.place), request.operation)) {
    co_return fail(errors::dps::kUnavailable, "another registration makes the same device now");
  }
  std::function<Task<Result<Intent>>(store::Transaction&)> body =
      [this, request, existing](store::Transaction& tx) { return begin_in(tx, request, existing); };
  co_return co_await store::transact<Intent>(deps_.store, std::move(body));
}

Task<Result<RemoteSaga::Intent>> RemoteSaga::begin_in(
    store::Transaction& tx, Request request, std::optional<RemoteIdentity> existing) const {
  auto found = co_await read(tx, pending_key(request.place));
  if (!found) co_return fail(std::move(found.error()));
  const std::optional<PendingIdentity>& old = *found;
  const bool is_mine =
      old && old->operation == request.operation && old->state == PendingIdentity::State::making;
  Intent intent;
  PendingIdentity& made = intent.pending;
  made.place = request.place;
  made.operation = request.operation;
  made.marker = fmt::format("provisioned, operation {}", request.operation);
  made.address = request.address;
  made.since = is_mine ? old->since : deps_.clock.now();
  if (existing) {
    // What a crash left, or a device that moved away and comes back: whoever fails now undoes it.
    const bool is_owned = old && owns(*old, *existing) && (is_mine ? old->is_ours_to_undo : true);
    made.is_ours_to_undo = is_owned || is_marked(made, *existing);
    intent.takes_over = is_owned && !is_marked(made, *existing);
    if (intent.takes_over) made.generation = existing->generation;
  }
  write(tx, made);
  co_return intent;
}

Task<Result<RemoteIdentity>> RemoteSaga::make(Request request, hub::EnsureIdentity wanted,
                                              std::optional<RemoteIdentity> existing) {
  auto begun = co_await begin(request, existing);
  if (!begun) co_return fail(std::move(begun.error()));
  const RemoteHub there = hub(request.address, request.stop);
  const bool existed = existing.has_value();
  Duration wait = kRemoteFirstBackOff;
  for (int tries = 1;; ++tries) {
    auto made = co_await make_once(request, wanted, *begun, existing);
    if (made) co_return made;
    const Code code = made.error().code;
    if (code == Code::already_exists || code == Code::precondition_failed) {
      // What was decided is based on something else than what is there.
      co_return fail(Code::conflict, made.error().message);
    }
    if (code != Code::unavailable || tries == kRemoteTriesMax) co_return made;
    const Duration jittered = wait / 2 + wait * static_cast<int>(deps_.random.next() % 64) / 128;
    if (deps_.clock.steady() + jittered >= request.until) co_return made;
    if (!co_await sleep_for(jittered, request.stop)) {
      co_return fail(Code::cancelled, "the server stops");
    }
    wait *= 2;
    // The call may have had its effect.
    auto found = co_await there.find(request.place.device);
    if (!found) continue;
    existing = *std::move(found);
    const bool is_made = existing && is_marked(begun->pending, *existing);
    if (existing.has_value() != existed && !is_made) {
      co_return fail(Code::conflict, "the device changed in its hub");
    }
  }
}

Task<Result<RemoteIdentity>> RemoteSaga::make_once(Request request, hub::EnsureIdentity wanted,
                                                   Intent intent,
                                                   std::optional<RemoteIdentity> existing) const {
  const RemoteHub there = hub(request.address, request.stop);
  const std::string& marker = intent.pending.marker;
  const bool is_made = !existing || is_marked(intent.pending, *existing);
  Result<RemoteIdentity> made = fail(Code::internal, "");
  if (!existing) {
    made = co_await there.create(wanted, marker);
  } else {
    const bool marks = intent.takes_over && !is_made;
    if (!marks && same_credentials(existing->authentication, wanted.authentication) &&
        existing->iot_edge == wanted.iot_edge) {
      made = *existing;
    } else {
      made = co_await there.update(*existing, wanted, marks ? marker : std::string());
    }
  }
  if (!made) co_return made;
  const auto twin = wanted.initial_twin.value_or(hub::InitialTwin{});
  const bool is_empty = twin.tags.empty() && twin.desired.empty();
  // A new device's twin is empty; one that an earlier try made may hold anything.
  if (wanted.reset_twin || (is_made && wanted.initial_twin && (existing || !is_empty))) {
    auto replaced = co_await there.replace_twin(wanted.device_id, twin);
    if (!replaced) co_return fail(std::move(replaced.error()));
  }
  co_return made;
}

Task<Result<RemoteSaga::Pending>> RemoteSaga::pending(store::Transaction& tx, RemotePlace place,
                                                      std::string operation) {
  auto found = co_await read(tx, pending_key(place));
  if (!found) co_return fail(std::move(found.error()));
  if (!*found) co_return Pending::none;
  const bool is_mine =
      (*found)->state == PendingIdentity::State::making && (*found)->operation == operation;
  co_return is_mine ? Pending::mine : Pending::other;
}

void RemoteSaga::stage_done(store::Transaction& tx, const RemotePlace& place) const {
  tx.erase(pending_key(place));
}

Task<Status> RemoteSaga::stage_removal(store::Transaction& tx, RemotePlace place,
                                       RemoteAddress address, GenerationId generation) {
  const std::string key = pending_key(place);
  auto found = co_await read(tx, key);
  if (!found) co_return fail(std::move(found.error()));
  if (*found && is_active(key)) {
    co_return fail(errors::dps::kUnavailable, "another registration makes the same device now");
  }
  PendingIdentity pending;
  pending.state = PendingIdentity::State::removing;
  pending.place = std::move(place);
  pending.address = std::move(address);
  pending.generation = std::move(generation);
  if (*found) pending.marker = (*found)->marker;
  pending.since = deps_.clock.now();
  pending.not_before = pending.since;
  write(tx, pending);
  co_return Status();
}

}  // namespace doppel::provisioning
