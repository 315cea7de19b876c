// Events a built-in function could not take: kept with the reason, visible, and replayable. Nothing
// is dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "events/api.h"
#include "store/store.h"
#include "store/transaction.h"

namespace doppel::functions {

// Oldest letters beyond this many in one function are a sign that nobody looks; new ones are kept
// all the same and a warning is logged.
inline constexpr std::size_t kDeadLettersWarn = 10'000;

struct DeadLetter {
  std::string id;  // unique and sortable by time within its function
  std::string function;
  events::Partition source;
  store::SequenceNumber sequence;
  TimePoint failed_at;
  std::string reason;
  std::uint32_t attempts = 1;
  events::Event event;
};

void stage_dead_letter(store::Transaction& tx, std::string_view app, DeadLetter letter);
void stage_removal(store::Transaction& tx, std::string_view app, std::string_view function,
                   std::string_view id);

// In order of failure, after `after` (an id; empty: from the start).
Task<Result<std::vector<DeadLetter>>> list_dead_letters(store::Transaction& tx, std::string app,
                                                        std::string function, std::string after,
                                                        std::size_t limit);
Task<Result<std::optional<DeadLetter>>> find_dead_letter(store::Transaction& tx, std::string app,
                                                         std::string function, std::string id);

// "<20 digits of failure time in ns>-<partition>-<sequence>".
std::string dead_letter_id(TimePoint failed_at, const events::Partition& source,
                           store::SequenceNumber sequence);

}  // namespace doppel::functions
