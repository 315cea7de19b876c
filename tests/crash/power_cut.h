// One seeded run of the power-cut test: a store is written to, the power goes off, the store is
// opened again and must be exactly the first N commits, with all acknowledged ones among them;
// then the same once more in the same directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/rocksdb/rocksdb_store.h"

namespace doppel::crash {

struct Report {
  std::vector<std::string> violations;
  std::uint64_t cuts = 0;
  std::uint64_t cuts_while_opening = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t unacknowledged_but_kept = 0;
  std::uint64_t lost = 0;  // neither acknowledged nor kept
};

// `directory` is made and left behind. Thread timing is not part of the seed, so a run of the same
// seed is alike but not identical.
void run_power_cuts(const std::string& directory, std::uint64_t seed, store::Durability durability,
                    Report& report);
// The same with the load of the Event Hubs service: batches without a producer, several under way,
// and idempotent producers, which repeat after a cut what got no answer. Afterwards each event that
// was accepted is there once, in order, batches are whole, and a producer's state is that of its
// events.
void run_event_power_cuts(const std::string& directory, std::uint64_t seed,
                          store::Durability durability, Report& report);

}  // namespace doppel::crash
