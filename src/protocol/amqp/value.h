// An AMQP value that owns its bytes and keeps its exact type (OASIS AMQP 1.0 part 1): clients look
// at the type, so int and long, string and symbol, list and array are never mixed up. Used for what
// is small and general: property maps, filters, annotations, identifiers of messages. Event bytes
// and performatives on the hot path never pass through it.
//
// Copies are deep. Nothing here throws but for memory. Not synchronised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::amqp {

struct Null {
  bool operator==(const Null&) const = default;
};

// ASCII by the specification; the codec does not insist, because the property names of some clients
// are not.
struct Symbol {
  std::string text;

  Symbol() = default;
  explicit Symbol(std::string_view value) : text(value) {}
  bool operator==(const Symbol&) const = default;
  bool operator==(std::string_view other) const { return text == other; }
};

struct Binary {
  std::string bytes;

  Binary() = default;
  explicit Binary(std::string_view value) : bytes(value) {}
  bool operator==(const Binary&) const = default;
};

struct Timestamp {
  std::int64_t ms = 0;  // since 1970-01-01T00:00:00Z, may be negative
  bool operator==(const Timestamp&) const = default;
};

struct Char {
  std::uint32_t code_point = 0;  // as on the wire, UTF-32BE
  bool operator==(const Char&) const = default;
};

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  bool operator==(const Uuid&) const = default;
};

// Decimals are carried, not calculated with: their bytes as on the wire (IEEE 754 BID, big endian).
template <std::size_t kSize>
struct Decimal {
  std::array<std::uint8_t, kSize> bytes{};
  bool operator==(const Decimal&) const = default;
};
using Decimal32 = Decimal<4>;
using Decimal64 = Decimal<8>;
using Decimal128 = Decimal<16>;

class Value;
struct MapEntry;

struct List {
  std::vector<Value> items;
  bool operator==(const List&) const;
};

// In wire order, which is part of the meaning [part 1, section 1.6.23]. Keys may repeat on the
// wire; the first one is found.
struct Map {
  std::vector<MapEntry> entries;

  bool operator==(const Map&) const;

  bool is_empty() const { return entries.empty(); }
  // The value of a key that is a symbol or a string with this text: clients disagree about which of
  // the two a key is. Null when there is none. The pointer lives until the map changes.
  const Value* find(std::string_view key) const;

  Map& add(Value key, Value value);
  Map& add_symbol(std::string_view symbol_key, Value value);
  Map& add_string(std::string_view string_key, Value value);
};

// A heap cell that copies deeply, to let a value hold what is larger than itself.
template <class T>
class Box {
 public:
  Box() : cell_(1) {}
  Box(T value) { cell_.push_back(std::move(value)); }  // NOLINT(google-explicit-constructor)

  T& operator*() { return cell_.front(); }
  const T& operator*() const { return cell_.front(); }
  T* operator->() { return cell_.data(); }
  const T* operator->() const { return cell_.data(); }
  bool operator==(const Box& other) const { return **this == *other; }

 private:
  std::vector<T> cell_;  // always one, but after it was moved from
};

// What a value is; the order is that of the alternatives of Value.
enum class Type : std::uint8_t {
  null,
  boolean,
  ubyte,
  ushort,
  uint,
  ulong,
  byte,
  short_,
  int_,
  long_,
  float_,
  double_,
  decimal32,
  decimal64,
  decimal128,
  char_,
  timestamp,
  uuid,
  binary,
  string,
  symbol,
  list,
  map,
  array,
  described,
};

struct Array;
struct Described;

class Value {
 public:
  using Variant =
      std::variant<Null, bool, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t,
                   std::int8_t, std::int16_t, std::int32_t, std::int64_t, float, double, Decimal32,
                   Decimal64, Decimal128, Char, Timestamp, Uuid, Binary, std::string, Symbol, List,
                   Map, Box<Array>, Box<Described>>;

  Value() = default;
  // Exactly one of the alternatives: no silent change of an integer's width, no text from a bool.
  template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Value> &&
             std::is_constructible_v<Variant, std::in_place_type_t<std::remove_cvref_t<T>>, T>)
  Value(T&& value)  // NOLINT(google-explicit-constructor)
      : value_(std::in_place_type<std::remove_cvref_t<T>>, std::forward<T>(value)) {}
  Value(std::string_view text);  // NOLINT(google-explicit-constructor): a string
  Value(const char* text);       // NOLINT(google-explicit-constructor): a string
  Value(Array array);            // NOLINT(google-explicit-constructor)
  Value(Described described);    // NOLINT(google-explicit-constructor)

  Type type() const { return static_cast<Type>(value_.index()); }
  bool is_null() const { return value_.index() == 0; }

  // Null when the value has another type. For arrays and described values: get_array(), ...
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&value_);
  }
  const Array* array_if() const;
  const Described* described_if() const;

  // The text of a string or a symbol; null for all else.
  const std::string* text_if() const;

  const Variant& variant() const { return value_; }

  // Same type and same content; floating point numbers are compared by their bits, so a value is
  // always equal to its copy.
  bool operator==(const Value& other) const;

 private:
  Variant value_;
};

struct MapEntry {
  Value key;
  Value value;
  bool operator==(const MapEntry&) const = default;
};

// All items have one type, which an empty array has too. An array of described values has the
// descriptors, outermost first, and its items are the values within.
struct Array {
  Type element_type = Type::null;
  std::vector<Value> descriptors{};
  std::vector<Value> items{};
  bool operator==(const Array&) const = default;
};

struct Described {
  Value descriptor;
  Value value;
  bool operator==(const Described&) const = default;

  // Whether the descriptor is this code, or a symbol with this text: the two spellings of one
  // descriptor [part 1, section 1.5].
  bool is(std::uint64_t code, std::string_view symbol) const;
};

Array string_array(const std::vector<std::string>& texts);
Array symbol_array(const std::vector<std::string>& texts);

}  // namespace doppel::amqp
