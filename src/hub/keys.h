// Where a hub's records lie in the store (docs/wire/hub-records.md). The key of a record is its
// kind and an entity key; the entity key also names the identity in the caches and in the map of
// live connections, so that what follows the commits never takes a key apart.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "store/store.h"

namespace doppel::hub {

// key({hub, device}) or key({hub, device, module}).
inline std::string entity_key(const HubName& hub, const DeviceId& device, const ModuleId& module) {
  return module.empty() ? store::key({hub.view(), device.view()})
                        : store::key({hub.view(), device.view(), module.view()});
}

inline constexpr std::string_view kDeviceKind = "hub-device";
inline constexpr std::string_view kModuleKind = "hub-module";
inline constexpr std::string_view kDeviceTwinKind = "hub-device-twin";
inline constexpr std::string_view kModuleTwinKind = "hub-module-twin";

inline std::string record_key(std::string_view kind, std::string_view entity) {
  return store::key({kind}).append(entity);
}

inline std::string identity_key(const HubName& hub, const DeviceId& device,
                                const ModuleId& module) {
  return record_key(module.empty() ? kDeviceKind : kModuleKind, entity_key(hub, device, module));
}

inline std::string twin_key(const HubName& hub, const DeviceId& device, const ModuleId& module) {
  return record_key(module.empty() ? kDeviceTwinKind : kModuleTwinKind,
                    entity_key(hub, device, module));
}

}  // namespace doppel::hub
