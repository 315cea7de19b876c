// For tests: values, frames and messages as text. The generators in tests/vectors/amqp write the
// same text for what they encode, so a vector says what its bytes mean.
//
//   null  bool:true  uint:5  int:-1  float:%3f800000  string:text  symbol:text  binary:%00%ff
//   [a,b]  {k=v,...}  array<uint>[uint:1]  @descriptor(value)
//   open container-id=string:c max-frame-size=uint:512        fields with their default are left
//   out
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <variant>

#include <fmt/core.h>

#include "protocol/amqp/performative.h"
#include "protocol/amqp/sasl_frame.h"
#include "protocol/amqp/value.h"

namespace doppel::amqp::testing {

inline constexpr std::string_view kTypeNames[] = {
    "null",       "bool", "ubyte",     "ushort",   "uint",   "ulong",     "byte",
    "short",      "int",  "long",      "float",    "double", "decimal32", "decimal64",
    "decimal128", "char", "timestamp", "uuid",     "binary", "string",    "symbol",
    "list",       "map",  "array",     "described"};

inline std::string_view name_of(Type type) { return kTypeNames[static_cast<std::size_t>(type)]; }

// Letters, digits and a few signs as they are; other bytes as %xx.
inline std::string escaped(std::string_view bytes) {
  constexpr std::string_view kPlain = "-_.:/$@*> '";
  std::string out;
  for (const char c : bytes) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter || (c >= '0' && c <= '9') || kPlain.find(c) != kPlain.npos)
      out += c;
    else
      out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

template <class Bytes>
std::string hex(const Bytes& bytes) {
  std::string out;
  for (const auto byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string describe(const Value& value);

struct DescribeValue {
  std::string operator()(Null) const { return {}; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  template <std::integral T>
  std::string operator()(T value) const {
    return std::to_string(value);
  }
  std::string operator()(float value) const {
    return fmt::format("{:08x}", std::bit_cast<std::uint32_t>(value));
  }
  std::string operator()(double value) const {
    return fmt::format("{:016x}", std::bit_cast<std::uint64_t>(value));
  }
  template <std::size_t kSize>
  std::string operator()(const Decimal<kSize>& value) const {
    return hex(value.bytes);
  }
  std::string operator()(Char value) const { return std::to_string(value.code_point); }
  std::string operator()(Timestamp value) const { return std::to_string(value.ms); }
  std::string operator()(const Uuid& value) const { return hex(value.bytes); }
  std::string operator()(const Binary& value) const { return escaped(value.bytes); }
  std::string operator()(const std::string& value) const { return escaped(value); }
  std::string operator()(const Symbol& value) const { return escaped(value.text); }
  std::string operator()(const List& list) const { return "[" + items(list.items) + "]"; }
  std::string operator()(const Map& map) const {
    std::string out;
    for (const auto& [key, value] : map.entries) {
      if (!out.empty()) out += ',';
      out += describe(key) + "=" + describe(value);
    }
    return "{" + out + "}";
  }
  std::string operator()(const Box<Array>& array) const {
    std::string out = "array<";
    for (const auto& descriptor : array->descriptors) out += "@" + describe(descriptor) + " ";
    return out + std::string(name_of(array->element_type)) + ">[" + items(array->items) + "]";
  }
  std::string operator()(const Box<Described>& described) const {
    return "@" + describe(described->descriptor) + "(" + describe(described->value) + ")";
  }

  static std::string items(const std::vector<Value>& values) {
    std::string out;
    for (const auto& value : values) {
      if (!out.empty()) out += ',';
      out += describe(value);
    }
    return out;
  }
};

inline std::string describe(const Value& value) {
  const auto text = std::visit(DescribeValue{}, value.variant());
  switch (value.type()) {
    case Type::list:
    case Type::map:
    case Type::array:
    case Type::described:
      return text;
    case Type::null:
      return "null";
    default:
      return std::string(name_of(value.type())) + ":" + text;
  }
}

template <class Composite>
  requires requires { Composite::kCode; }
std::string describe(const Composite& composite);

// A field as the value that it is on the wire.
inline std::string describe_field(Role role) {
  return role == Role::receiver ? "receiver" : "sender";
}
inline std::string describe_field(const DeliveryTag& tag) { return escaped(tag.view()); }
template <class T>
  requires std::is_enum_v<T>
std::string describe_field(T value) {
  return std::to_string(static_cast<int>(value));
}
template <class T>
  requires(!std::is_enum_v<T> && std::is_constructible_v<Value, T>)
std::string describe_field(const T& value) {
  return describe(Value(value));
}
inline std::string describe_field(const std::vector<Symbol>& symbols) {
  std::string out;
  for (const auto& symbol : symbols) out += (out.empty() ? "" : ",") + escaped(symbol.text);
  return out;
}
template <class T>
  requires requires { T::kCode; }
std::string describe_field(const T& composite) {
  return "(" + describe(composite) + ")";
}
template <class... T>
std::string describe_field(const std::variant<T...>& variant) {
  return std::visit(
      [](const auto& alternative) -> std::string {
        if constexpr (std::is_same_v<decltype(alternative), const std::monostate&>)
          return "null";
        else
          return describe_field(alternative);
      },
      variant);
}
template <class T>
std::string describe_field(const std::optional<T>& value) {
  return value ? describe_field(*value) : "null";
}

template <class Composite>
  requires requires { Composite::kCode; }
std::string describe(const Composite& composite) {
  std::vector<std::string> defaults;
  for_each_field(Composite{}, [&](std::string_view, const auto& value) {
    defaults.push_back(describe_field(value));
  });
  auto name = Composite::kSymbol.substr(5);  // amqp:open:list
  std::string out(name.substr(0, name.find(':')));
  std::size_t at = 0;
  for_each_field(composite, [&](std::string_view field, const auto& value) {
    const auto text = describe_field(value);
    if (text != defaults[at++]) out += fmt::format(" {}={}", field, text);
  });
  return out;
}

template <class... T>
std::string describe(const std::variant<T...>& variant) {
  return std::visit([](const auto& alternative) { return describe(alternative); }, variant);
}

}  // namespace doppel::amqp::testing
