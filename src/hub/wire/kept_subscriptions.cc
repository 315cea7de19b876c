#include "hub/wire/kept_subscriptions.h"

#include "store/store.h"

namespace doppel::hub {

// With the generation: a device that was deleted and made again begins without a session.
std::string KeptSubscriptions::key(const HubName& hub, const Identity& identity) {
  return store::key({hub.view(), identity.device_id.view(), identity.module_id.view(),
                     identity.generation.view()});
}

void KeptSubscriptions::keep(const HubName& hub, const Identity& identity,
                             std::uint8_t subscriptions) {
  const std::string name = key(hub, identity);
  const std::lock_guard lock(mutex_);
  if (const auto known = kept_.find(name); known != kept_.end()) {
    known->second.subscriptions = subscriptions;
    by_use_.splice(by_use_.end(), by_use_, known->second.place);
    return;
  }
  kept_.emplace(name,
                Kept{.subscriptions = subscriptions, .place = by_use_.insert(by_use_.end(), name)});
  if (kept_.size() <= kKeptSubscriptionsMax) return;
  kept_.erase(by_use_.front());
  by_use_.pop_front();
}

std::optional<std::uint8_t> KeptSubscriptions::find(const HubName& hub, const Identity& identity) {
  const std::lock_guard lock(mutex_);
  const auto known = kept_.find(key(hub, identity));
  if (known == kept_.end()) return std::nullopt;
  by_use_.splice(by_use_.end(), by_use_, known->second.place);
  return known->second.subscriptions;
}

void KeptSubscriptions::forget(const HubName& hub, const Identity& identity) {
  const std::lock_guard lock(mutex_);
  const auto known = kept_.find(key(hub, identity));
  if (known == kept_.end()) return;
  by_use_.erase(known->second.place);
  kept_.erase(known);
}

}  // namespace doppel::hub
