// What types say before there is a row: "severity <= 2" compares text with a number and can never
// hold, so the route is refused when it is made.
#include <string>

#include "query/expression_parser.h"

namespace doppel::query {
namespace {

// null and undefined go with everything; `any` is known only when there is a message.
bool is_known(Type type) {
  return type == Type::boolean || type == Type::number || type == Type::string;
}

bool fits(Type type, Type wanted) { return !is_known(type) || !is_known(wanted) || type == wanted; }

std::string a(Type type) { return "a " + std::string(to_string(type)); }

std::string hint(Type type, Type wanted) {
  return type == Type::string && wanted == Type::number ? "; as_number(...) makes one of it" : "";
}

Type wanted_by(Op op) {
  switch (op) {
    case Op::negate:
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::modulo:
      return Type::number;
    case Op::logical_not:
    case Op::logical_and:
    case Op::logical_or:
      return Type::boolean;
    case Op::concatenate:
      return Type::string;
    default:
      return Type::any;
  }
}

bool is_comparison(Op op) {
  return op == Op::equal || op == Op::not_equal || op == Op::less || op == Op::less_equal ||
         op == Op::greater || op == Op::greater_equal;
}

}  // namespace

Status ExpressionParser::check_types(Op op, std::span<const Expression* const> args,
                                     std::size_t offset, const Function* function) const {
  if (function) {
    for (std::size_t i = 0; i < args.size(); ++i) {
      const auto wanted = i == 0 ? function->argument : function->second;
      if (fits(args[i]->type, wanted)) continue;
      return fail_at(lexer_.text(), args[i]->offset,
                     std::string(function->name) + " takes " + a(wanted) + ", not " +
                         a(args[i]->type) + hint(args[i]->type, wanted));
    }
    return {};
  }
  const auto wanted = wanted_by(op);
  for (const auto* arg : args) {
    if (fits(arg->type, wanted)) continue;
    return fail_at(lexer_.text(), offset,
                   "'" + std::string(to_string(op)) + "' takes " + a(wanted) + ", not " +
                       a(arg->type) + hint(arg->type, wanted));
  }
  if (is_comparison(op) && !fits(args[0]->type, args[1]->type)) {
    const bool is_text_first = args[0]->type == Type::string;
    return fail_at(lexer_.text(), offset,
                   "'" + std::string(to_string(op)) + "' cannot compare " + a(args[0]->type) +
                       " with " + a(args[1]->type) +
                       hint(args[is_text_first ? 0 : 1]->type, args[is_text_first ? 1 : 0]->type));
  }
  if (op == Op::coalesce && !fits(args[0]->type, args[1]->type)) {
    return fail_at(lexer_.text(), offset,
                   "'\?\?' cannot choose between " + a(args[0]->type) + " and " + a(args[1]->type) +
                       "; parentheses may be missing");
  }
  if ((op == Op::in || op == Op::not_in) && args[1]->op == Op::list) {
    for (const auto* element : args[1]->args) {
      if (fits(args[0]->type, element->type)) continue;
      return fail_at(lexer_.text(), element->offset,
                     "IN cannot compare " + a(args[0]->type) + " with " + a(element->type) +
                         hint(args[0]->type, element->type));
    }
  }
  return {};
}

Result<Type> ExpressionParser::type_of(Op op, std::span<const Expression* const> args,
                                       const Function* function) const {
  if (function) return function->result;
  switch (op) {
    case Op::coalesce:
      if (args[0]->type == Type::undefined) return args[1]->type;
      return args[0]->type == args[1]->type ? args[0]->type : Type::any;
    case Op::literal:
    case Op::path:
    case Op::list:
    case Op::call:
      return Type::any;
    default: {
      const auto operand = wanted_by(op);
      return operand == Type::any ? Type::boolean : operand;
    }
  }
}

}  // namespace doppel::query
