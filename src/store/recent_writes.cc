#include "store/recent_writes.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/random.h"

namespace doppel::store {

RecentWrites::RecentWrites(std::size_t capacity)
    : slots_(std::bit_ceil(capacity * 2)), oldest_(capacity), seed_(SystemRandom().next()) {}

void RecentWrites::reset(CommitVersion floor) {
  std::ranges::fill(slots_, Slot{});
  oldest_at_ = 0;
  oldest_count_ = 0;
  floor_ = floor;
}

std::uint64_t RecentWrites::hash_of(std::string_view key) const {
  // Seeded, so that a peer who chooses keys cannot make one long run of slots.
  auto mixed = std::hash<std::string_view>{}(key) ^ seed_;
  mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdULL;
  mixed ^= mixed >> 33;
  return mixed == 0 ? 1 : mixed;
}

std::size_t RecentWrites::find(std::uint64_t hash) const {
  const auto mask = slots_.size() - 1;
  auto at = hash & mask;
  while (slots_[at].hash != 0 && slots_[at].hash != hash) at = (at + 1) & mask;
  return at;
}

void RecentWrites::note(std::string_view key, CommitVersion version) {
  if (oldest_count_ == oldest_.size()) forget_oldest();
  const auto hash = hash_of(key);
  slots_[find(hash)] = Slot{.hash = hash, .version = version};
  oldest_[(oldest_at_ + oldest_count_) % oldest_.size()] = Slot{.hash = hash, .version = version};
  ++oldest_count_;
}

bool RecentWrites::written_since(std::string_view key, CommitVersion read_version) const {
  if (read_version < floor_) return true;
  const auto& slot = slots_[find(hash_of(key))];
  return slot.hash != 0 && slot.version > read_version;
}

void RecentWrites::forget_oldest() {
  const auto& oldest = oldest_[oldest_at_];
  floor_ = std::max(floor_, oldest.version);
  // A key written again since keeps its slot; its later note is still in the ring.
  if (const auto at = find(oldest.hash);
      slots_[at].hash != 0 && slots_[at].version == oldest.version)
    remove(at);
  oldest_at_ = (oldest_at_ + 1) % oldest_.size();
  --oldest_count_;
}

void RecentWrites::remove(std::size_t slot) {
  // Moves later slots of the same run back over the gap, so that find() needs no tombstones.
  const auto mask = slots_.size() - 1;
  auto gap = slot;
  for (auto at = (gap + 1) & mask; slots_[at].hash != 0; at = (at + 1) & mask) {
    const auto home = slots_[at].hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;  // it already stands behind its home
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = Slot{};
}

}  // namespace doppel::store
