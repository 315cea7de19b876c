#include "events/wire/owners.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace doppel::events {
namespace {

std::string stolen_text(std::int64_t by, const std::optional<std::int64_t>& before) {
  if (!before)
    return fmt::format(
        "New receiver with higher epoch of '{}' is created hence current receiver without epoch is "
        "getting disconnected. If you are recreating the receiver, make sure a higher epoch is "
        "used.",
        by);
  return fmt::format(
      "New receiver with higher epoch of '{}' is created hence current receiver with epoch '{}' is "
      "getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.",
      by, *before);
}

}  // namespace

Result<Owners::Ticket> Owners::enter(const Place& place, Receiver receiver) {
  std::vector<Receiver> gone;
  const auto level = receiver.level;
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    auto& there = places_[place];
    const auto owner = std::ranges::find_if(
        there, [](const auto& entry) { return entry.second.level.has_value(); });
    if (owner != there.end() && !level)
      return fail(Code::conflict,
                  fmt::format("Receiver without epoch can't be created: an epoch receiver with "
                              "epoch '{}' exists for this partition and consumer group.",
                              *owner->second.level));
    if (owner != there.end() && *level < *owner->second.level)
      return fail(Code::conflict,
                  fmt::format("Receiver with epoch '{}' can't be created: a receiver with a higher "
                              "epoch '{}' already exists.",
                              *level, *owner->second.level));
    if (!level && there.size() >= kFreeReceiversMax)
      return fail(Code::quota_exceeded,
                  fmt::format("Exceeded the maximum number of allowed receivers per partition in a "
                              "consumer group which is {}.",
                              kFreeReceiversMax));
    if (level) {
      for (auto& entry : there) gone.push_back(std::move(entry.second));
      there.clear();
    }
    ticket = ++last_ticket_;
    there.emplace_back(ticket, std::move(receiver));
  }
  for (auto& one : gone)
    one.home->post([stolen = std::move(one.stolen),
                    why = stolen_text(*level, one.level)]() mutable { stolen(std::move(why)); });
  return ticket;
}

void Owners::leave(const Place& place, Ticket ticket) {
  std::vector<std::pair<Ticket, Receiver>> left;  // destroyed after the lock is gone
  const std::lock_guard lock(mutex_);
  const auto there = places_.find(place);
  if (there == places_.end()) return;
  const auto receiver =
      std::ranges::find(there->second, ticket, [](const auto& e) { return e.first; });
  if (receiver != there->second.end()) {
    left.push_back(std::move(*receiver));
    there->second.erase(receiver);
  }
  if (there->second.empty()) places_.erase(there);
}

}  // namespace doppel::events
