// Records of one stream that one flush made durable, as one value: RocksDB's work is per entry, and
// a busy log appends hundreds of records in a flush.
//
//   enqueued (BE64, ns since 1970; the top bit set), count (varint), count x (size (varint), bytes)
//
// Format 1 of the store wrote each record as an entry of its own, without the top bit: enqueued
// (BE64), the record's bytes. Both are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "store/engine.h"
#include "store/store.h"

namespace doppel::store {

// A block is full beyond this, so that one record is never read with much more than it needs.
inline constexpr std::size_t kBlockBytesMax = 16 * 1024;

// Collects one block. The committer's.
class BlockWriter {
 public:
  bool empty() const { return count_ == 0; }
  // Whether `record` of `stream` may come next in this block; an empty block takes anything.
  bool takes(StreamNumber stream, std::string_view record) const;
  void add(StreamNumber stream, SequenceNumber sequence, std::string_view record);

  StreamNumber stream() const { return stream_; }
  SequenceNumber last() const { return last_; }
  // What goes before records(); valid until the next call.
  std::string_view head(TimePoint enqueued);
  std::string_view records() const { return records_; }
  void clear();

 private:
  StreamNumber stream_ = 0;
  SequenceNumber last_;
  std::uint64_t count_ = 0;
  std::string head_;
  std::string records_;
};

// Reads one block. Views are into `value`.
class BlockReader {
 public:
  // Nothing for what no BlockWriter made (a damaged database).
  static std::optional<BlockReader> open(std::string_view value, SequenceNumber last);

  TimePoint enqueued() const { return enqueued_; }
  // The number of the record that next() yields.
  SequenceNumber sequence() const { return sequence_; }
  bool at_end() const { return left_ == 0; }
  // Nothing: damaged. Not at the end.
  std::optional<std::string_view> next();

 private:
  TimePoint enqueued_;
  SequenceNumber sequence_;
  std::uint64_t left_ = 0;
  bool is_single_ = false;  // of format 1
  std::string_view bytes_;
};

}  // namespace doppel::store
