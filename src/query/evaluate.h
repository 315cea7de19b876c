// Evaluation with three truth values: an expression about something that is not there is undefined,
// which is neither true nor false.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "query/expression.h"

namespace doppel::query {

// What one evaluation may build by concatenating, in bytes; beyond it the result is undefined.
inline constexpr std::size_t kComputedBytesMax = 1024 * 1024;

// How `=` and `!=` treat values of different types.
enum class UnlikeTypes : std::uint8_t {
  undefined,  // twin queries and Digital Twins
  unequal,    // routing conditions
};

// For one row after another is one evaluator each; it allocates nothing unless strings are made.
class Evaluator {
 public:
  // `row` must outlive the evaluator and the values it returns.
  explicit Evaluator(const Row& row, UnlikeTypes unlike = UnlikeTypes::undefined)
      : row_(row), unlike_(unlike) {}

  // Views in the result live as long as the evaluator, the row and the query.
  Value evaluate(const Expression& expression);
  bool is_true(const Expression& expression) { return evaluate(expression).is_true(); }

  // For functions: a string that lives as long as the evaluator; undefined beyond the limit.
  Value keep(std::string text);
  // Undefined unless all are strings.
  Value concatenate(std::span<const Value> values);

 private:
  Value logical_and(const Expression& expression);
  Value logical_or(const Expression& expression);
  Value comparison(const Expression& expression);
  Value equality(const Value& a, const Value& b) const;
  Value membership(const Expression& expression);
  Value arithmetic(const Expression& expression);
  Value call(const Expression& expression);

  const Row& row_;
  UnlikeTypes unlike_;
  std::vector<std::unique_ptr<std::string>> strings_;
  std::size_t computed_bytes_ = 0;
};

// Whether a primitive equals one of the array's elements; undefined for other values.
Value is_element(const Value& value, const Value& array);

}  // namespace doppel::query
