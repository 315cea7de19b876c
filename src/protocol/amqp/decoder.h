// A cursor over encoded AMQP values (OASIS AMQP 1.0 part 1). Any legal encoding of a type is read;
// strings, symbols and binary come as views into the input.
//
// Failure is remembered: after the first one every read answers a zero and moves nowhere, so a
// caller reads a whole composite and asks once. Three outcomes: ok; need more (the input ended
// before an outermost value did); malformed.
//
// Hostile input: sizes and counts are checked against the bytes that are left before anything
// trusts them, nesting is limited, and what is allocated is in proportion to the bytes read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/decoded.h"
#include "protocol/amqp/format_code.h"
#include "protocol/amqp/value.h"

namespace doppel::amqp {

// Values within values: lists, maps, arrays and descriptors all count. Clients use about 5.
inline constexpr int kNestingMax = 32;
// Items of arrays whose encoding has no bytes (an array of nulls, of empty lists), in all of one
// input. No client sends one; without a limit a dozen bytes could ask for 2^32 values.
inline constexpr std::size_t kZeroWidthItemsMax = 1024;

// How much of what a peer sends is in the input.
enum class Input : std::uint8_t {
  partial,  // more may follow: a value that ends early is "need more"
  whole,    // nothing follows: it is malformed
};

// The descriptor of a described value: a number, or else a symbol.
struct Descriptor {
  std::uint64_t code = 0;
  std::string_view symbol{};  // empty: the code counts

  template <class Composite>
  bool is() const {
    return symbol.empty() ? code == Composite::kCode : symbol == Composite::kSymbol;
  }
};

class Decoder {
 public:
  explicit Decoder(std::string_view input, Input extent = Input::partial)
      : begin_(input.data()),
        at_(input.data()),
        end_(input.data() + input.size()),
        bounded_(extent == Input::whole) {}

  bool ok() const { return state_ == State::ok; }
  bool is_at_end() const { return at_ == end_; }
  // Bytes read so far; after a failure it means nothing.
  std::size_t position() const { return static_cast<std::size_t>(at_ - begin_); }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  // What is left of the input, or of the list that is open.
  std::string_view rest() const { return {at_, left()}; }

  // The caller found something it refuses. The first failure stays.
  void fail(std::string_view reason);

  // The outcome so far, with `value` if it is ok.
  template <class T>
  Decoded<T> outcome(T value) const {
    if (state_ == State::ok) return Decoded<T>(std::move(value));
    if (state_ == State::need_more) return NeedMore{};
    return Malformed{reason_};
  }

  // Whether a null is next; it is consumed.
  bool take_null() {
    if (at_ == end_ || static_cast<FormatCode>(*at_) != kNullCode) return false;
    ++at_;
    return true;
  }

  // Each reads a value of just this type, in any encoding of it.
  bool boolean();
  std::uint8_t ubyte() { return fixed<std::uint8_t>(kUbyteCode, "expected a ubyte"); }
  std::uint16_t ushort() { return fixed<std::uint16_t>(kUshortCode, "expected a ushort"); }
  std::uint32_t uint();
  std::uint64_t ulong();
  std::int8_t byte();
  std::int16_t short_integer();
  std::int32_t integer();
  std::int64_t long_integer();
  Timestamp timestamp();
  std::string_view binary() { return text(kBinary8Code, "expected a binary"); }
  std::string_view string();  // valid UTF-8
  std::string_view symbol() { return text(kSymbol8Code, "expected a symbol"); }

  // Any value, copied.
  Value value();
  Map map();
  // Moves past any value, checking all that value() would.
  void skip();
  // The type of the next value, without moving. Nothing at the end and for unknown codes.
  std::optional<Type> peek() const;

  // The mark of a described value and its descriptor; its value is read next. Descriptors of other
  // types than ulong and symbol are refused: where they are allowed, use value().
  Descriptor descriptor();

  // A list, a map or an array that is being read: the decoder ends where it ends, until close().
  struct Compound {
    std::uint32_t count = 0;  // items; of a map, keys and values
    const char* outer_end = nullptr;
    bool was_bounded = false;
  };
  Compound open_list();
  Compound open_map();
  void close(const Compound& compound);

  // An array of symbols, or a single one: the two encodings of a field with multiple="true" [part
  // 1, section 1.4]. `take` is called with each.
  // A list of them is read too: users of Proton's Python binding write one easily.
  template <class Take>
  void symbols(Take take) {
    if (peek() == Type::list) {
      const Compound list = open_list();
      for (std::uint32_t i = 0; i < list.count && ok(); ++i) take(symbol());
      return close(list);
    }
    if (peek() != Type::array) return take(symbol());
    const Compound array = open(kArray8Code, "expected a symbol or an array of them");
    const FormatCode code = array_item_code(array);
    if (ok() && array.count > 0 && (code | kWideBit) != kSymbol32Code)
      fail("the array is not of symbols");
    for (std::uint32_t i = 0; i < array.count && ok(); ++i) take(variable(code));
    close(array);
  }

 private:
  enum class State : std::uint8_t { ok, need_more, malformed };

  void fail_short();  // the input ended
  FormatCode code();
  FormatCode array_item_code(const Compound& array);
  FormatCode item_code();
  const char* take(std::size_t bytes);
  template <class T>
  T raw() {
    const char* from = take(sizeof(T));
    return from == nullptr ? T{} : load_be<T>(from);
  }
  template <class T>
  T fixed(FormatCode wanted, std::string_view otherwise) {
    if (code() == wanted) return raw<T>();
    fail(otherwise);
    return T{};
  }
  // `code8` is the narrow code of the wanted type.
  std::string_view text(FormatCode code8, std::string_view otherwise);
  std::string_view variable(FormatCode code);
  Compound open(FormatCode code8, std::string_view otherwise);
  Compound open_body(FormatCode code);
  void check_compound(FormatCode code, const Compound& compound);
  bool enter();
  void leave() { --depth_; }

  Value value_body(FormatCode code);
  Value fixed_body(FormatCode code);
  List list_body(FormatCode code);
  Map map_body(FormatCode code);
  Array array_body(FormatCode code);
  Described described_body();
  void skip_body(FormatCode code);
  void skip_array_items(FormatCode item, std::uint32_t count);
  bool check_array_count(FormatCode item, std::uint32_t count);

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string_view reason_{};
  std::size_t zero_width_left_ = kZeroWidthItemsMax;
  int depth_ = 0;
  State state_ = State::ok;
  bool bounded_;
};

// A whole value at the front of `input`, and what it took.
struct DecodedValue {
  Value value;
  std::size_t consumed = 0;
};
Decoded<DecodedValue> decode_value(std::string_view input, Input extent = Input::partial);

// --- Inline: what transfers and flows are made of.

inline const char* Decoder::take(std::size_t bytes) {
  if (left() < bytes) [[unlikely]] {
    fail_short();
    return nullptr;
  }
  const char* from = at_;
  at_ += bytes;
  return from;
}

inline FormatCode Decoder::code() {
  const char* from = take(1);
  return from == nullptr ? FormatCode{0xFF} : static_cast<FormatCode>(*from);
}

inline bool Decoder::boolean() {
  const auto found = code();
  if (found == kTrueCode) return true;
  if (found == kFalseCode) return false;
  if (found != kBooleanCode) {
    fail("expected a boolean");
    return false;
  }
  const auto byte = raw<std::uint8_t>();
  if (byte > 1) fail("a boolean is neither 0 nor 1");
  return byte == 1;
}

inline std::uint32_t Decoder::uint() {
  const auto found = code();
  if (found == kSmallUintCode) return raw<std::uint8_t>();
  if (found == kUintCode) return raw<std::uint32_t>();
  if (found != kUint0Code) fail("expected a uint");
  return 0;
}

inline std::uint64_t Decoder::ulong() {
  const auto found = code();
  if (found == kSmallUlongCode) return raw<std::uint8_t>();
  if (found == kUlongCode) return raw<std::uint64_t>();
  if (found != kUlong0Code) fail("expected a ulong");
  return 0;
}

inline std::string_view Decoder::text(FormatCode code8, std::string_view otherwise) {
  const auto found = code();
  if ((found | kWideBit) != (code8 | kWideBit)) {
    fail(otherwise);
    return {};
  }
  return variable(found);
}

inline std::string_view Decoder::variable(FormatCode code) {
  const std::size_t size =
      (code & kWideBit) != 0 ? raw<std::uint32_t>() : std::size_t{raw<std::uint8_t>()};
  const char* from = take(size);
  return from == nullptr ? std::string_view{} : std::string_view(from, size);
}

}  // namespace doppel::amqp
