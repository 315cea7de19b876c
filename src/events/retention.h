// Which events of a partition are kept: retention by time and by size, in one place.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "events/size_index.h"

namespace doppel::events {

// Events that are younger than `keep`, as far as they fit.
struct Retention {
  Duration keep{};
  // As they are stored: bodies, properties and annotations. 0: no limit. A hundredth less may be
  // kept, and the newest events are, however large.
  std::uint64_t bytes_max = 0;
  // Neither passes the checkpoint of one of these consumers; one that has none yet protects
  // everything.
  std::vector<std::string> protected_by{};
  // Of the event hub: another number when it was deleted and made again.
  std::uint64_t generation = 0;
  // Ends a measuring that takes long; the rest is measured the next time.
  std::stop_token stop{};
};

// The server's housekeeping has one, and applies one partition after the other. With a limit in
// bytes each event is read once more, and after a restart all that is kept.
class RetentionKeeper {
 public:
  explicit RetentionKeeper(EventLog& log) : log_(log) {}

  // Forgets what is not to be kept. Errors: those of the store.
  Task<Status> apply(Partition partition, Retention retention);

 private:
  struct Measured {
    std::uint64_t generation = 0;
    SizeIndex index;
  };

  Task<Status> apply_size(Partition partition, Retention retention);

  EventLog& log_;
  std::map<std::string, Measured> measured_;  // by stream; of those that have a limit in bytes
};

}  // namespace doppel::events
