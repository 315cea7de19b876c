// The background half of RemoteSaga: what was begun and not finished is undone, what was left
// behind is removed; and how the records are written.
#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/metrics.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/remote_saga.h"

namespace doppel::provisioning {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr Duration kPassEvery = std::chrono::seconds(30);  // when nothing is due earlier
constexpr Duration kPassPauseMin = std::chrono::milliseconds(100);
constexpr int kRemoveRoundsMax = 5;  // another writer was faster each time

std::int64_t nanos(TimePoint time) { return time.time_since_epoch().count(); }

TimePoint read_time(const json::Value& stored, std::string_view name) {
  const json::Value* member = json::find(stored, name);
  return TimePoint(Duration(member != nullptr ? json::to_int64(*member).value_or(0) : 0));
}

Duration back_off(int tries) {
  Duration wait = kRemovalFirstBackOff;
  for (int i = 1; i < tries && wait < kRemovalBackOffMax; ++i) wait *= 2;
  return std::min(wait, kRemovalBackOffMax);
}

metrics::Counter& removed_counter() {
  static metrics::Counter& counter =
      metrics::counter("doppel_provisioning_remote_removals_total",
                       "Identities removed from linked hubs elsewhere, so that none stays behind");
  return counter;
}

}  // namespace

// ---- Records ----

void RemoteSaga::write(store::Transaction& tx, const PendingIdentity& p) const {
  json::Object out;
  out["v"] = kFormat;
  out["state"] = p.state == PendingIdentity::State::making ? "making" : "removing";
  out["instance"] = p.place.instance;
  out["hub"] = p.place.hub;
  out["device"] = p.place.device.str();
  out["op"] = p.operation;
  out["undo"] = p.is_ours_to_undo;
  out["marker"] = p.marker;
  out["generation"] = p.generation.str();
  out["authority"] = p.address.authority;
  out["keyName"] = p.address.key_name;
  out["key"] = p.address.key;
  out["tries"] = p.tries;
  out["since"] = nanos(p.since);
  out["notBefore"] = nanos(p.not_before);
  const std::string key = pending_key(p.place);
  tx.put(key, deps_.box.seal(json::write(out), key));
}

Result<PendingIdentity> RemoteSaga::decode(const std::string& key,
                                           const std::string& stored) const {
  auto plain = deps_.box.open(stored, key);
  if (!plain) return fail(Code::internal, "a record of a remote identity cannot be opened");
  const auto read = json::parse(*plain);
  if (!read || !read->is_object()) {
    return fail(Code::internal, "a record of a remote identity cannot be read");
  }
  const json::Value* format = json::find(*read, "v");
  if (format == nullptr || json::to_int64(*format) != kFormat) {
    return fail(Code::internal, "a record of a remote identity has an unknown format");
  }
  const auto text = [&](std::string_view name) { return json::get_string_or(*read, name, ""); };
  PendingIdentity p;
  p.state =
      text("state") == "making" ? PendingIdentity::State::making : PendingIdentity::State::removing;
  p.place = {.instance = text("instance"), .hub = text("hub"), .device = DeviceId(text("device"))};
  p.operation = text("op");
  const json::Value* undo = json::find(*read, "undo");
  p.is_ours_to_undo = undo != nullptr && undo->is_bool() && undo->get_bool();
  p.marker = text("marker");
  p.generation = GenerationId(text("generation"));
  p.address = {.authority = text("authority"), .key_name = text("keyName"), .key = text("key")};
  const json::Value* tries = json::find(*read, "tries");
  p.tries = static_cast<int>(tries != nullptr ? json::to_int64(*tries).value_or(0) : 0);
  p.since = read_time(*read, "since");
  p.not_before = read_time(*read, "notBefore");
  return p;
}

Task<Result<std::optional<PendingIdentity>>> RemoteSaga::read(store::Transaction& tx,
                                                              std::string key) const {
  auto stored = co_await tx.get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored) co_return std::nullopt;
  auto decoded = decode(key, **stored);
  if (!decoded) co_return fail(std::move(decoded.error()));
  co_return *std::move(decoded);
}

// ---- Undoing ----

Task<Result<bool>> RemoteSaga::abandon(std::string key, std::string operation) {
  std::function<Task<Result<bool>>(store::Transaction&)> body =
      [this, key, operation](store::Transaction& tx) -> Task<Result<bool>> {
    auto found = co_await read(tx, key);
    if (!found) co_return fail(std::move(found.error()));
    if (!*found || (*found)->operation != operation) co_return false;
    PendingIdentity pending = **found;
    if (pending.state == PendingIdentity::State::removing) co_return true;
    if (!pending.is_ours_to_undo) {
      tx.erase(key);
      co_return false;
    }
    pending.state = PendingIdentity::State::removing;
    pending.not_before = deps_.clock.now();
    write(tx, pending);
    co_return true;
  };
  co_return co_await store::transact<bool>(deps_.store, std::move(body));
}

Task<void> RemoteSaga::give_up(RemotePlace place, std::string operation, bool tries_now) {
  const std::string key = pending_key(place);
  auto left = co_await abandon(key, operation);
  release(key, operation);
  if (left && *left && tries_now) {
    auto removed = co_await remove(key);
    if (removed) co_return;
  }
  if (!left || *left) wake();  // the background goes on with it
}

Task<Status> RemoteSaga::remove(std::string key) {
  auto stored = co_await deps_.store.snapshot()->get(key);
  if (!stored) co_return fail(std::move(stored.error()));
  if (!*stored || is_active(key)) co_return Status();
  auto pending = decode(key, **stored);
  if (!pending) co_return fail(std::move(pending.error()));
  if (pending->state != PendingIdentity::State::removing) co_return Status();
  auto removed = co_await remove_over_there(
      *pending, current_address(pending->place).value_or(pending->address));
  co_return co_await settle(std::move(key), **std::move(stored), *std::move(pending),
                            std::move(removed));
}

// The hub's key may have been changed since; then the link has the new one.
std::optional<RemoteAddress> RemoteSaga::current_address(const RemotePlace& place) const {
  const auto catalog = deps_.catalog();
  const resources::Dps* instance = catalog->find_dps(place.instance);
  if (instance == nullptr) return std::nullopt;
  const resources::LinkedHub* linked = instance->find_linked_hub(place.hub);
  if (linked == nullptr || linked->hub) return std::nullopt;
  return address_of(*linked);
}

Task<Status> RemoteSaga::remove_over_there(const PendingIdentity& pending,
                                           RemoteAddress address) const {
  const RemoteHub there = hub(address, background_.token());
  Error last;
  for (int round = 0; round < kRemoveRoundsMax; ++round) {
    auto found = co_await there.find(pending.place.device);
    if (!found) co_return fail(std::move(found.error()));
    if (!*found) co_return Status();
    const RemoteIdentity& identity = **found;
    const bool is_ours = (!pending.marker.empty() && identity.status_reason == pending.marker) ||
                         (!pending.generation.empty() && identity.generation == pending.generation);
    if (!is_ours) co_return Status();  // somebody made another; it is theirs
    auto removed = co_await there.remove(pending.place.device, identity.etag);
    if (removed) {
      removed_counter().add();
      log::info("provisioning.remote_identity_removed",
                {{"hub", pending.place.hub}, {"device_id", pending.place.device.view()}});
      co_return Status();
    }
    if (removed.error().code != Code::precondition_failed) co_return removed;
    last = std::move(removed.error());
  }
  co_return fail(std::move(last));
}

// Writes down how the removal went, unless the record is another one by now.
Task<Status> RemoteSaga::settle(std::string key, std::string seen, PendingIdentity pending,
                                Status removed) {
  const TimePoint now = deps_.clock.now();
  bool is_over = removed.has_value();
  if (!is_over) {
    ++pending.tries;
    pending.not_before = now + back_off(pending.tries);
    const bool is_linked = current_address(pending.place).has_value();
    is_over = !is_linked && now - pending.since > kRemovalGivenUpAfter;
    log::warn(is_over ? "provisioning.remote_identity_left" : "provisioning.remote_removal_failed",
              {{"hub", pending.place.hub},
               {"device_id", pending.place.device.view()},
               {"tries", pending.tries},
               {"reason", removed.error().message}});
  }
  std::function<Task<Result<bool>>(store::Transaction&)> body =
      [this, key, seen, pending, is_over](store::Transaction& tx) -> Task<Result<bool>> {
    auto stored = co_await tx.get(key);
    if (!stored) co_return fail(std::move(stored.error()));
    if (*stored != seen) co_return false;
    if (is_over) {
      tx.erase(key);
    } else {
      write(tx, pending);
    }
    co_return true;
  };
  auto settled = co_await store::transact<bool>(deps_.store, std::move(body));
  if (!settled) co_return fail(std::move(settled.error()));
  co_return removed;
}

// ---- The passes ----

Task<Duration> RemoteSaga::clean() {
  const std::string prefix = pending_prefix();
  const std::string last = store::after_prefix(prefix);
  std::string from = prefix;
  Duration next = kPassEvery;
  std::set<std::string, std::less<>> silent;  // hubs that did not answer: one wait a pass is enough
  while (!background_.token().stop_requested()) {
    auto entries = co_await deps_.store.snapshot()->scan(from, last, kPendingPerScan);
    if (!entries) co_return std::min(next, Duration(kRemovalFirstBackOff));
    for (const store::Entry& entry : *entries) {
      from = entry.key + '\0';
      auto pending = decode(entry.key, entry.value);
      if (!pending || is_active(entry.key)) continue;
      if (pending->state == PendingIdentity::State::making) {
        auto left = co_await abandon(entry.key, pending->operation);
        if (!left || !*left) continue;
      } else if (pending->not_before > deps_.clock.now()) {
        next = std::min(next, Duration(pending->not_before - deps_.clock.now()));
        continue;
      }
      if (silent.contains(pending->place.hub)) {
        next = std::min(next, Duration(kRemovalFirstBackOff));
        continue;
      }
      auto removed = co_await remove(entry.key);
      if (removed) continue;
      if (removed.error().code == Code::unavailable) silent.insert(pending->place.hub);
      next = std::min(next, back_off(pending->tries + 1));
      if (background_.token().stop_requested()) break;
    }
    if (entries->size() < kPendingPerScan) break;
  }
  co_return std::max(next, Duration(kPassPauseMin));
}

void RemoteSaga::start(Executor& home) {
  background_.start(home, [this](std::stop_token) { return clean(); });
}

}  // namespace doppel::provisioning
