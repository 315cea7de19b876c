#include "store/rocksdb/layout.h"

#include "base/bytes.h"

namespace doppel::store::layout {
namespace {

constexpr std::size_t kPositionSize = 8 + 8 + 4;
constexpr std::size_t kHeadSize = 4 + 8 + 8 + 8;

template <class T>
void store_be(char* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    to[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
}

std::uint64_t number_of(TimePoint time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

TimePoint time_of(const char* bytes) {
  return TimePoint(Duration(static_cast<std::int64_t>(load_be<std::uint64_t>(bytes))));
}

}  // namespace

RecordKey record_key(StreamNumber stream, SequenceNumber last) {
  RecordKey key;
  store_be(key.data(), stream);
  store_be(key.data() + 4, last.value);
  return key;
}

std::string removal_begin(StreamNumber stream, SequenceNumber from) {
  std::string begin;
  append_be(begin, stream);
  if (from.value == 0) return begin;
  append_be(begin, from.value - 1);
  begin.push_back('\0');
  return begin;
}

std::optional<SequenceNumber> sequence_of(std::string_view record_key) {
  if (record_key.size() != kRecordKeySize) return std::nullopt;
  return SequenceNumber{load_be<std::uint64_t>(record_key.data() + 4)};
}

std::string encode_position(const Position& position) {
  std::string bytes;
  append_be(bytes, position.version.value);
  append_be(bytes, number_of(position.time));
  append_be(bytes, position.next_stream);
  return bytes;
}

std::optional<Position> decode_position(std::string_view bytes) {
  if (bytes.size() != kPositionSize) return std::nullopt;
  return Position{.version = {load_be<std::uint64_t>(bytes.data())},
                  .time = time_of(bytes.data() + 8),
                  .next_stream = load_be<StreamNumber>(bytes.data() + 16)};
}

std::string encode_head(StreamNumber number, const StreamBounds& bounds) {
  std::string bytes;
  append_be(bytes, number);
  append_be(bytes, bounds.first.value);
  append_be(bytes, bounds.next.value);
  append_be(bytes, number_of(bounds.last_enqueued));
  return bytes;
}

std::optional<Head> decode_head(std::string_view bytes) {
  if (bytes.size() != kHeadSize) return std::nullopt;
  return Head{.number = load_be<StreamNumber>(bytes.data()),
              .bounds = {.first = {load_be<std::uint64_t>(bytes.data() + 4)},
                         .next = {load_be<std::uint64_t>(bytes.data() + 12)},
                         .last_enqueued = time_of(bytes.data() + 20)}};
}

}  // namespace doppel::store::layout
