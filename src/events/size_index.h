// How many bytes of events one partition keeps, and so from where on it fits a limit. The store
// knows no sizes: they are added up here as events are read, once each, in chunks of about a
// hundredth of the limit. In memory only; after a restart what is kept is measured anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "events/api.h"

namespace doppel::events {

// One thread at a time.
class SizeIndex {
 public:
  // Of a partition whose oldest event is `first`. With another limit a new index is made.
  SizeIndex(std::uint64_t bytes_max, SequenceNumber first)
      : bytes_max_(bytes_max), first_(first), next_(first) {}

  std::uint64_t bytes_max() const { return bytes_max_; }
  SequenceNumber next() const { return next_; }  // of the event to add next
  void add(SequenceNumber sequence, std::size_t bytes);
  // What is before is kept no more, for another reason than size.
  void forget_before(SequenceNumber first);
  // Forgets as much of the beginning as is too much: where what is left begins. The newest chunk
  // stays in any case.
  SequenceNumber fit();
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Chunk {
    SequenceNumber end;
    std::uint64_t bytes = 0;
  };
  void drop_first();

  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  SequenceNumber first_;  // where the first chunk begins
  SequenceNumber next_;
  std::deque<Chunk> chunks_;
};

}  // namespace doppel::events
