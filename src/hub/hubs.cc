#include "hub/hubs.h"

#include "hub/identity_record.h"
#include "hub/keys.h"
#include "hub/twin_record.h"

namespace doppel::hub {
namespace {

// Calls `handle` with the entity key if `key` is a record of one of the two kinds.
template <class Handle>
void if_kind(std::string_view key, std::string_view first, std::string_view second, Handle handle) {
  for (const auto prefix : {first, second})
    if (key.starts_with(prefix)) return handle(key.substr(prefix.size()));
}

const std::string& prefix_of(std::string_view kind) {
  static const std::string device = store::key({kDeviceKind}), module = store::key({kModuleKind}),
                           device_twin = store::key({kDeviceTwinKind}),
                           module_twin = store::key({kModuleTwinKind});
  if (kind == kDeviceKind) return device;
  if (kind == kModuleKind) return module;
  return kind == kDeviceTwinKind ? device_twin : module_twin;
}

}  // namespace

HubService::HubService(HubParts parts) : parts_(std::move(parts)), connections_(parts_.clock) {
  parts_.store.add_observer(*this);
}

HubService::~HubService() { parts_.store.remove_observer(*this); }

// On the committer's thread, before the commit is acknowledged. The cache is dropped before the
// connection is closed: whoever connects meanwhile is added to the map first and looks at the cache
// second, so either finds the identity gone or is found here.
void HubService::on_commit(const store::CommitView& commit) {
  const auto& device = prefix_of(kDeviceKind);
  const auto& module = prefix_of(kModuleKind);
  for (const auto& put : commit.puts) {
    if (!put.key.starts_with("hub-")) continue;
    if_kind(put.key, device, module, [&](std::string_view entity) {
      cache_.drop(entity, commit.version);
      const auto head = peek_identity(put.value);
      if (head.status == DeviceStatus::disabled) {
        connections_.close(entity, CloseCause::disabled);
      } else {
        connections_.close_unless(entity, head.generation, CloseCause::recreated);
      }
    });
    if_kind(put.key, prefix_of(kDeviceTwinKind), prefix_of(kModuleTwinKind),
            [&](std::string_view entity) {
              if (const auto delta = peek_desired_delta(put.value))
                connections_.push_desired(entity, delta->body, delta->version);
            });
  }
  for (const auto& key : commit.erases) {
    if (!key.starts_with("hub-")) continue;
    if_kind(key, device, module, [&](std::string_view entity) {
      cache_.drop(entity, commit.version);
      connections_.forget(entity, CloseCause::deleted);
    });
  }
}

// A commit may have become durable that we never heard of, a deletion among them: whoever is
// connected has to prove itself again.
void HubService::on_reopened(store::CommitVersion version) {
  cache_.clear(version);
  connections_.close_all(CloseCause::unsure);
}

Presence HubService::presence(const HubName& hub, const DeviceId& device,
                              const ModuleId& module) const {
  return connections_.presence(entity_key(hub, device, module));
}

std::size_t HubService::connected_count(const HubName& hub) const {
  return connections_.connected_count(store::key({hub.view()}));
}

}  // namespace doppel::hub
