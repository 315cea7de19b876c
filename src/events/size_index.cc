#include "events/size_index.h"

namespace doppel::events {
namespace {

constexpr std::uint64_t kChunks = 128;  // of a partition that is full

}  // namespace

void SizeIndex::add(SequenceNumber sequence, std::size_t bytes) {
  if (chunks_.empty() || chunks_.back().bytes >= bytes_max_ / kChunks) chunks_.emplace_back();
  next_ = {sequence.value + 1};
  chunks_.back().end = next_;
  chunks_.back().bytes += bytes;
  bytes_ += bytes;
}

void SizeIndex::drop_first() {
  first_ = chunks_.front().end;
  bytes_ -= chunks_.front().bytes;
  chunks_.pop_front();
}

void SizeIndex::forget_before(SequenceNumber first) {
  while (!chunks_.empty() && chunks_.front().end <= first) drop_first();
}

SequenceNumber SizeIndex::fit() {
  while (bytes_ > bytes_max_ && chunks_.size() > 1) drop_first();
  return first_;
}

}  // namespace doppel::events
