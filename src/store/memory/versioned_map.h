// Keys with as many of their old values as living snapshots still need.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace doppel::store {

// Any thread.
class VersionedMap {
 public:
  // A snapshot's hold on its version; every acquire() needs its release().
  void acquire(CommitVersion version);
  void release(CommitVersion version);

  // Versions of one key only grow. Nothing as `value`: erased.
  void set(const std::string& key, std::optional<std::string> value, CommitVersion version);
  std::optional<std::string> get(const std::string& key, CommitVersion at) const;
  std::vector<Entry> scan(const std::string& first, const std::string& last, std::size_t limit,
                          CommitVersion at) const;

 private:
  struct Version {
    CommitVersion version;
    std::optional<std::string> value;
  };
  using Keys = std::map<std::string, std::vector<Version>>;

  static const Version* visible(const std::vector<Version>& versions, CommitVersion at);
  void prune(Keys::iterator key);
  void prune_erased();

  mutable std::shared_mutex mutex_;
  Keys keys_;
  std::multiset<CommitVersion> held_;
  std::deque<std::pair<CommitVersion, std::string>> erased_;  // in order of version
};

}  // namespace doppel::store
