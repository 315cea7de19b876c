// What expressions of the query languages work with. A value is a view: strings, arrays and objects
// live in the row, in the query or in the evaluator, whichever made them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "json/value.h"

namespace doppel::query {

enum class Kind : std::uint8_t { undefined, null, boolean, number, string, array, object };

std::string_view to_string(Kind kind);

struct Value {
  Kind kind = Kind::undefined;
  bool boolean = false;
  double number = 0;
  std::string_view text = {};
  // Where the value came from, if it is part of a document: the exact number, the elements of an
  // array. May be null except for arrays and objects.
  const json::Value* source = nullptr;

  static Value null() { return {.kind = Kind::null}; }
  static Value of(bool value) { return {.kind = Kind::boolean, .boolean = value}; }
  static Value of(double value) { return {.kind = Kind::number, .number = value}; }
  static Value of(std::string_view value) { return {.kind = Kind::string, .text = value}; }
  static Value of(const char* value) { return of(std::string_view(value)); }
  static Value of(const json::Value& value);

  bool is_defined() const { return kind != Kind::undefined; }
  bool is_true() const { return kind == Kind::boolean && boolean; }
  bool is_false() const { return kind == Kind::boolean && !boolean; }
};

// As a document of its own, numbers exact; nothing for undefined.
std::optional<json::Value> to_json(const Value& value);

// Less than, equal or greater (-1, 0, 1) for two numbers, strings or booleans; nothing for all
// other pairs. Strings compare by bytes, false comes before true. Integers beyond 2^53 compare
// exactly.
std::optional<int> compare(const Value& a, const Value& b);

}  // namespace doppel::query
