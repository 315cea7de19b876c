// Lists and counts over a hub's identities.
#include "errors/hub.h"
#include "hub/hubs.h"
#include "hub/identity_record.h"
#include "hub/identity_rules.h"
#include "hub/keys.h"

namespace doppel::hub {
namespace {

constexpr std::size_t kBatch = 1000;  // entries of one read, between which others get a turn

// What begins the keys of one kind in a hub.
std::string hub_prefix(std::string_view kind, const HubName& hub) {
  return store::key({kind, hub.view()});
}

// The last part of a key made by key().
Result<std::string> last_part(std::string_view key) {
  auto parts = store::split_key(key);
  if (!parts || parts->empty()) return fail(Code::internal, "a key of the hub is damaged");
  return std::move(parts->back());
}

}  // namespace

Task<Result<std::vector<DeviceId>>> HubService::list_devices(HubName hub, DeviceId after,
                                                             std::size_t limit) {
  const auto prefix = hub_prefix(kDeviceKind, hub);
  const auto first =
      after.empty() ? prefix : store::after_prefix(identity_key(hub, after, ModuleId()));
  const auto snapshot = parts_.store.snapshot();
  auto entries = co_await snapshot->scan(first, store::after_prefix(prefix), limit);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<DeviceId> devices;
  devices.reserve(entries->size());
  for (const auto& entry : *entries) {
    auto id = last_part(entry.key);
    if (!id) co_return fail(std::move(id.error()));
    devices.emplace_back(std::move(*id));
  }
  co_return devices;
}

Task<Result<std::vector<Identity>>> HubService::list_identities(HubName hub, std::size_t limit) {
  const auto prefix = hub_prefix(kDeviceKind, hub);
  const auto snapshot = parts_.store.snapshot();
  auto entries = co_await snapshot->scan(prefix, store::after_prefix(prefix), limit);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<Identity> identities;
  identities.reserve(entries->size());
  for (const auto& entry : *entries) {
    auto id = last_part(entry.key);
    if (!id) co_return fail(std::move(id.error()));
    auto identity =
        decode_identity(entry.value, entry.key, DeviceId(std::move(*id)), ModuleId(), parts_.box);
    if (!identity) co_return fail(std::move(identity.error()));
    identities.push_back(std::move(*identity));
  }
  co_return identities;
}

Task<Result<std::vector<Identity>>> HubService::list_modules(HubName hub, DeviceId device) {
  auto parent = co_await get_identity(hub, device, ModuleId());
  if (!parent) co_return fail(std::move(parent.error()));
  const auto prefix = record_key(kModuleKind, entity_key(hub, device, ModuleId()));
  const auto snapshot = parts_.store.snapshot();
  auto entries = co_await snapshot->scan(prefix, store::after_prefix(prefix), kModulesPerDeviceMax);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<Identity> modules;
  for (const auto& entry : *entries) {
    auto id = last_part(entry.key);
    if (!id) co_return fail(std::move(id.error()));
    auto identity =
        decode_identity(entry.value, entry.key, device, ModuleId(std::move(*id)), parts_.box);
    if (!identity) co_return fail(std::move(identity.error()));
    modules.push_back(std::move(*identity));
  }
  co_return modules;
}

Task<Result<RegistryStatistics>> HubService::statistics(HubName hub) {
  const auto prefix = hub_prefix(kDeviceKind, hub);
  const auto last = store::after_prefix(prefix);
  const auto snapshot = parts_.store.snapshot();
  RegistryStatistics counts;
  std::string first = prefix;
  for (;;) {
    auto entries = co_await snapshot->scan(first, last, kBatch);
    if (!entries) co_return fail(std::move(entries.error()));
    for (const auto& entry : *entries) {
      ++counts.total;
      const bool enabled = peek_identity(entry.value).status == DeviceStatus::enabled;
      ++(enabled ? counts.enabled : counts.disabled);
    }
    if (entries->size() < kBatch) co_return counts;
    first = store::after_prefix(entries->back().key);
    co_await yield_once();
  }
}

Task<Status> HubService::purge(HubName hub, std::uint32_t builtin_partitions) {
  for (const auto kind : {kDeviceKind, kModuleKind, kDeviceTwinKind, kModuleTwinKind}) {
    for (;;) {
      store::Transaction tx(parts_.store);
      auto found = co_await tx.scan_prefix(hub_prefix(kind, hub), kBatch);
      if (!found) co_return fail(std::move(found.error()));
      const bool is_last = found->size() < kBatch;
      for (auto& entry : *found) tx.erase(std::move(entry.key));
      auto committed = co_await tx.commit();
      if (!committed) co_return fail(std::move(committed.error()));
      if (is_last) break;
    }
  }
  auto dropped = co_await parts_.log.drop(activity_log(hub), kActivityPartitions);
  if (!dropped) co_return fail(std::move(dropped.error()));
  co_return co_await parts_.log.drop(builtin_log(hub), builtin_partitions);
}

}  // namespace doppel::hub
