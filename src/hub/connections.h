// Which device is connected now, and when each was seen: the one owner of the map from an identity
// to its live connection. One connection an identity: a newer one closes the older (iot-hub.md
// section 1.3). Follows the store's commits: deleted, re-created and disabled identities lose their
// connection, and writes of desired properties are pushed, all in commit order.
//
// In memory only. After a restart everybody is disconnected, which is true.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/executor.h"
#include "hub/api.h"
#include "store/store.h"

namespace doppel::hub {

struct Presence {
  bool connected = false;
  TimePoint state_changed{};  // epoch: never
  TimePoint last_activity{};
};

// Any thread.
class Connections {
 public:
  using Ticket = std::uint64_t;

  explicit Connections(const Clock& clock) : clock_(clock) {}

  // Makes `connection` the live one of the identity `entity` (entity_key()); an earlier one is told
  // to close. `home` is the executor on which it is called; both may go away once remove() was
  // called: calls find out by `connection`.
  Ticket add(const std::string& entity, GenerationId generation,
             std::weak_ptr<DeviceConnection> connection, Executor& home);
  // A connection ended. Does nothing when another one took over.
  void remove(const std::string& entity, Ticket ticket);

  void touch(std::string_view entity);
  Presence presence(std::string_view entity) const;
  // Of all identities whose entity key begins with `prefix`. Looks at every entry.
  std::size_t connected_count(std::string_view prefix) const;

  // Tells the live connection to close, if there is one; a device's also those of its modules.
  void close(std::string_view entity, CloseCause cause);
  // ... unless it belongs to `generation`.
  void close_unless(std::string_view entity, std::string_view generation, CloseCause cause);
  void close_all(CloseCause cause);
  // An identity is gone: closes and forgets.
  void forget(std::string_view entity, CloseCause cause);
  void push_desired(std::string_view entity, std::string_view body, std::int64_t version);

 private:
  struct Entry {
    Ticket ticket = 0;  // 0: not connected
    GenerationId generation{};
    std::weak_ptr<DeviceConnection> connection{};
    Executor* home = nullptr;
    Presence presence;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> entries;
  };

  // A device and its modules share a shard, so that they are found at once.
  Shard& shard_of(std::string_view entity) const {
    return shards_[TextHash{}(device_part(entity)) % shards_.size()];
  }
  static std::string_view device_part(std::string_view entity);
  static void post_close(const Entry& entry, CloseCause cause);
  void disconnect(Entry& entry);

  const Clock& clock_;
  mutable std::array<Shard, 64> shards_;
  std::atomic<Ticket> last_ticket_ = 0;
};

}  // namespace doppel::hub
