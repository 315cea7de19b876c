#include "protocol/amqp/decoder.h"

#include <algorithm>
#include <bit>

#include "base/encoding.h"

namespace doppel::amqp {
namespace {

// The first allocation for a list. A count is believed only so far, because lists within lists
// could each claim all the bytes that are left.
constexpr std::size_t kReserveItemsMax = 16;

// Nearly all text is ASCII: eight bytes at a time, then the exact check for what is not.
bool is_utf8(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    if ((word & kHighBits) != 0) return is_valid_utf8(text);
    text.remove_prefix(8);
  }
  const bool is_ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  return is_ascii || is_valid_utf8(text);
}

template <class Bytes>
Bytes bytes_of(const char* from) {
  Bytes value;
  if (from != nullptr) std::memcpy(value.bytes.data(), from, value.bytes.size());
  return value;
}

constexpr std::string_view kNotUtf8 = "a string is not UTF-8";
constexpr std::string_view kUnknownCode = "unknown format code";
constexpr std::string_view kTooDeep = "values are nested too deeply";

}  // namespace

void Decoder::fail(std::string_view reason) {
  if (state_ != State::ok) return;
  state_ = State::malformed;
  reason_ = reason;
  at_ = end_;
}

void Decoder::fail_short() {
  if (bounded_) return fail("a value ends past the end of what holds it");
  if (state_ == State::ok) state_ = State::need_more;
  at_ = end_;
}

bool Decoder::enter() {
  ++depth_;
  if (depth_ > kNestingMax) fail(kTooDeep);
  return ok();
}

std::int8_t Decoder::byte() {
  return static_cast<std::int8_t>(fixed<std::uint8_t>(kByteCode, "expected a byte"));
}

std::int16_t Decoder::short_integer() {
  return static_cast<std::int16_t>(fixed<std::uint16_t>(kShortCode, "expected a short"));
}

std::int32_t Decoder::integer() {
  const auto found = code();
  if (found == kSmallIntCode) return static_cast<std::int8_t>(raw<std::uint8_t>());
  if (found == kIntCode) return static_cast<std::int32_t>(raw<std::uint32_t>());
  fail("expected an int");
  return 0;
}

std::int64_t Decoder::long_integer() {
  const auto found = code();
  if (found == kSmallLongCode) return static_cast<std::int8_t>(raw<std::uint8_t>());
  if (found == kLongCode) return static_cast<std::int64_t>(raw<std::uint64_t>());
  fail("expected a long");
  return 0;
}

Timestamp Decoder::timestamp() {
  return {static_cast<std::int64_t>(fixed<std::uint64_t>(kTimestampCode, "expected a timestamp"))};
}

std::string_view Decoder::string() {
  const auto found = text(kString8Code, "expected a string");
  if (!is_utf8(found)) fail(kNotUtf8);
  return found;
}

std::optional<Type> Decoder::peek() const {
  if (at_ == end_) return std::nullopt;
  const auto next = static_cast<FormatCode>(*at_);
  if (next == kDescribedCode) return Type::described;
  return type_of(next);
}

Descriptor Decoder::descriptor() {
  if (code() != kDescribedCode) {
    fail("expected a described value");
    return {};
  }
  if (peek() == Type::ulong) return {.code = ulong()};
  const auto name = text(kSymbol8Code, "a descriptor is neither a ulong nor a symbol");
  if (ok() && name.empty()) fail("a descriptor is empty");
  return {.code = 0, .symbol = name};
}

Decoder::Compound Decoder::open(FormatCode code8, std::string_view otherwise) {
  const auto found = code();
  const bool is_list0 = found == kList0Code && code8 == kList8Code;
  if (!is_list0 && (found | kWideBit) != (code8 | kWideBit)) {
    fail(otherwise);
    return {.outer_end = end_, .was_bounded = bounded_};
  }
  return open_body(found);
}

// Reads size and count; from here the input ends where the compound ends.
Decoder::Compound Decoder::open_body(FormatCode code) {
  Compound compound{.outer_end = end_, .was_bounded = bounded_};
  if (code == kList0Code) {
    end_ = at_;
    bounded_ = true;
    return compound;
  }
  const bool is_wide = (code & kWideBit) != 0;
  const std::size_t size = is_wide ? raw<std::uint32_t>() : std::size_t{raw<std::uint8_t>()};
  if (size > left()) fail_short();
  if (!ok()) return compound;
  end_ = at_ + size;
  bounded_ = true;
  compound.count = is_wide ? raw<std::uint32_t>() : std::uint32_t{raw<std::uint8_t>()};
  check_compound(code, compound);
  return compound;
}

// Every item has one byte at least, but in arrays.
void Decoder::check_compound(FormatCode code, const Compound& compound) {
  const auto narrow = static_cast<FormatCode>(code & ~kWideBit);
  if (narrow != kArray8Code && compound.count > left()) fail("a count is larger than its bytes");
  if (narrow == kMap8Code && compound.count % 2 != 0) fail("a map has a key without a value");
}

Decoder::Compound Decoder::open_list() { return open(kList8Code, "expected a list"); }
Decoder::Compound Decoder::open_map() { return open(kMap8Code, "expected a map"); }

void Decoder::close(const Compound& compound) {
  if (ok() && at_ != end_) fail("a list, map or array has bytes past its items");
  end_ = compound.outer_end;
  bounded_ = compound.was_bounded;
  if (!ok()) at_ = end_;
}

// Python's azure-eventhub (_pyamqp/_encode.py) leaves the item's code away when there are no items.
FormatCode Decoder::array_item_code(const Compound& array) {
  if (ok() && array.count == 0 && at_ == end_) return kNullCode;
  return item_code();
}

FormatCode Decoder::item_code() {
  const auto found = code();
  if (ok() && found != kDescribedCode && !type_of(found)) fail(kUnknownCode);
  return found;
}

// --- Values that own their bytes.

Value Decoder::value() {
  const auto found = code();
  return ok() ? value_body(found) : Value();
}

Map Decoder::map() {
  const auto found = code();
  if (found != kMap8Code && found != kMap32Code) fail("expected a map");
  return ok() ? map_body(found) : Map();
}

Value Decoder::value_body(FormatCode code) {
  if (code == kDescribedCode) return described_body();
  const auto type = type_of(code);
  if (!type) {
    fail(kUnknownCode);
    return {};
  }
  switch (*type) {
    case Type::binary:
      return Binary(variable(code));
    case Type::string: {
      const auto text = variable(code);
      if (!is_utf8(text)) fail(kNotUtf8);
      return text;
    }
    case Type::symbol:
      return Symbol(variable(code));
    case Type::list:
      return list_body(code);
    case Type::map:
      return map_body(code);
    case Type::array:
      return array_body(code);
    default:
      return fixed_body(code);
  }
}

Value Decoder::fixed_body(FormatCode code) {
  switch (code) {
    case kTrueCode:
      return true;
    case kFalseCode:
      return false;
    case kBooleanCode: {
      const auto byte = raw<std::uint8_t>();
      if (byte > 1) fail("a boolean is neither 0 nor 1");
      return byte == 1;
    }
    case kUbyteCode:
      return raw<std::uint8_t>();
    case kUshortCode:
      return raw<std::uint16_t>();
    case kUint0Code:
      return std::uint32_t{0};
    case kSmallUintCode:
      return std::uint32_t{raw<std::uint8_t>()};
    case kUintCode:
      return raw<std::uint32_t>();
    case kUlong0Code:
      return std::uint64_t{0};
    case kSmallUlongCode:
      return std::uint64_t{raw<std::uint8_t>()};
    case kUlongCode:
      return raw<std::uint64_t>();
    case kByteCode:
      return static_cast<std::int8_t>(raw<std::uint8_t>());
    case kShortCode:
      return static_cast<std::int16_t>(raw<std::uint16_t>());
    case kSmallIntCode:
      return std::int32_t{static_cast<std::int8_t>(raw<std::uint8_t>())};
    case kIntCode:
      return static_cast<std::int32_t>(raw<std::uint32_t>());
    case kSmallLongCode:
      return std::int64_t{static_cast<std::int8_t>(raw<std::uint8_t>())};
    case kLongCode:
      return static_cast<std::int64_t>(raw<std::uint64_t>());
    case kFloatCode:
      return std::bit_cast<float>(raw<std::uint32_t>());
    case kDoubleCode:
      return std::bit_cast<double>(raw<std::uint64_t>());
    case kDecimal32Code:
      return bytes_of<Decimal32>(take(4));
    case kDecimal64Code:
      return bytes_of<Decimal64>(take(8));
    case kDecimal128Code:
      return bytes_of<Decimal128>(take(16));
    case kCharCode:
      return Char{raw<std::uint32_t>()};
    case kTimestampCode:
      return Timestamp{static_cast<std::int64_t>(raw<std::uint64_t>())};
    case kUuidCode:
      return bytes_of<Uuid>(take(16));
    default:
      return {};  // null: all others were told apart before
  }
}

List Decoder::list_body(FormatCode code) {
  List list;
  const auto compound = open_body(code);
  if (enter()) {
    list.items.reserve(std::min<std::size_t>(compound.count, kReserveItemsMax));
    for (std::uint32_t i = 0; i < compound.count && ok(); ++i) list.items.push_back(value());
  }
  leave();
  close(compound);
  return list;
}

Map Decoder::map_body(FormatCode code) {
  Map map;
  const auto compound = open_body(code);
  if (enter()) {
    map.entries.reserve(std::min<std::size_t>(compound.count / 2, kReserveItemsMax));
    for (std::uint32_t i = 0; i < compound.count && ok(); i += 2) {
      auto key = value();
      map.entries.push_back({std::move(key), value()});
    }
  }
  leave();
  close(compound);
  return map;
}

// Whether so many items of this encoding can be in the bytes that are left of the array.
bool Decoder::check_array_count(FormatCode item, std::uint32_t count) {
  if (!ok()) return false;
  if (item < kBinary8Code) {
    const auto width = fixed_width(item);
    if (std::uint64_t{count} * width != left()) fail("an array's size does not suit its count");
    if (width == 0) {
      if (count > zero_width_left_) fail("an array has too many items without bytes");
      zero_width_left_ -= std::min<std::size_t>(count, zero_width_left_);
    }
  } else if (count > left()) {
    fail("a count is larger than its bytes");
  }
  return ok();
}

Array Decoder::array_body(FormatCode code) {
  Array array;
  const auto compound = open_body(code);
  if (enter()) {
    const int depth = depth_;
    auto item = array_item_code(compound);
    while (ok() && item == kDescribedCode && enter()) {
      array.descriptors.push_back(value());
      item = item_code();
    }
    if (check_array_count(item, compound.count)) {
      array.element_type = *type_of(item);
      array.items.reserve(std::min<std::size_t>(compound.count, kReserveItemsMax));
      for (std::uint32_t i = 0; i < compound.count && ok(); ++i)
        array.items.push_back(value_body(item));
    }
    depth_ = depth;
  }
  leave();
  close(compound);
  return array;
}

Described Decoder::described_body() {
  Described described;
  if (enter()) {
    described.descriptor = value();
    described.value = value();
  }
  leave();
  return described;
}

// --- Values that are passed over. What is refused here and there is the same.

void Decoder::skip() {
  const auto found = code();
  if (ok()) skip_body(found);
}

void Decoder::skip_body(FormatCode code) {
  if (code == kDescribedCode) {
    if (enter()) {
      skip();
      skip();
    }
    return leave();
  }
  const auto type = type_of(code);
  if (!type) return fail(kUnknownCode);
  if (code == kBooleanCode) {
    if (raw<std::uint8_t>() > 1) fail("a boolean is neither 0 nor 1");
    return;
  }
  if (*type == Type::string) {
    if (!is_utf8(variable(code))) fail(kNotUtf8);
    return;
  }
  if (*type == Type::binary || *type == Type::symbol) {
    variable(code);
    return;
  }
  if (code != kList0Code && code < kBinary8Code) {
    take(fixed_width(code));
    return;
  }
  const auto compound = open_body(code);
  if (enter()) {
    const int depth = depth_;
    if (*type == Type::array) {
      auto item = array_item_code(compound);
      while (ok() && item == kDescribedCode && enter()) {
        skip();
        item = item_code();
      }
      if (check_array_count(item, compound.count)) skip_array_items(item, compound.count);
    } else {
      for (std::uint32_t i = 0; i < compound.count && ok(); ++i) skip();
    }
    depth_ = depth;
  }
  leave();
  close(compound);
}

void Decoder::skip_array_items(FormatCode item, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count && ok(); ++i) skip_body(item);
}

Decoded<DecodedValue> decode_value(std::string_view input, Input extent) {
  Decoder decoder(input, extent);
  auto value = decoder.value();
  return decoder.outcome(DecodedValue{std::move(value), decoder.position()});
}

}  // namespace doppel::amqp
