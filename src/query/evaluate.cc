#include "query/evaluate.h"

#include <array>
#include <cmath>

#include "base/check.h"
#include "query/functions.h"

namespace doppel::query {
namespace {

bool is_primitive(const Value& value) {
  return value.kind == Kind::boolean || value.kind == Kind::number || value.kind == Kind::string ||
         value.kind == Kind::null;
}

Value negation(const Value& value) {
  return value.kind == Kind::boolean ? Value::of(!value.boolean) : Value{};
}

bool same(const Value& a, const Value& b) {
  if (a.kind == Kind::null) return b.kind == Kind::null;
  const auto order = compare(a, b);
  return order && *order == 0;
}

}  // namespace

Value is_element(const Value& value, const Value& array) {
  if (!is_primitive(value)) return {};
  for (const auto& element : array.source->get_array()) {
    if (same(value, Value::of(element))) return Value::of(true);
  }
  return Value::of(false);
}

Value Evaluator::keep(std::string text) {
  computed_bytes_ += text.size();
  if (computed_bytes_ > kComputedBytesMax) return {};
  strings_.push_back(std::make_unique<std::string>(std::move(text)));
  return Value::of(std::string_view(*strings_.back()));
}

Value Evaluator::concatenate(std::span<const Value> values) {
  std::size_t size = 0;
  for (const auto& value : values) {
    if (value.kind != Kind::string) return {};
    size += value.text.size();
  }
  if (size > kComputedBytesMax) return {};
  std::string text;
  text.reserve(size);
  for (const auto& value : values) text.append(value.text);
  return keep(std::move(text));
}

Value Evaluator::evaluate(const Expression& expression) {
  switch (expression.op) {
    case Op::literal:
      return expression.value;
    case Op::path:
      return row_.lookup(expression.path);
    case Op::list:
      return {};  // means something only to its IN
    case Op::call:
      return call(expression);
    case Op::negate: {
      const auto value = evaluate(*expression.args[0]);
      return value.kind == Kind::number ? Value::of(-value.number) : Value{};
    }
    case Op::logical_not:
      return negation(evaluate(*expression.args[0]));
    case Op::logical_and:
      return logical_and(expression);
    case Op::logical_or:
      return logical_or(expression);
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
      return comparison(expression);
    case Op::in:
      return membership(expression);
    case Op::not_in:
      return negation(membership(expression));
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::modulo:
      return arithmetic(expression);
    case Op::concatenate: {
      const std::array values{evaluate(*expression.args[0]), evaluate(*expression.args[1])};
      return concatenate(values);
    }
    case Op::coalesce: {
      const auto left = evaluate(*expression.args[0]);
      return left.is_defined() ? left : evaluate(*expression.args[1]);
    }
  }
  return {};
}

// False decides alone; otherwise anything that is not true makes the whole undefined.
Value Evaluator::logical_and(const Expression& expression) {
  bool are_true = true;
  for (const auto* arg : expression.args) {
    const auto value = evaluate(*arg);
    if (value.is_false()) return value;
    are_true = are_true && value.is_true();
  }
  return are_true ? Value::of(true) : Value{};
}

Value Evaluator::logical_or(const Expression& expression) {
  bool are_false = true;
  for (const auto* arg : expression.args) {
    const auto value = evaluate(*arg);
    if (value.is_true()) return value;
    are_false = are_false && value.is_false();
  }
  return are_false ? Value::of(false) : Value{};
}

Value Evaluator::equality(const Value& a, const Value& b) const {
  if (!is_primitive(a) || !is_primitive(b)) return {};
  // "x = null" has an answer for every x that is there.
  if (a.kind == Kind::null || b.kind == Kind::null) return Value::of(a.kind == b.kind);
  if (a.kind != b.kind && unlike_ == UnlikeTypes::undefined) return {};
  return Value::of(same(a, b));
}

Value Evaluator::comparison(const Expression& expression) {
  const auto left = evaluate(*expression.args[0]);
  const auto right = evaluate(*expression.args[1]);
  if (expression.op == Op::equal) return equality(left, right);
  if (expression.op == Op::not_equal) return negation(equality(left, right));
  const auto order = compare(left, right);
  if (!order) return {};
  switch (expression.op) {
    case Op::less:
      return Value::of(*order < 0);
    case Op::less_equal:
      return Value::of(*order <= 0);
    case Op::greater:
      return Value::of(*order > 0);
    case Op::greater_equal:
      return Value::of(*order >= 0);
    default:
      check(false, "only comparisons come here");
      return {};
  }
}

Value Evaluator::membership(const Expression& expression) {
  const auto value = evaluate(*expression.args[0]);
  const auto& set = *expression.args[1];
  if (set.op != Op::list) {
    const auto array = evaluate(set);
    return array.kind == Kind::array ? is_element(value, array) : Value{};
  }
  if (!is_primitive(value)) return {};
  for (const auto* element : set.args) {
    if (same(value, evaluate(*element))) return Value::of(true);
  }
  return Value::of(false);
}

Value Evaluator::arithmetic(const Expression& expression) {
  const auto left = evaluate(*expression.args[0]);
  const auto right = evaluate(*expression.args[1]);
  if (left.kind != Kind::number || right.kind != Kind::number) return {};
  double result = 0;
  switch (expression.op) {
    case Op::add:
      result = left.number + right.number;
      break;
    case Op::subtract:
      result = left.number - right.number;
      break;
    case Op::multiply:
      result = left.number * right.number;
      break;
    case Op::divide:
      // The sanitizers count a division by zero as an error; to us it is undefined anyway.
      if (right.number == 0) return {};
      result = left.number / right.number;
      break;
    case Op::modulo:
      if (right.number == 0) return {};
      result = std::fmod(left.number, right.number);
      break;
    default:
      check(false, "only arithmetic comes here");
  }
  return std::isfinite(result) ? Value::of(result) : Value{};
}

Value Evaluator::call(const Expression& expression) {
  constexpr std::size_t kFew = 3;  // all but CONCAT
  std::array<Value, kFew> few;
  std::vector<Value> many;
  const auto count = expression.args.size();
  if (count > kFew) many.resize(count);
  const std::span values = count > kFew ? std::span(many) : std::span(few).first(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = evaluate(*expression.args[i]);
  return expression.function->apply(*this, values);
}

}  // namespace doppel::query
