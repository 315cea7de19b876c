#include "query/expression.h"

#include <algorithm>

#include "query/functions.h"

namespace doppel::query {

std::string_view to_string(Op op) {
  switch (op) {
    case Op::literal:
      return "literal";
    case Op::path:
      return "path";
    case Op::list:
      return "list";
    case Op::call:
      return "call";
    case Op::negate:
      return "neg";
    case Op::logical_not:
      return "NOT";
    case Op::logical_and:
      return "AND";
    case Op::logical_or:
      return "OR";
    case Op::equal:
      return "=";
    case Op::not_equal:
      return "!=";
    case Op::less:
      return "<";
    case Op::less_equal:
      return "<=";
    case Op::greater:
      return ">";
    case Op::greater_equal:
      return ">=";
    case Op::in:
      return "IN";
    case Op::not_in:
      return "NIN";
    case Op::add:
      return "+";
    case Op::subtract:
      return "-";
    case Op::multiply:
      return "*";
    case Op::divide:
      return "/";
    case Op::modulo:
      return "%";
    case Op::concatenate:
      return "||";
    case Op::coalesce:
      return "??";
  }
  return "?";
}

std::string_view to_string(Type type) {
  switch (type) {
    case Type::any:
      return "value";
    case Type::undefined:
      return "undefined";
    case Type::null:
      return "null";
    case Type::boolean:
      return "boolean";
    case Type::number:
      return "number";
    case Type::string:
      return "string";
  }
  return "?";
}

std::string describe(const Expression& expression) {
  if (expression.op == Op::path) return std::string(expression.path.text);
  if (expression.op == Op::literal) {
    const auto value = to_json(expression.value);
    return value ? json::write(*value) : "undefined";
  }
  std::string text = "(";
  text += expression.op == Op::call ? expression.function->name : to_string(expression.op);
  for (const auto* arg : expression.args) text.append(" ").append(describe(*arg));
  return text + ")";
}

bool mentions(const Expression& expression, Scope scope) {
  if (expression.op == Op::path && expression.path.scope == scope) return true;
  return std::ranges::any_of(expression.args,
                             [&](const auto* arg) { return mentions(*arg, scope); });
}

}  // namespace doppel::query
