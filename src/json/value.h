// JSON documents: Boost.JSON as the mutable tree, with our own parser settings and writer, because
// values must come back as they were sent (docs/decisions/004-json.md):
//   - a number that neither an int64, a uint64 nor a double holds exactly keeps its text;
//   - doubles are written in their shortest form without exponents where possible (22.75,
//   not 2.275E1).
//
// A number kept as text is a boost string that begins with the byte 0xFF, which no parsed string
// can contain (it is not UTF-8). So ask is_string() and is_number() of this header, never those of
// the value.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::json {

using Value = boost::json::value;
using Object = boost::json::object;  // keeps insertion order; erase with stable_erase only
using Array = boost::json::array;

struct ParseLimits {
  std::size_t depth_max = 32;              // nested objects and arrays
  std::size_t size_max = 4 * 1024 * 1024;  // bytes of text
};

// Parses exactly one document (RFC 8259, UTF-8; white space around it is fine). A repeated member
// name keeps the last value. Errors: invalid_argument with the byte offset, too_large.
Result<Value> parse(std::string_view text, const ParseLimits& limits = {});

// Compact text, members in order.
std::string write(const Value& value);
void write_to(std::string& out, const Value& value);
// The same with line breaks and two-space indents, for people.
std::string write_pretty(const Value& value);

bool is_number(const Value& value);
bool is_string(const Value& value);  // false for a number kept as text
// The number's text as it will be written. `value` must be a number.
std::string number_text(const Value& value);
// As a double, the nearest one if it must be. `value` must be a number.
double to_double(const Value& value);
// The value if it is an integral number within int64 (5 and 5.0 alike), else nothing.
std::optional<std::int64_t> to_int64(const Value& value);

// The member if `object` is an object and has it, else null.
const Value* find(const Value& object, std::string_view name);
// The member's text if it is there and a string, else null / the fallback.
std::optional<std::string_view> find_string(const Value& object, std::string_view name);
std::string get_string_or(const Value& object, std::string_view name, std::string_view fallback);
// The same without regard to the case of the name (some SDKs and functions vary it).
const Value* find_ignoring_case(const Value& object, std::string_view name);

std::string_view view(const boost::json::string& text);
// Deep equality; numbers compare by value, members in any order.
bool equal(const Value& a, const Value& b);

}  // namespace doppel::json
