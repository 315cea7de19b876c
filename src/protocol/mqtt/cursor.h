// Reads the fields of a packet's body, and version 5's properties. For the reader only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "protocol/mqtt/properties.h"
#include "protocol/mqtt/text_rules.h"

namespace doppel::mqtt {

// Reads fields off the front of a packet's body. The first field that does not fit or breaks a rule
// sets `error`; everything read after it is empty and means nothing.
class Cursor {
 public:
  explicit Cursor(std::string_view body) : rest_(body) {}

  std::uint8_t u8() {
    const auto bytes = take(1);
    return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
  }
  std::uint16_t u16() {
    const auto bytes = take(2);
    return bytes.empty() ? std::uint16_t{0} : load_be<std::uint16_t>(bytes.data());
  }
  std::uint32_t u32() {
    const auto bytes = take(4);
    return bytes.empty() ? std::uint32_t{0} : load_be<std::uint32_t>(bytes.data());
  }
  // Seven bits a byte, the lowest first, at most four bytes.
  std::uint32_t variable() {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
      const auto byte = u8();
      value |= std::uint32_t{byte & 0x7FU} << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    refuse("a variable byte integer takes more than four bytes [MQTT5-1.5.5]");
    return 0;
  }
  // Binary data with a 16-bit length in front.
  std::string_view binary() { return take(u16()); }
  std::string_view text() {
    const auto bytes = binary();
    if (!is_valid_text(bytes)) refuse("text is not UTF-8 or holds U+0000 [MQTT-1.5.3-1]");
    return bytes;
  }
  std::uint16_t packet_id() {
    const auto id = u16();
    if (id == 0) refuse("packet identifier is missing or 0 [MQTT-2.3.1-1]");
    return id;
  }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      refuse("a field runs past the end of its packet");
      return {};
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }

  bool at_end() const { return rest_.empty(); }
  bool failed() const { return !error_.empty(); }
  void refuse(std::string_view why) {
    if (error_.empty()) error_ = why;
    rest_ = {};
  }
  std::string_view error() const { return error_; }

 private:
  std::string_view rest_;
  std::string_view error_;
};

// The properties at the cursor, with their length in front; refuses what breaks their table. The
// raw bytes behind the length are returned; `out` may be null.
std::string_view read_properties(Cursor& body, Carrier carrier, Properties* out);

// Of raw bytes that read_properties() has found good.
Properties take_apart(std::string_view raw, Carrier carrier);
std::optional<std::uint32_t> find_number(std::string_view raw, PropertyId id);

}  // namespace doppel::mqtt
