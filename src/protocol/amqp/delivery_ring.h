// Deliveries under way in one direction of one session, by delivery id. Ids are serial numbers that
// rise by one (they wrap at 2^32), so the ids from the oldest that is not settled to the newest are
// a ring; finding one is an index, and settling the oldest frees its place. Grows in powers of two
// and gives memory back when it is empty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::amqp {

// Serial number arithmetic (RFC 1982, as AMQP part 2, section 2.8.10 wants it): how far `to` is
// ahead of `from`; negative if behind.
inline std::int32_t serial_distance(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::int32_t>(to - from);
}

// How far `to` is ahead of `from`; nothing when it is behind.
inline std::uint32_t serial_lead(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::uint32_t>(std::max(0, serial_distance(from, to)));
}

// An Entry is "settled" when it converts to false.
template <class Entry>
class DeliveryRing {
 public:
  // Where the ids begin; only while empty.
  void start_at(std::uint32_t id) { first_ = next_ = id; }
  std::uint32_t first() const { return first_; }
  std::uint32_t next() const { return next_; }
  std::uint32_t span() const { return next_ - first_; }
  bool empty() const { return first_ == next_; }

  // Takes the next id. A settled entry costs nothing while no other is under way.
  void push(Entry entry) {
    if (!entry && empty()) {
      first_ = ++next_;
      return;
    }
    if (span() == slots_.size()) grow();
    slot(next_++) = entry;
  }

  // Null: not under way.
  Entry* find(std::uint32_t id) {
    if (id - first_ >= span()) return nullptr;
    Entry& entry = slot(id);
    return entry ? &entry : nullptr;
  }

  void settle(std::uint32_t id) {
    if (id - first_ >= span()) return;
    slot(id) = Entry{};
    while (first_ != next_ && !slot(first_)) ++first_;
    // Not `= {}`, which empties a vector and keeps its memory.
    if (empty() && slots_.size() > kKept) slots_ = std::vector<Entry>();
  }

  // Calls `visit(id, entry)` for what is under way from `from` to `to`, both included; it may
  // settle what it visits. Costs no more than the ring's span, whatever the range.
  template <class Visit>
  void for_range(std::uint32_t from, std::uint32_t to, Visit visit) {
    if (serial_distance(from, to) < 0 || empty()) return;
    if (serial_distance(from, first_) > 0) from = first_;
    if (serial_distance(to, next_ - 1) < 0) to = next_ - 1;
    for (auto id = from; serial_distance(id, to) >= 0; ++id) {
      if (Entry* entry = find(id)) visit(id, *entry);
    }
  }

 private:
  static constexpr std::size_t kLeast = 16;
  static constexpr std::size_t kKept = 1024;

  Entry& slot(std::uint32_t id) { return slots_[id & (slots_.size() - 1)]; }

  void grow() {
    std::vector<Entry> larger(std::max(kLeast, slots_.size() * 2));
    for (auto id = first_; id != next_; ++id) larger[id & (larger.size() - 1)] = slot(id);
    slots_ = std::move(larger);
  }

  std::vector<Entry> slots_;  // a power of two of them
  std::uint32_t first_ = 0;
  std::uint32_t next_ = 0;
};

}  // namespace doppel::amqp
