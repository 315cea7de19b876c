#include "protocol/amqp/encoder.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "base/check.h"

namespace doppel::amqp {
namespace {

constexpr std::size_t kNarrowMax = 0xFF;

template <class T>
void append_fixed(std::string& out, FormatCode code, T value) {
  char bytes[1 + sizeof(T)];
  bytes[0] = static_cast<char>(code);
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes[1 + i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  out.append(bytes, sizeof bytes);
}

void append_variable(std::string& out, FormatCode code8, std::string_view bytes) {
  if (bytes.size() <= kNarrowMax) {
    const char header[] = {static_cast<char>(code8), static_cast<char>(bytes.size())};
    out.append(header, sizeof header);
  } else {
    append_fixed(out, code8 | kWideBit, static_cast<std::uint32_t>(bytes.size()));
  }
  out += bytes;
}

template <class Texts>
void append_text_array(std::string& out, FormatCode code8, const Texts& texts) {
  const auto view = [](const auto& item) -> std::string_view {
    if constexpr (requires { item.text; })
      return item.text;
    else
      return item;
  };
  CompoundWriter array(out, kArray8Code);
  const bool is_wide =
      std::ranges::any_of(texts, [&](const auto& t) { return view(t).size() > kNarrowMax; });
  append_code(out, is_wide ? code8 | kWideBit : code8);
  for (const auto& item : texts) {
    const auto text = view(item);
    if (is_wide)
      append_be(out, static_cast<std::uint32_t>(text.size()));
    else
      out += static_cast<char>(text.size());
    out += text;
  }
  array.finish(texts.size());
}

void append_array(std::string& out, const Array& array);

struct Append {
  std::string& out;

  void operator()(Null) const { append_null(out); }
  void operator()(bool value) const { append_boolean(out, value); }
  void operator()(std::uint8_t value) const { append_ubyte(out, value); }
  void operator()(std::uint16_t value) const { append_ushort(out, value); }
  void operator()(std::uint32_t value) const { append_uint(out, value); }
  void operator()(std::uint64_t value) const { append_ulong(out, value); }
  void operator()(std::int8_t value) const { append_byte(out, value); }
  void operator()(std::int16_t value) const { append_short(out, value); }
  void operator()(std::int32_t value) const { append_int(out, value); }
  void operator()(std::int64_t value) const { append_long(out, value); }
  void operator()(float value) const { append_float(out, value); }
  void operator()(double value) const { append_double(out, value); }
  void operator()(const Decimal32& value) const { fixed(kDecimal32Code, value.bytes); }
  void operator()(const Decimal64& value) const { fixed(kDecimal64Code, value.bytes); }
  void operator()(const Decimal128& value) const { fixed(kDecimal128Code, value.bytes); }
  void operator()(Char value) const { append_fixed(out, kCharCode, value.code_point); }
  void operator()(Timestamp value) const { append_timestamp(out, value); }
  void operator()(const Uuid& value) const { fixed(kUuidCode, value.bytes); }
  void operator()(const Binary& value) const { append_binary(out, value.bytes); }
  void operator()(const std::string& value) const { append_string(out, value); }
  void operator()(const Symbol& value) const { append_symbol(out, value.text); }
  void operator()(const Map& map) const { append(out, map); }
  void operator()(const Box<Array>& array) const { append_array(out, *array); }
  void operator()(const List& list) const {
    if (list.items.empty()) return append_code(out, kList0Code);
    CompoundWriter writer(out, kList8Code);
    for (const auto& item : list.items) append(out, item);
    writer.finish(list.items.size());
  }
  void operator()(const Box<Described>& described) const {
    append_code(out, kDescribedCode);
    append(out, described->descriptor);
    append(out, described->value);
  }

  template <std::size_t kSize>
  void fixed(FormatCode code, const std::array<std::uint8_t, kSize>& bytes) const {
    append_code(out, code);
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

// The one code that all items of an array have: wide enough for the longest of them, and for
// numbers their full width, as other encoders do.
FormatCode array_code(Type type) {
  switch (type) {
    case Type::null:
      return kNullCode;
    case Type::boolean:
      return kBooleanCode;
    case Type::ubyte:
      return kUbyteCode;
    case Type::ushort:
      return kUshortCode;
    case Type::uint:
      return kUintCode;
    case Type::ulong:
      return kUlongCode;
    case Type::byte:
      return kByteCode;
    case Type::short_:
      return kShortCode;
    case Type::int_:
      return kIntCode;
    case Type::long_:
      return kLongCode;
    case Type::float_:
      return kFloatCode;
    case Type::double_:
      return kDoubleCode;
    case Type::decimal32:
      return kDecimal32Code;
    case Type::decimal64:
      return kDecimal64Code;
    case Type::decimal128:
      return kDecimal128Code;
    case Type::char_:
      return kCharCode;
    case Type::timestamp:
      return kTimestampCode;
    case Type::uuid:
      return kUuidCode;
    case Type::binary:
      return kBinary32Code;
    case Type::string:
      return kString32Code;
    case Type::symbol:
      return kSymbol32Code;
    case Type::list:
      return kList32Code;
    case Type::map:
      return kMap32Code;
    case Type::array:
      return kArray32Code;
    case Type::described:
      break;  // the descriptors of an array stand before its item type
  }
  return kNullCode;
}

// An item without its code, in the encoding that the array has.
struct AppendItem {
  std::string& out;

  void operator()(bool value) const { out += static_cast<char>(value ? 1 : 0); }
  void operator()(std::uint32_t value) const { append_be(out, value); }
  void operator()(std::uint64_t value) const { append_be(out, value); }
  void operator()(std::int32_t value) const { append_be(out, static_cast<std::uint32_t>(value)); }
  void operator()(std::int64_t value) const { append_be(out, static_cast<std::uint64_t>(value)); }
  void operator()(const Binary& value) const { text(value.bytes); }
  void operator()(const std::string& value) const { text(value); }
  void operator()(const Symbol& value) const { text(value.text); }
  void operator()(const List& list) const {
    const auto start = begin(list.items.size());
    for (const auto& item : list.items) append(out, item);
    end(start);
  }
  void operator()(const Map& map) const {
    const auto start = begin(2 * map.entries.size());
    for (const auto& entry : map.entries) {
      append(out, entry.key);
      append(out, entry.value);
    }
    end(start);
  }
  void operator()(const Box<Array>& array) const;
  // The rest has one encoding, which follows its code.
  void operator()(const auto& value) const {
    const auto start = out.size();
    Append{out}(value);
    out.erase(start, 1);
  }

  void text(std::string_view bytes) const {
    append_be(out, static_cast<std::uint32_t>(bytes.size()));
    out += bytes;
  }
  std::size_t begin(std::size_t count) const {
    append_be(out, std::uint32_t{0});
    const auto start = out.size();
    append_be(out, static_cast<std::uint32_t>(count));
    return start;
  }
  void end(std::size_t start) const {
    const auto size = out.size() - start;
    for (std::size_t i = 0; i < 4; ++i)
      out[start - 4 + i] = static_cast<char>(size >> (8 * (3 - i)));
  }
};

bool is_narrow(const Array& array) {
  const auto fits = [](const Value& item) {
    if (const auto* text = item.text_if()) return text->size() <= kNarrowMax;
    const auto* binary = item.get_if<Binary>();
    return binary != nullptr && binary->bytes.size() <= kNarrowMax;
  };
  const bool is_text = array.element_type == Type::string || array.element_type == Type::symbol ||
                       array.element_type == Type::binary;
  return is_text && std::ranges::all_of(array.items, fits);
}

void append_items(std::string& out, const Array& array) {
  for (const auto& descriptor : array.descriptors) {
    append_code(out, kDescribedCode);
    append(out, descriptor);
  }
  const auto code = array_code(array.element_type);
  const bool narrow = is_narrow(array);
  append_code(out, narrow ? static_cast<FormatCode>(code & ~kWideBit) : code);
  for (const auto& item : array.items) {
    check(item.type() == array.element_type, "items of an array have the type of the array");
    if (narrow) {
      const auto start = out.size();
      std::visit(Append{out}, item.variant());
      out.erase(start, 1);
    } else {
      std::visit(AppendItem{out}, item.variant());
    }
  }
}

void AppendItem::operator()(const Box<Array>& array) const {
  const auto start = begin(array->items.size());
  append_items(out, *array);
  end(start);
}

void append_array(std::string& out, const Array& array) {
  CompoundWriter writer(out, kArray8Code);
  append_items(out, array);
  writer.finish(array.items.size());
}

}  // namespace

void append_ubyte(std::string& out, std::uint8_t value) { append_fixed(out, kUbyteCode, value); }
void append_ushort(std::string& out, std::uint16_t value) { append_fixed(out, kUshortCode, value); }

void append_uint(std::string& out, std::uint32_t value) {
  if (value == 0) return append_code(out, kUint0Code);
  if (value <= 0xFF) return append_fixed(out, kSmallUintCode, static_cast<std::uint8_t>(value));
  append_fixed(out, kUintCode, value);
}

void append_ulong(std::string& out, std::uint64_t value) {
  if (value == 0) return append_code(out, kUlong0Code);
  if (value <= 0xFF) return append_fixed(out, kSmallUlongCode, static_cast<std::uint8_t>(value));
  append_fixed(out, kUlongCode, value);
}

void append_byte(std::string& out, std::int8_t value) {
  append_fixed(out, kByteCode, static_cast<std::uint8_t>(value));
}

void append_short(std::string& out, std::int16_t value) {
  append_fixed(out, kShortCode, static_cast<std::uint16_t>(value));
}

void append_int(std::string& out, std::int32_t value) {
  if (value >= -128 && value <= 127)
    return append_fixed(out, kSmallIntCode, static_cast<std::uint8_t>(value));
  append_fixed(out, kIntCode, static_cast<std::uint32_t>(value));
}

void append_long(std::string& out, std::int64_t value) {
  if (value >= -128 && value <= 127)
    return append_fixed(out, kSmallLongCode, static_cast<std::uint8_t>(value));
  append_fixed(out, kLongCode, static_cast<std::uint64_t>(value));
}

void append_float(std::string& out, float value) {
  append_fixed(out, kFloatCode, std::bit_cast<std::uint32_t>(value));
}

void append_double(std::string& out, double value) {
  append_fixed(out, kDoubleCode, std::bit_cast<std::uint64_t>(value));
}

void append_timestamp(std::string& out, Timestamp value) {
  append_fixed(out, kTimestampCode, static_cast<std::uint64_t>(value.ms));
}

void append_binary(std::string& out, std::string_view bytes) {
  append_variable(out, kBinary8Code, bytes);
}
void append_string(std::string& out, std::string_view utf8) {
  append_variable(out, kString8Code, utf8);
}
void append_symbol(std::string& out, std::string_view ascii) {
  append_variable(out, kSymbol8Code, ascii);
}

void append_symbol_array(std::string& out, std::span<const Symbol> symbols) {
  append_text_array(out, kSymbol8Code, symbols);
}
void append_string_array(std::string& out, std::span<const std::string> texts) {
  append_text_array(out, kString8Code, texts);
}

void append(std::string& out, const Value& value) { std::visit(Append{out}, value.variant()); }

void append(std::string& out, const Map& map) {
  CompoundWriter writer(out, kMap8Code);
  for (const auto& entry : map.entries) {
    append(out, entry.key);
    append(out, entry.value);
  }
  writer.finish(2 * map.entries.size());
}

void CompoundWriter::widen(std::size_t count) {
  const auto code = static_cast<FormatCode>(out_[start_] | kWideBit);
  const auto size = out_.size() - start_ - 3 + sizeof(std::uint32_t);  // of the count and the items
  std::string header;
  append_code(header, code);
  append_be(header, static_cast<std::uint32_t>(size));
  append_be(header, static_cast<std::uint32_t>(count));
  out_.replace(start_, 3, header);
}

}  // namespace doppel::amqp
