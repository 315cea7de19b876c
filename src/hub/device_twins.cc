// Device twins and module twins: reads, writes by services and by devices, and what is told about
// each.
#include <fmt/core.h>

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

// Writes one section into `twin` as a patch or a replacement, and checks what came out.
Status write_section(DeviceTwin& twin, TwinSection section, const json::Object& patch, bool replace,
                     const Stamp& stamp) {
  auto& target = section == TwinSection::tags      ? twin.tags
                 : section == TwinSection::desired ? twin.desired
                                                   : twin.reported;
  auto* metadata = section == TwinSection::tags      ? nullptr
                   : section == TwinSection::desired ? &twin.desired_metadata
                                                     : &twin.reported_metadata;
  const auto before = section_size(target);
  if (replace) {
    replace_section(target, metadata, patch, stamp);
  } else {
    merge_section(target, metadata, patch, stamp);
  }
  return check_section_growth(section, before, section_size(target));
}

Status check_write(const TwinWrite& write) {
  if (write.tags) {
    if (auto ok = check_twin_patch(TwinSection::tags, *write.tags); !ok) return ok;
  }
  if (write.desired) return check_twin_patch(TwinSection::desired, *write.desired);
  return {};
}

// A patch without members writes nothing; a replacement by nothing empties the section.
bool writes(const std::optional<json::Object>& section, bool replace) {
  return section && (replace || !section->empty());
}

}  // namespace

Task<Result<std::optional<DeviceTwin>>> HubService::find_twin(store::Transaction& tx, HubName hub,
                                                              DeviceId device) {
  co_return co_await read_twin(tx, hub, device, ModuleId());
}

Task<Result<std::optional<DeviceTwin>>> HubService::read_twin(store::Transaction& tx, HubName hub,
                                                              DeviceId device, ModuleId module) {
  auto record = co_await tx.get(twin_key(hub, device, module));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return std::optional<DeviceTwin>{};
  auto twin = decode_twin(**record);
  if (!twin) co_return fail(std::move(twin.error()));
  co_return std::optional(std::move(*twin));
}

Task<Result<TwinView>> HubService::get_twin(HubName hub, DeviceId device, ModuleId module) {
  store::Transaction tx(parts_.store);  // only read from: one view of both records
  auto identity = co_await read_identity(tx, hub, device, module);
  if (!identity) co_return fail(std::move(identity.error()));
  auto twin = co_await read_twin(tx, hub, device, module);
  if (!twin) co_return fail(std::move(twin.error()));
  if (!*identity || !*twin) co_return not_found(module);
  co_return TwinView{.identity = std::move(**identity),
                     .twin = std::move(**twin),
                     .presence = presence(hub, device, module)};
}

Task<Result<std::string>> HubService::get_twin_for_device(HubName hub, DeviceId device,
                                                          ModuleId module) {
  const auto snapshot = parts_.store.snapshot();
  auto record = co_await snapshot->get(twin_key(hub, device, module));
  if (!record) co_return fail(std::move(record.error()));
  if (!*record) co_return not_found(module);
  auto twin = decode_twin(**record);
  if (!twin) co_return fail(std::move(twin.error()));
  co_return device_view(*twin);
}

Task<Result<TwinView>> HubService::update_twin(HubName hub, DeviceId device, ModuleId module,
                                               TwinWrite write, std::string if_match) {
  if (auto ok = check_write(write); !ok) co_return fail(std::move(ok.error()));
  if (write.desired) write.desired = without_system_members(std::move(*write.desired));
  std::function<Task<Result<TwinView>>(store::Transaction&)> body =
      [this, hub, device, module, write,
       if_match](store::Transaction& tx) -> Task<Result<TwinView>> {
    auto identity = co_await read_identity(tx, hub, device, module);
    if (!identity) co_return fail(std::move(identity.error()));
    auto found = co_await read_twin(tx, hub, device, module);
    if (!found) co_return fail(std::move(found.error()));
    if (!*identity || !*found) co_return not_found(module);
    auto& twin = **found;
    if (!etag_matches(if_match, twin_etag(twin))) co_return fail(errors::hub::kPreconditionFailed);

    const Stamp stamp{.time = time_text(parts_.clock.now()), .version = twin.desired_version + 1};
    TwinChangeView change{.replaced = write.replace};
    if (writes(write.tags, write.replace)) {
      auto ok = write_section(twin, TwinSection::tags, *write.tags, write.replace, stamp);
      if (!ok) co_return fail(std::move(ok.error()));
      change.tags = &*write.tags;
    }
    json::Object delta;
    if (writes(write.desired, write.replace)) {
      delta = write.replace ? replacement_delta(twin.desired, *write.desired) : *write.desired;
      auto ok = write_section(twin, TwinSection::desired, *write.desired, write.replace, stamp);
      if (!ok) co_return fail(std::move(ok.error()));
      change.desired = &*write.desired;
    }
    if (change.tags != nullptr || change.desired != nullptr) {
      ++twin.etag;
      put_twin(tx, hub, **identity, twin, change, change.desired ? &delta : nullptr);
    }
    co_return TwinView{.identity = std::move(**identity),
                       .twin = std::move(twin),
                       .presence = presence(hub, device, module)};
  };
  co_return co_await store::transact<TwinView>(parts_.store, std::move(body));
}

Task<Result<std::int64_t>> HubService::patch_reported(HubName hub, DeviceId device, ModuleId module,
                                                      GenerationId generation, json::Object patch,
                                                      std::optional<std::int64_t> base_version) {
  if (auto ok = check_twin_patch(TwinSection::reported, patch); !ok)
    co_return fail(std::move(ok.error()));
  patch = without_system_members(std::move(patch));
  connections_.touch(entity_key(hub, device, module));
  std::function<Task<Result<std::int64_t>>(store::Transaction&)> body =
      [this, hub, device, module, generation, patch,
       base_version](store::Transaction& tx) -> Task<Result<std::int64_t>> {
    auto identity = co_await read_identity(tx, hub, device, module);
    if (!identity) co_return fail(std::move(identity.error()));
    if (!*identity || (*identity)->generation != generation) co_return not_found(module);
    auto found = co_await read_twin(tx, hub, device, module);
    if (!found) co_return fail(std::move(found.error()));
    if (!*found) co_return not_found(module);
    auto& twin = **found;
    if (base_version && *base_version != twin.reported_version)
      co_return fail(errors::hub::kPreconditionFailed);
    const Stamp stamp{.time = time_text(parts_.clock.now()), .version = std::nullopt};
    auto ok = write_section(twin, TwinSection::reported, patch, false, stamp);
    if (!ok) co_return fail(std::move(ok.error()));
    const TwinChangeView change{.reported = &patch};
    put_twin(tx, hub, **identity, twin, change, nullptr);
    co_return twin.reported_version;
  };
  co_return co_await store::transact<std::int64_t>(parts_.store, std::move(body));
}

// Back to the initial state, versions going on; nothing is written when it is in that state.
Task<Status> HubService::reset_twin(store::Transaction& tx, HubName hub, const Identity& identity,
                                    InitialTwin initial) {
  auto found = co_await read_twin(tx, hub, identity.device_id, identity.module_id);
  if (!found) co_return fail(std::move(found.error()));
  auto twin = found->value_or(DeviceTwin{.reported_metadata = fresh_metadata()});
  initial.desired = without_system_members(std::move(initial.desired));
  if (*found && json::equal(twin.tags, initial.tags) &&
      json::equal(twin.desired, initial.desired) && json::equal(twin.reported, initial.reported)) {
    co_return Status();
  }
  const Stamp stamp{.time = time_text(parts_.clock.now()), .version = twin.desired_version + 1};
  const auto delta = replacement_delta(twin.desired, initial.desired);
  replace_section(twin.tags, nullptr, initial.tags, stamp);
  replace_section(twin.desired, &twin.desired_metadata, initial.desired, stamp);
  TwinChangeView change{.replaced = true, .tags = &initial.tags, .desired = &initial.desired};
  if (!json::equal(twin.reported, initial.reported)) {
    twin.reported.clear();
    twin.reported_metadata = fresh_metadata();
    const Stamp reported{.time = stamp.time, .version = twin.reported_version + 1};
    merge_section(twin.reported, &twin.reported_metadata, initial.reported, reported);
    change.reported = &initial.reported;
  }
  ++twin.etag;
  put_twin(tx, hub, identity, twin, change, &delta);
  co_return Status();
}

void HubService::put_twin(store::Transaction& tx, const HubName& hub, const Identity& identity,
                          DeviceTwin& twin, const TwinChangeView& change,
                          const json::Object* desired_delta) {
  ++twin.version;
  if (change.desired != nullptr) ++twin.desired_version;
  if (change.reported != nullptr) ++twin.reported_version;
  std::string pushed;
  if (desired_delta != nullptr)
    pushed = json::write(shown_section(*desired_delta, nullptr, twin.desired_version));
  tx.put(twin_key(hub, identity.device_id, identity.module_id), encode_twin(twin, pushed));

  const auto routing = routing_.get(parts_.catalog());
  const auto* routes = routing->find(hub);
  if (routes == nullptr || !routes->has_routes(RouteSource::twin_change_events)) return;
  const auto context = event_context(hub, parts_.clock.now(), parts_.random);
  stage_event(tx, hub, RouteSource::twin_change_events,
              twin_change_event(context, identity, twin, change), false);
}

// What a device announces of itself when it connects. Not a write that services wait for: neither
// the version nor the etag moves.
Task<Status> HubService::set_model_id(HubName hub, DeviceId device, ModuleId module,
                                      std::string model_id) {
  // Nearly always it is the one we know; then a connect parses no JSON and writes nothing.
  const auto snapshot = parts_.store.snapshot();
  auto known = co_await snapshot->get(twin_key(hub, device, module));
  if (!known) co_return fail(std::move(known.error()));
  if (*known && peek_model_id(**known) == model_id) co_return Status();
  std::function<Task<Result<bool>>(store::Transaction&)> body =
      [this, hub, device, module, model_id](store::Transaction& tx) -> Task<Result<bool>> {
    auto twin = co_await read_twin(tx, hub, device, module);
    if (!twin) co_return fail(std::move(twin.error()));
    if (!*twin || (*twin)->model_id == model_id) co_return false;
    (*twin)->model_id = model_id;
    tx.put(twin_key(hub, device, module), encode_twin(**twin, {}));
    co_return true;
  };
  auto set = co_await store::transact<bool>(parts_.store, std::move(body));
  if (!set) co_return fail(std::move(set.error()));
  co_return Status();
}

}  // namespace doppel::hub
