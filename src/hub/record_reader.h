// Reads the hub's binary records front to back: lengths are 4 bytes, big-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace doppel::hub {

class RecordReader {
 public:
  explicit RecordReader(std::string_view left) : left_(left) {}

  bool failed() const { return failed_; }
  bool at_end() const { return left_.empty(); }

  std::uint8_t byte() {
    const auto one = bytes(1);
    return failed_ ? 0 : static_cast<std::uint8_t>(one[0]);
  }
  template <class T>
  T number() {
    const auto text = bytes(sizeof(T));
    return failed_ ? T{} : load_be<T>(text.data());
  }
  std::string_view text() { return bytes(number<std::uint32_t>()); }
  std::string_view rest() { return bytes(left_.size()); }

 private:
  std::string_view bytes(std::size_t count) {
    if (failed_ || count > left_.size()) {
      failed_ = true;
      return {};
    }
    const auto value = left_.substr(0, count);
    left_.remove_prefix(count);
    return value;
  }

  std::string_view left_;
  bool failed_ = false;
};

inline void append_record_text(std::string& out, std::string_view text) {
  append_be(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

}  // namespace doppel::hub
