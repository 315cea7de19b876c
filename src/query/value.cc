#include "query/value.h"

#include <cmath>

namespace doppel::query {
namespace {

// From here on different integers may share a double.
constexpr double kExactMax = 9007199254740992.0;  // 2^53

int sign_of(std::strong_ordering order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

std::optional<int> compare_numbers(const Value& a, const Value& b) {
  if (a.number < b.number) return -1;
  if (a.number > b.number) return 1;
  if (a.number != b.number) return std::nullopt;  // not a number
  if (std::abs(a.number) < kExactMax || !a.source || !b.source) return 0;
  const auto left = json::to_int64(*a.source);
  const auto right = json::to_int64(*b.source);
  if (left && right) return sign_of(*left <=> *right);
  if (json::equal(*a.source, *b.source)) return 0;
  return std::nullopt;  // different, but beyond what we order
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::undefined:
      return "undefined";
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "boolean";
    case Kind::number:
      return "number";
    case Kind::string:
      return "string";
    case Kind::array:
      return "array";
    case Kind::object:
      return "object";
  }
  return "?";
}

Value Value::of(const json::Value& value) {
  if (json::is_number(value)) {
    return {.kind = Kind::number, .number = json::to_double(value), .source = &value};
  }
  if (const auto* text = value.if_string()) {
    return {.kind = Kind::string, .text = json::view(*text), .source = &value};
  }
  if (const auto* boolean = value.if_bool()) {
    return {.kind = Kind::boolean, .boolean = *boolean, .source = &value};
  }
  if (value.is_array()) return {.kind = Kind::array, .source = &value};
  if (value.is_object()) return {.kind = Kind::object, .source = &value};
  return {.kind = Kind::null, .source = &value};
}

std::optional<json::Value> to_json(const Value& value) {
  if (value.source) return *value.source;
  switch (value.kind) {
    case Kind::null:
      return json::Value(nullptr);
    case Kind::boolean:
      return json::Value(value.boolean);
    case Kind::number: {
      // Numbers that we computed are integers again if they can be.
      json::Value number(value.number);
      if (std::abs(value.number) < kExactMax) {
        if (const auto integer = json::to_int64(number)) return json::Value(*integer);
      }
      return number;
    }
    case Kind::string:
      return json::Value(boost::json::string_view(value.text.data(), value.text.size()));
    case Kind::undefined:
    case Kind::array:
    case Kind::object:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<int> compare(const Value& a, const Value& b) {
  if (a.kind != b.kind) return std::nullopt;
  switch (a.kind) {
    case Kind::number:
      return compare_numbers(a, b);
    case Kind::string: {
      const int order = a.text.compare(b.text);
      return order < 0 ? -1 : order > 0 ? 1 : 0;
    }
    case Kind::boolean:
      return static_cast<int>(a.boolean) - static_cast<int>(b.boolean);
    default:
      return std::nullopt;
  }
}

}  // namespace doppel::query
