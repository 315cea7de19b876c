#include "json/value.h"

#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/encoding.h"
#include "json/number.h"

namespace doppel::json {
namespace {

bool is_marked(const Value& value) {
  return value.is_string() && view(value.get_string()).starts_with(kNumberMark);
}

bool equal_objects(const Object& a, const Object& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, member] : a) {
    const auto* other = b.if_contains(name);
    if (!other || !equal(member, *other)) return false;
  }
  return true;
}

bool equal_arrays(const Array& a, const Array& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(a[i], b[i])) return false;
  }
  return true;
}

}  // namespace

std::string_view view(const boost::json::string& text) { return {text.data(), text.size()}; }

bool is_number(const Value& value) { return value.is_number() || is_marked(value); }

bool is_string(const Value& value) { return value.is_string() && !is_marked(value); }

std::string number_text(const Value& value) {
  check(is_number(value), "number_text is asked of numbers only");
  return write(value);
}

double to_double(const Value& value) {
  check(is_number(value), "to_double is asked of numbers only");
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  double number = 0;
  parse_double_exactly(view(value.get_string()).substr(1), &number);
  return number;
}

std::optional<std::int64_t> to_int64(const Value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64()) {
    if (value.get_uint64() > INT64_MAX) return std::nullopt;
    return static_cast<std::int64_t>(value.get_uint64());
  }
  if (value.is_double()) {
    // 2^63 is a double and INT64_MAX is not, hence the half-open range.
    constexpr double kLimit = 9223372036854775808.0;
    const double number = value.get_double();
    if (!(number >= -kLimit && number < kLimit) || std::trunc(number) != number)
      return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (is_marked(value)) {
    // What no double holds may still be an integer that was written with a fraction of zeros.
    const auto text = view(value.get_string()).substr(1);
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (equal_decimals(text, std::to_string(number))) return number;
  }
  return std::nullopt;
}

const Value* find(const Value& object, std::string_view name) {
  const auto* members = object.if_object();
  return members ? members->if_contains({name.data(), name.size()}) : nullptr;
}

std::optional<std::string_view> find_string(const Value& object, std::string_view name) {
  const auto* member = find(object, name);
  if (!member || !is_string(*member)) return std::nullopt;
  return view(member->get_string());
}

std::string get_string_or(const Value& object, std::string_view name, std::string_view fallback) {
  return std::string(find_string(object, name).value_or(fallback));
}

const Value* find_ignoring_case(const Value& object, std::string_view name) {
  if (const auto* exact = find(object, name)) return exact;
  const auto* members = object.if_object();
  if (!members) return nullptr;
  for (const auto& [key, member] : *members) {
    if (equal_ignoring_case({key.data(), key.size()}, name)) return &member;
  }
  return nullptr;
}

bool equal(const Value& a, const Value& b) {
  if (is_number(a) || is_number(b)) {
    if (!is_number(a) || !is_number(b)) return false;
    if (a.is_int64() && b.is_int64()) return a.get_int64() == b.get_int64();
    if (a.is_double() && b.is_double()) return a.get_double() == b.get_double();
    return equal_decimals(number_text(a), number_text(b));
  }
  if (a.kind() != b.kind()) return false;
  if (a.is_object()) return equal_objects(a.get_object(), b.get_object());
  if (a.is_array()) return equal_arrays(a.get_array(), b.get_array());
  return a == b;
}

}  // namespace doppel::json
