// Writes encoded AMQP values (OASIS AMQP 1.0 part 1) at the end of a string, each in its smallest
// encoding. A caller who knows the types on its hot path appends them one by one; what is general
// is a Value.
//
// Nothing fails: what is too long for AMQP (2^32 bytes) never gets here, limits on messages and
// frames are far below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/amqp/format_code.h"
#include "protocol/amqp/value.h"

namespace doppel::amqp {

inline void append_code(std::string& out, FormatCode code) { out += static_cast<char>(code); }

inline void append_null(std::string& out) { append_code(out, kNullCode); }
inline void append_boolean(std::string& out, bool value) {
  append_code(out, value ? kTrueCode : kFalseCode);
}
void append_ubyte(std::string& out, std::uint8_t value);
void append_ushort(std::string& out, std::uint16_t value);
void append_uint(std::string& out, std::uint32_t value);
void append_ulong(std::string& out, std::uint64_t value);
void append_byte(std::string& out, std::int8_t value);
void append_short(std::string& out, std::int16_t value);
void append_int(std::string& out, std::int32_t value);
void append_long(std::string& out, std::int64_t value);
void append_float(std::string& out, float value);
void append_double(std::string& out, double value);
void append_timestamp(std::string& out, Timestamp value);
void append_binary(std::string& out, std::string_view bytes);
void append_string(std::string& out, std::string_view utf8);
void append_symbol(std::string& out, std::string_view ascii);
void append_symbol_array(std::string& out, std::span<const Symbol> symbols);
void append_string_array(std::string& out, std::span<const std::string> texts);

void append(std::string& out, const Value& value);
void append(std::string& out, const Map& map);

// The mark and the descriptor of a described value, whose value is appended next.
inline void append_descriptor(std::string& out, std::uint64_t code) {
  append_code(out, kDescribedCode);
  append_ulong(out, code);  // a small code becomes a smallulong, the only form some clients read
}

// A list or a map whose items are appended one after the other. Nests: an inner one is finished
// before the outer one gets its next item.
//
//   CompoundWriter map(out, kMap8Code);
//   append_symbol(out, "x-opt-offset");
//   append_string(out, offset);
//   map.finish(2);
//
// Written in the narrow form, widened at the end when it has become too long: small ones are the
// rule, and moving a long one costs less than measuring all of them first.
class CompoundWriter {
 public:
  // `code8` is kList8Code, kMap8Code or kArray8Code.
  CompoundWriter(std::string& out, FormatCode code8) : out_(out), start_(out.size()) {
    const char header[] = {static_cast<char>(code8), 0, 0};
    out.append(header, sizeof header);
  }
  CompoundWriter(const CompoundWriter&) = delete;
  CompoundWriter& operator=(const CompoundWriter&) = delete;

  // `count` of items: of a map, keys and values.
  void finish(std::size_t count) {
    const std::size_t size = out_.size() - start_ - 2;  // of the count and the items
    if (size > 0xFF || count > 0xFF) return widen(count);
    out_[start_ + 1] = static_cast<char>(size);
    out_[start_ + 2] = static_cast<char>(count);
  }

 private:
  void widen(std::size_t count);

  std::string& out_;
  std::size_t start_;
};

// Writes entries and counts them.
class MapWriter {
 public:
  explicit MapWriter(std::string& out) : out_(out), map_(out, kMap8Code) {}

  // The value is appended next.
  void symbol_key(std::string_view key) {
    append_symbol(out_, key);
    count_ += 2;
  }
  void string_key(std::string_view key) {
    append_string(out_, key);
    count_ += 2;
  }
  void finish() { map_.finish(count_); }

 private:
  std::string& out_;
  CompoundWriter map_;
  std::size_t count_ = 0;
};

}  // namespace doppel::amqp
