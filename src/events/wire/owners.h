// Who reads a partition for a consumer group, and who has to go when another one comes
// (docs/wire/event-hubs.md, "Owner level"; the cloud's name for it is epoch).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "events/api.h"

namespace doppel::events {

// Receivers without an owner level, for one group and partition (the service's limit).
inline constexpr std::size_t kFreeReceiversMax = 5;

// Any thread; one per server.
class Owners {
 public:
  struct Place {
    LogName log;
    std::uint64_t generation = 0;
    std::string consumer_group;  // lower case
    std::uint32_t partition = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Receiver {
    std::optional<std::int64_t> level;
    Executor* home = nullptr;
    // Called on `home`, once at most, when another receiver takes the partition. May come after
    // leave().
    std::function<void(std::string why)> stolen;
  };
  using Ticket = std::uint64_t;

  // Takes the place, or says why not. Of equal levels the newest wins: event processors all use
  // level 0 and hand partitions over by it. Errors: conflict (a higher level is there),
  // quota_exceeded.
  Result<Ticket> enter(const Place& place, Receiver receiver);
  void leave(const Place& place, Ticket ticket);

 private:
  std::mutex mutex_;
  std::map<Place, std::vector<std::pair<Ticket, Receiver>>> places_;
  Ticket last_ticket_ = 0;
};

}  // namespace doppel::events
