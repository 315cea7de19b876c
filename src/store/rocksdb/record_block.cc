#include "store/rocksdb/record_block.h"

#include "base/bytes.h"

namespace doppel::store {
namespace {

constexpr std::uint64_t kBlockFlag = std::uint64_t{1} << 63;
constexpr std::size_t kTimeSize = 8;
// A buffer that grew beyond this, by a large record, is given back.
constexpr std::size_t kKeptBytesMax = 4 * kBlockBytesMax;

void append_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

// Takes a varint from the front; nothing when there is none.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

}  // namespace

bool BlockWriter::takes(StreamNumber stream, std::string_view record) const {
  if (empty()) return true;
  return stream == stream_ && records_.size() + record.size() <= kBlockBytesMax;
}

void BlockWriter::add(StreamNumber stream, SequenceNumber sequence, std::string_view record) {
  stream_ = stream;
  last_ = sequence;
  ++count_;
  append_varint(records_, record.size());
  records_.append(record);
}

std::string_view BlockWriter::head(TimePoint enqueued) {
  head_.clear();
  append_be(head_, static_cast<std::uint64_t>(enqueued.time_since_epoch().count()) | kBlockFlag);
  append_varint(head_, count_);
  return head_;
}

void BlockWriter::clear() {
  count_ = 0;
  if (records_.capacity() > kKeptBytesMax)
    records_ = std::string();
  else
    records_.clear();
}

std::optional<BlockReader> BlockReader::open(std::string_view value, SequenceNumber last) {
  if (value.size() < kTimeSize) return std::nullopt;
  const auto time = load_be<std::uint64_t>(value.data());
  BlockReader block;
  block.enqueued_ = TimePoint(Duration(static_cast<std::int64_t>(time & ~kBlockFlag)));
  block.bytes_ = value.substr(kTimeSize);
  if ((time & kBlockFlag) == 0) {
    block.is_single_ = true;
    block.left_ = 1;
    block.sequence_ = last;
    return block;
  }
  const auto count = take_varint(block.bytes_);
  // Each record takes at least the byte of its size.
  if (!count || *count == 0 || *count > block.bytes_.size() || *count > last.value + 1)
    return std::nullopt;
  block.left_ = *count;
  block.sequence_ = {last.value + 1 - *count};
  return block;
}

std::optional<std::string_view> BlockReader::next() {
  --left_;
  sequence_ = sequence_.next();
  if (is_single_) return bytes_;
  const auto size = take_varint(bytes_);
  if (!size || *size > bytes_.size()) return std::nullopt;
  const auto record = bytes_.substr(0, *size);
  bytes_.remove_prefix(*size);
  return record;
}

}  // namespace doppel::store
