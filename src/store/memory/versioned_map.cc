#include "store/memory/versioned_map.h"

#include <algorithm>
#include <mutex>

namespace doppel::store {

void VersionedMap::acquire(CommitVersion version) {
  const std::unique_lock lock(mutex_);
  held_.insert(version);
}

void VersionedMap::release(CommitVersion version) {
  const std::unique_lock lock(mutex_);
  held_.erase(held_.find(version));
}

const VersionedMap::Version* VersionedMap::visible(const std::vector<Version>& versions,
                                                   CommitVersion at) {
  for (auto version = versions.rbegin(); version != versions.rend(); ++version)
    if (version->version <= at) return &*version;
  return nullptr;
}

void VersionedMap::set(const std::string& key, std::optional<std::string> value,
                       CommitVersion version) {
  const std::unique_lock lock(mutex_);
  prune_erased();
  if (!value) erased_.emplace_back(version, key);
  const auto at = keys_.try_emplace(key).first;
  at->second.push_back({.version = version, .value = std::move(value)});
  prune(at);
}

// Drops what no snapshot can see: everything older than what the oldest one sees.
void VersionedMap::prune(Keys::iterator key) {
  if (held_.empty()) return;
  auto& versions = key->second;
  const auto* const oldest = visible(versions, *held_.begin());
  if (oldest == nullptr) return;
  versions.erase(versions.begin(), versions.begin() + (oldest - versions.data()));
  if (versions.size() == 1 && !versions.front().value && versions.front().version <= *held_.begin())
    keys_.erase(key);
}

void VersionedMap::prune_erased() {
  while (!erased_.empty() && !held_.empty() && erased_.front().first <= *held_.begin()) {
    if (const auto at = keys_.find(erased_.front().second); at != keys_.end()) prune(at);
    erased_.pop_front();
  }
}

std::optional<std::string> VersionedMap::get(const std::string& key, CommitVersion at) const {
  const std::shared_lock lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  const auto* const version = visible(found->second, at);
  return version == nullptr ? std::nullopt : version->value;
}

std::vector<Entry> VersionedMap::scan(const std::string& first, const std::string& last,
                                      std::size_t limit, CommitVersion at) const {
  std::vector<Entry> entries;
  const std::shared_lock lock(mutex_);
  for (auto key = keys_.lower_bound(first); key != keys_.end() && entries.size() < limit; ++key) {
    if (!last.empty() && key->first >= last) break;
    const auto* const version = visible(key->second, at);
    if (version != nullptr && version->value)
      entries.push_back({.key = key->first, .value = *version->value});
  }
  return entries;
}

}  // namespace doppel::store
