// Which keys were written lately, and by which commit: what preconditions are checked against
// without touching the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace doppel::store {

// Keys that are remembered at once. At 20,000 puts a second that is 13 s of history; a decision
// that took longer meets a conflict and is made again.
inline constexpr std::size_t kRecentWritesMax = 256 * 1024;

// Fixed memory (12 MiB), one thread. Keys are kept as 64-bit hashes: two keys of one hash can only
// cause a conflict that was not needed, and its retry succeeds.
class RecentWrites {
 public:
  explicit RecentWrites(std::size_t capacity = kRecentWritesMax);

  // Forgets everything; decisions made before `floor` are conflicts from now on.
  void reset(CommitVersion floor);
  void note(std::string_view key, CommitVersion version);
  // Whether `key` was, or for all we remember may have been, written after `read_version`.
  bool written_since(std::string_view key, CommitVersion read_version) const;

 private:
  struct Slot {
    std::uint64_t hash = 0;  // 0: free
    CommitVersion version;
  };

  std::uint64_t hash_of(std::string_view key) const;
  std::size_t find(std::uint64_t hash) const;  // its slot, or the free one it would take
  void forget_oldest();
  void remove(std::size_t slot);

  std::vector<Slot> slots_;   // open addressing, at most half full
  std::vector<Slot> oldest_;  // ring of notes in order of time
  std::size_t oldest_at_ = 0;
  std::size_t oldest_count_ = 0;
  std::uint64_t seed_;
  CommitVersion floor_;
};

}  // namespace doppel::store
