// Base-128 numbers of event records: least significant group first, the top bit says "more
// follows" (docs/wire/event-record.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace doppel::events {

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void append_text(std::string& out, std::string_view text) {
  append_varint(out, text.size());
  out.append(text);
}

// Reads from the front of what is left. After the first failure `reason` is set and the rest is
// garbage.
class RecordReader {
 public:
  explicit RecordReader(std::string_view left) : left_(left) {}

  bool failed() const { return !reason_.empty(); }
  std::string_view reason() const { return reason_; }
  std::string_view rest() const { return left_; }

  unsigned char byte() {
    if (left_.empty()) {
      refuse("ends early");
      return 0;
    }
    const auto value = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return value;
  }

  std::string_view bytes(std::uint64_t count) {
    if (count > left_.size()) {
      refuse("a length passes the end");
      return {};
    }
    const auto value = left_.substr(0, count);
    left_.remove_prefix(count);
    return value;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const unsigned char next = byte();
      if (failed()) return 0;
      if (shift == 63 && next > 1) break;
      value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
      if (next & 0x80) continue;
      if (next == 0 && shift > 0) refuse("a number is longer than it needs to be");
      return value;
    }
    refuse("a number is too big");
    return 0;
  }

  std::string_view text() { return bytes(varint()); }

  void refuse(std::string_view why) {
    if (reason_.empty()) reason_ = why;
    left_ = {};
  }

 private:
  std::string_view left_;
  std::string_view reason_;
};

}  // namespace doppel::events
