// How the store lies in RocksDB. Three column families:
//   keys     key -> value, as committed
//   streams  stream number (BE32), sequence number of the last record (BE64) -> a block of records
//            (record_block.h)
//   meta     "v"           -> version (BE64), time (BE64), next stream number (BE32)
//            "s" + stream  -> number (BE32), first (BE64), next (BE64), last enqueued (BE64)
// Every batch writes "v" and the heads of its streams too, so that opening reads no stream.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "store/engine.h"
#include "store/store.h"

namespace doppel::store::layout {

inline constexpr const char* kKeysFamily = "default";  // RocksDB insists on one of this name
inline constexpr const char* kStreamsFamily = "streams";
inline constexpr const char* kMetaFamily = "meta";

inline constexpr std::string_view kPositionKey = "v";
inline constexpr char kHeadPrefix = 's';

inline constexpr std::size_t kRecordKeySize = 12;

// A block lies under the number of its last record, so that seeking a record finds the block that
// holds it, and so that a range delete up to a record leaves the block with that record alone.
using RecordKey = std::array<char, kRecordKeySize>;
RecordKey record_key(StreamNumber stream, SequenceNumber last);
inline std::string_view view(const RecordKey& key) { return {key.data(), key.size()}; }
// The first key of a range delete from record `from` on: after the record before it, and by its
// size never taken for a record key (why it must not be: RecordStream in database.cc).
std::string removal_begin(StreamNumber stream, SequenceNumber from);
// Nothing for what is not a record key of ours (a damaged database).
std::optional<SequenceNumber> sequence_of(std::string_view record_key);

struct Position {
  CommitVersion version;
  TimePoint time;
  StreamNumber next_stream = 1;
};
std::string encode_position(const Position& position);
std::optional<Position> decode_position(std::string_view bytes);

std::string encode_head(StreamNumber number, const StreamBounds& bounds);
struct Head {
  StreamNumber number = 0;
  StreamBounds bounds;
};
std::optional<Head> decode_head(std::string_view bytes);

}  // namespace doppel::store::layout
