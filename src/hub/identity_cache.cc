#include "hub/identity_cache.h"

namespace doppel::hub {

std::shared_ptr<const Identity> IdentityCache::find(std::string_view entity) const {
  const auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.kept.find(entity);
  return found == shard.kept.end() ? nullptr : found->second.identity;
}

void IdentityCache::remember(const std::string& entity, std::shared_ptr<const Identity> identity,
                             store::CommitVersion version) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  if (version < shard.last_write) return;  // it may be old already; the next reader tries again
  const auto [at, added] = shard.kept.try_emplace(entity);
  at->second.identity = std::move(identity);
  if (!added) return;
  at->second.place = shard.order.insert(shard.order.end(), entity);
  if (shard.kept.size() <= kCachedIdentitiesMax / shards_.size()) return;
  shard.kept.erase(shard.order.front());
  shard.order.pop_front();
}

void IdentityCache::drop(std::string_view entity, store::CommitVersion version) {
  auto& shard = shard_of(entity);
  const std::lock_guard lock(shard.mutex);
  shard.last_write = std::max(shard.last_write, version);
  const auto found = shard.kept.find(entity);
  if (found == shard.kept.end()) return;
  shard.order.erase(found->second.place);
  shard.kept.erase(found);
}

void IdentityCache::clear(store::CommitVersion version) {
  for (auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.last_write = std::max(shard.last_write, version);
    shard.kept.clear();
    shard.order.clear();
  }
}

std::size_t IdentityCache::size() const {
  std::size_t total = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.kept.size();
  }
  return total;
}

}  // namespace doppel::hub
