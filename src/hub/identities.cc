// The identity registry: create, read, update, delete; each with its lifecycle event in the same
// commit.
#include "errors/hub.h"
#include "hub/hub_events.h"
#include "hub/hubs.h"
#include "hub/identity_record.h"
#include "hub/identity_rules.h"
#include "hub/keys.h"
#include "hub/twin_merge.h"
#include "hub/twin_record.h"
#include "hub/twin_rules.h"

namespace doppel::hub {
namespace {

std::unexpected<Error> not_found(const ModuleId& module) {
  return fail(module.empty() ? errors::hub::kDeviceNotFound : errors::hub::kModuleNotFound);
}

DeviceTwin fresh_twin(std::optional<InitialTwin> initial, const std::string& now) {
  DeviceTwin twin{.desired_metadata = fresh_metadata(), .reported_metadata = fresh_metadata()};
  if (!initial) return twin;
  const Stamp stamp{.time = now, .version = 1};
  merge_section(twin.tags, nullptr, initial->tags, stamp);
  const auto desired = without_system_members(std::move(initial->desired));
  if (!desired.empty()) merge_section(twin.desired, &twin.desired_metadata, desired, stamp);
  const auto reported = without_system_members(std::move(initial->reported));
  if (!reported.empty()) merge_section(twin.reported, &twin.reported_metadata, reported, stamp);
  return twin;
}

Status check_initial(const InitialTwin& initial) {
  if (auto ok = check_twin_patch(TwinSection::tags, initial.tags); !ok) return ok;
  if (auto ok = check_twin_patch(TwinSection::desired, initial.desired); !ok) return ok;
  if (auto ok = check_twin_patch(TwinSection::reported, initial.reported); !ok) return ok;
  if (auto ok = check_section_growth(TwinSection::tags, 0, section_size(initial.tags)); !ok)
    return ok;
  if (auto ok = check_section_growth(TwinSection::reported, 0, section_size(initial.reported)); !ok)
    return ok;
  return check_section_growth(TwinSection::desired, 0, section_size(initial.desired));
}

}  // namespace

Task<Result<Identity>> HubService::get_identity(HubName hub, DeviceId device, ModuleId module) {
  auto identity = co_await find_cached(hub, device, module);
  if (!identity) co_return fail(std::move(identity.error()));
  if (!*identity) {
    if (!module.empty()) {
      auto parent = co_await find_cached(hub, device, ModuleId());
      if (!parent) co_return fail(std::move(parent.error()));
      if (!*parent) co_return not_found(ModuleId());
    }
    co_return not_found(module);
  }
  co_return **identity;
}

Task<Result<Identity>> HubService::create_identity(HubName hub, Identity wanted) {
  co_return co_await create_with_twin(std::move(hub), std::move(wanted), std::nullopt);
}

Task<Result<Identity>> HubService::create_with_twin(HubName hub, Identity wanted,
                                                    std::optional<InitialTwin> initial) {
  if (auto ok = check_identity(wanted); !ok) co_return fail(std::move(ok.error()));
  if (initial) {
    if (auto ok = check_initial(*initial); !ok) co_return fail(std::move(ok.error()));
  }
  complete_keys(wanted.authentication, parts_.random);
  std::function<Task<Result<Identity>>(store::Transaction&)> body =
      [this, hub, wanted, initial](store::Transaction& tx) -> Task<Result<Identity>> {
    auto current = co_await read_identity(tx, hub, wanted.device_id, wanted.module_id);
    if (!current) co_return fail(std::move(current.error()));
    if (*current) {
      co_return fail(wanted.module_id.empty() ? errors::hub::kDeviceAlreadyExists
                                              : errors::hub::kModuleAlreadyExistsOnDevice);
    }
    Identity identity = wanted;
    auto added = co_await add_identity(tx, hub, identity, initial);
    if (!added) co_return fail(std::move(added.error()));
    co_return identity;
  };
  co_return co_await store::transact<Identity>(parts_.store, std::move(body));
}

Task<Result<Identity>> HubService::update_identity(HubName hub, Identity wanted,
                                                   std::string if_match) {
  if (auto ok = check_identity(wanted); !ok) co_return fail(std::move(ok.error()));
  std::function<Task<Result<Identity>>(store::Transaction&)> body =
      [this, hub, wanted, if_match](store::Transaction& tx) -> Task<Result<Identity>> {
    auto current = co_await read_identity(tx, hub, wanted.device_id, wanted.module_id);
    if (!current) co_return fail(std::move(current.error()));
    if (!*current) co_return not_found(wanted.module_id);
    if (!etag_matches(if_match, (*current)->etag.view()))
      co_return fail(errors::hub::kPreconditionFailed);
    Identity updated = wanted;
    updated.generation = (*current)->generation;
    updated.authentication =
        merged_authentication((*current)->authentication, wanted.authentication);
    complete_keys(updated.authentication, parts_.random);
    updated.status_updated =
        updated.status == (*current)->status ? (*current)->status_updated : parts_.clock.now();
    updated.etag = random_etag(parts_.random);
    put_identity(tx, hub, updated);
    co_return updated;
  };
  co_return co_await store::transact<Identity>(parts_.store, std::move(body));
}

Task<Status> HubService::delete_identity(HubName hub, DeviceId device, ModuleId module,
                                         std::string if_match) {
  std::function<Task<Result<bool>>(store::Transaction&)> body =
      [this, hub, device, module, if_match](store::Transaction& tx) -> Task<Result<bool>> {
    auto current = co_await read_identity(tx, hub, device, module);
    if (!current) co_return fail(std::move(current.error()));
    if (!*current) co_return not_found(module);
    if (!etag_matches(if_match, (*current)->etag.view()))
      co_return fail(errors::hub::kPreconditionFailed);
    auto erased = co_await erase_identity(tx, hub, **current);
    if (!erased) co_return fail(std::move(erased.error()));
    co_return true;
  };
  auto deleted = co_await store::transact<bool>(parts_.store, std::move(body));
  if (!deleted) co_return fail(std::move(deleted.error()));
  co_return Status();
}

Task<Result<EnsuredIdentity>> HubService::ensure_identity(store::Transaction& tx, HubName hub,
                                                          EnsureIdentity wanted) {
  Identity identity{.device_id = wanted.device_id,
                    .status = wanted.status,
                    .status_reason = wanted.status_reason,
                    .authentication = wanted.authentication,
                    .iot_edge = wanted.iot_edge};
  if (auto ok = check_identity(identity); !ok) co_return fail(std::move(ok.error()));
  if (wanted.initial_twin) {
    if (auto ok = check_initial(*wanted.initial_twin); !ok) co_return fail(std::move(ok.error()));
  }
  auto current = co_await read_identity(tx, hub, wanted.device_id, ModuleId());
  if (!current) co_return fail(std::move(current.error()));
  if (!*current) {
    complete_keys(identity.authentication, parts_.random);
    auto added = co_await add_identity(tx, hub, identity, std::move(wanted.initial_twin));
    if (!added) co_return fail(std::move(added.error()));
    co_return EnsuredIdentity{.identity = std::move(identity), .created = true};
  }

  identity = std::move(**current);
  auto authentication = merged_authentication(identity.authentication, wanted.authentication);
  complete_keys(authentication, parts_.random);
  if (!same_authentication(identity.authentication, authentication) ||
      identity.iot_edge != wanted.iot_edge) {
    identity.authentication = std::move(authentication);
    identity.iot_edge = wanted.iot_edge;
    identity.etag = random_etag(parts_.random);
    put_identity(tx, hub, identity);
  }
  if (wanted.reset_twin) {
    auto reset = co_await reset_twin(tx, hub, identity,
                                     std::move(wanted.initial_twin).value_or(InitialTwin{}));
    if (!reset) co_return fail(std::move(reset.error()));
  }
  co_return EnsuredIdentity{.identity = std::move(identity), .created = false};
}

Task<Status> HubService::remove_identity(store::Transaction& tx, HubName hub, DeviceId device) {
  auto current = co_await read_identity(tx, hub, device, ModuleId());
  if (!current) co_return fail(std::move(current.error()));
  if (!*current) co_return Status();
  co_return co_await erase_identity(tx, hub, std::move(**current));
}

Task<Result<std::optional<Identity>>> HubService::find_identity(store::Transaction& tx, HubName hub,
                                                                DeviceId device) {
  co_return co_await read_identity(tx, hub, device, ModuleId());
}

// ---- Parts ----

Task<Result<std::optional<Identity>>> HubService::read_identity(store::Transaction& tx, HubName hub,
                                                                DeviceId device, ModuleId module) {
  const auto key = identity_key(hub, device, module);
  auto record = co_await tx.get(key);
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return std::optional<Identity>{};
  auto identity = decode_identity(**record, key, std::move(device), std::move(module), parts_.box);
  if (!identity) co_return fail(std::move(identity.error()));
  co_return std::optional(std::move(*identity));
}

void HubService::put_identity(store::Transaction& tx, const HubName& hub,
                              const Identity& identity) {
  const auto key = identity_key(hub, identity.device_id, identity.module_id);
  tx.put(key, encode_identity(identity, key, parts_.box));
}

// Fills in what the hub decides: generation and etag. `identity` is not there yet, as `tx` has
// read.
Task<Status> HubService::add_identity(store::Transaction& tx, HubName hub, Identity& identity,
                                      std::optional<InitialTwin> initial) {
  if (!identity.module_id.empty()) {
    auto room = co_await check_room_for_module(tx, hub, identity.device_id);
    if (!room) co_return fail(std::move(room.error()));
  }
  const auto context = event_context(hub, parts_.clock.now(), parts_.random);
  identity.generation = make_generation(context.now, tx.read_version().value, identity.device_id);
  identity.etag = random_etag(parts_.random);
  identity.status_updated = {};
  put_identity(tx, hub, identity);
  const auto twin = fresh_twin(std::move(initial), time_text(context.now));
  tx.put(twin_key(hub, identity.device_id, identity.module_id), encode_twin(twin, {}));
  stage_event(tx, hub, RouteSource::device_lifecycle_events,
              lifecycle_event(context, Lifecycle::created, identity, twin), true);
  co_return Status();
}

// The device's own record is read, so its deletion meanwhile is a conflict, and written as it was,
// so that two modules added at once see each other.
Task<Status> HubService::check_room_for_module(store::Transaction& tx, HubName hub,
                                               DeviceId device) {
  const auto key = identity_key(hub, device, ModuleId());
  auto record = co_await tx.get(key);
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return fail(errors::hub::kDeviceNotFound);
  tx.put(key, std::move(**record));
  auto modules = co_await tx.scan_prefix(record_key(kModuleKind, entity_key(hub, device, {})),
                                         kModulesPerDeviceMax);
  if (!modules) co_return fail(std::move(modules.error()));
  if (modules->size() >= kModulesPerDeviceMax) co_return fail(errors::hub::kTooManyModulesOnDevice);
  co_return Status();
}

Task<Status> HubService::erase_identity(store::Transaction& tx, HubName hub, Identity identity) {
  auto twin = co_await read_twin(tx, hub, identity.device_id, identity.module_id);
  if (!twin) co_return fail(std::move(twin.error()));
  if (identity.module_id.empty()) {
    auto erased = co_await erase_modules(tx, hub, identity.device_id);
    if (!erased) co_return fail(std::move(erased.error()));
  }
  tx.erase(identity_key(hub, identity.device_id, identity.module_id));
  tx.erase(twin_key(hub, identity.device_id, identity.module_id));
  const auto context = event_context(hub, parts_.clock.now(), parts_.random);
  stage_event(tx, hub, RouteSource::device_lifecycle_events,
              lifecycle_event(context, Lifecycle::deleted, identity, twin->value_or(DeviceTwin{})),
              true);
  co_return Status();
}

Task<Status> HubService::erase_modules(store::Transaction& tx, HubName hub, DeviceId device) {
  for (const auto kind : {kModuleKind, kModuleTwinKind}) {
    auto found = co_await tx.scan_prefix(record_key(kind, entity_key(hub, device, {})),
                                         kModulesPerDeviceMax);
    if (!found) co_return fail(std::move(found.error()));
    for (auto& entry : *found) tx.erase(std::move(entry.key));
  }
  co_return Status();
}

}  // namespace doppel::hub
