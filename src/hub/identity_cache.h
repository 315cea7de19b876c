// Identities that connected lately, decoded, so that a connect or an HTTPS request costs no read
// and no opening of keys. Bounded; what a commit changes is dropped before the commit is
// acknowledged.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "hub/api.h"
#include "store/store.h"

namespace doppel::hub {

inline constexpr std::size_t kCachedIdentitiesMax = 64 * 1024;  // about 400 bytes each

// Any thread.
class IdentityCache {
 public:
  // Null when it is not here.
  std::shared_ptr<const Identity> find(std::string_view entity) const;

  // Remembers what was read at `version`, unless something here was written since.
  void remember(const std::string& entity, std::shared_ptr<const Identity> identity,
                store::CommitVersion version);

  // A commit wrote or erased it.
  void drop(std::string_view entity, store::CommitVersion version);
  // Nothing is known any more.
  void clear(store::CommitVersion version);
  std::size_t size() const;

 private:
  using Order = std::list<std::string>;  // oldest first
  struct Kept {
    std::shared_ptr<const Identity> identity;
    Order::iterator place;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Kept, TextHash, std::equal_to<>> kept;
    Order order;
    store::CommitVersion last_write;  // of any identity of this shard
  };
  Shard& shard_of(std::string_view entity) const {
    return shards_[TextHash{}(entity) % shards_.size()];
  }
  mutable std::array<Shard, 64> shards_;
};

}  // namespace doppel::hub
