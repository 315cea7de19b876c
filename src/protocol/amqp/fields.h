// Reads and writes the fields of a composite, for the code generated from schemas/amqp. Which C++
// type stands for which field type is decided in schemas/amqp/generate.py; here is what each means
// on the wire.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/amqp/decoder.h"
#include "protocol/amqp/encoder.h"
#include "protocol/amqp/types.h"

namespace doppel::amqp {

// One overload for each simple type. Composites and their variants have a read() and an append() of
// their own, beside their declaration.
inline void read_field(Decoder& in, bool& out) { out = in.boolean(); }
inline void read_field(Decoder& in, std::uint8_t& out) { out = in.ubyte(); }
inline void read_field(Decoder& in, std::uint16_t& out) { out = in.ushort(); }
inline void read_field(Decoder& in, std::uint32_t& out) { out = in.uint(); }
inline void read_field(Decoder& in, std::uint64_t& out) { out = in.ulong(); }
inline void read_field(Decoder& in, Timestamp& out) { out = in.timestamp(); }
inline void read_field(Decoder& in, std::string& out) { out = in.string(); }
inline void read_field(Decoder& in, Symbol& out) { out.text = in.symbol(); }
inline void read_field(Decoder& in, Binary& out) { out.bytes = in.binary(); }
inline void read_field(Decoder& in, Map& out) { out = in.map(); }
inline void read_field(Decoder& in, Value& out) { out = in.value(); }
inline void read_field(Decoder& in, Role& out) { out = Role{in.boolean()}; }

inline void read_field(Decoder& in, DeliveryTag& out) {
  const auto tag = DeliveryTag::from(in.binary());
  if (!tag) return in.fail("a delivery tag is longer than 32 bytes");
  out = *tag;
}

// The types that restrict a number to a few choices.
template <class Choice>
void read_choice(Decoder& in, Choice& out, std::integral auto value, Choice last,
                 std::string_view otherwise) {
  if (value > static_cast<decltype(value)>(last)) return in.fail(otherwise);
  out = static_cast<Choice>(value);
}
inline void read_field(Decoder& in, SenderSettleMode& out) {
  read_choice(in, out, in.ubyte(), SenderSettleMode::mixed, "unknown sender settle mode");
}
inline void read_field(Decoder& in, ReceiverSettleMode& out) {
  read_choice(in, out, in.ubyte(), ReceiverSettleMode::second, "unknown receiver settle mode");
}
inline void read_field(Decoder& in, TerminusDurability& out) {
  read_choice(in, out, in.uint(), TerminusDurability::unsettled_state, "unknown durability");
}
inline void read_field(Decoder& in, SaslCode& out) {
  read_choice(in, out, in.ubyte(), SaslCode::sys_temp, "unknown SASL outcome");
}

template <class Composite>
  requires requires(Decoder& in, Composite& out) { read(in, out); }
void read_field(Decoder& in, Composite& out) {
  read(in, out);
}

inline void write_field(std::string& out, bool value) { append_boolean(out, value); }
inline void write_field(std::string& out, std::uint8_t value) { append_ubyte(out, value); }
inline void write_field(std::string& out, std::uint16_t value) { append_ushort(out, value); }
inline void write_field(std::string& out, std::uint32_t value) { append_uint(out, value); }
inline void write_field(std::string& out, std::uint64_t value) { append_ulong(out, value); }
inline void write_field(std::string& out, Timestamp value) { append_timestamp(out, value); }
inline void write_field(std::string& out, const std::string& value) { append_string(out, value); }
inline void write_field(std::string& out, const Symbol& value) { append_symbol(out, value.text); }
inline void write_field(std::string& out, const Binary& value) { append_binary(out, value.bytes); }
inline void write_field(std::string& out, Role value) {
  append_boolean(out, value == Role::receiver);
}
inline void write_field(std::string& out, const DeliveryTag& value) {
  append_binary(out, value.view());
}
inline void write_field(std::string& out, TerminusDurability value) {
  append_uint(out, static_cast<std::uint32_t>(value));
}
template <class Choice>
  requires(std::is_enum_v<Choice> && std::same_as<std::underlying_type_t<Choice>, std::uint8_t>)
void write_field(std::string& out, Choice value) {
  append_ubyte(out, static_cast<std::uint8_t>(value));
}
template <class Composite>
  requires requires(std::string& out, const Composite& value) { append(out, value); } &&
           std::is_class_v<Composite>
void write_field(std::string& out, const Composite& value) {
  append(out, value);
}
template <class T>
void write_field(std::string& out, const std::optional<T>& value) {
  if (!value) return append_null(out);
  write_field(out, *value);
}
// Always an array: clients that take a decoded field for a collection are right with it, and those
// that know the rule for single values too.
inline void write_field(std::string& out, const std::vector<Symbol>& value) {
  if (value.empty()) return append_null(out);
  append_symbol_array(out, value);
}

// The list of a composite's fields, in order. Fields past the end of the list are null, and a null
// takes the default [part 1, section 1.4]. More fields than the composite has are refused.
class FieldReader {
 public:
  FieldReader(Decoder& in, std::uint32_t fields) : in_(in), list_(in.open_list()) {
    left_ = list_.count;
    if (left_ > fields) in.fail("a performative, section or state has too many fields");
  }

  template <class T>
  void mandatory(T& out, std::string_view missing) {
    if (is_null()) return in_.fail(missing);
    read_field(in_, out);
  }
  template <class T>
  void optional(std::optional<T>& out) {
    if (!is_null()) read_field(in_, out.emplace());
  }
  // A variant with an empty alternative, or a field that keeps its default.
  template <class T>
  void defaulted(T& out) {
    if (!is_null()) read_field(in_, out);
  }
  void multiple(std::vector<Symbol>& out) {
    if (!is_null()) in_.symbols([&](std::string_view symbol) { out.emplace_back(symbol); });
  }
  void multiple_mandatory(std::vector<Symbol>& out, std::string_view missing) {
    if (is_null()) return in_.fail(missing);
    in_.symbols([&](std::string_view symbol) { out.emplace_back(symbol); });
  }
  void finish() { in_.close(list_); }

 private:
  bool is_null() {
    if (left_ == 0) return true;
    --left_;
    return in_.take_null();
  }

  Decoder& in_;
  Decoder::Compound list_;
  std::uint32_t left_ = 0;
};

}  // namespace doppel::amqp
