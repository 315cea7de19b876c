// Operators, from the loosest to the tightest.
#include "query/expression_parser.h"

#include <algorithm>

namespace doppel::query {
namespace {

constexpr BinaryOperator kDefaults[] = {{"??", Op::coalesce}};
constexpr BinaryOperator kEqualities[] = {
    {"=", Op::equal}, {"!=", Op::not_equal}, {"<>", Op::not_equal}};
constexpr BinaryOperator kRelations[] = {
    {"<", Op::less}, {"<=", Op::less_equal}, {">", Op::greater}, {">=", Op::greater_equal}};
constexpr BinaryOperator kSums[] = {{"+", Op::add}, {"-", Op::subtract}, {"||", Op::concatenate}};
constexpr BinaryOperator kProducts[] = {{"*", Op::multiply}, {"/", Op::divide}, {"%", Op::modulo}};

std::optional<Op> find_operator(std::span<const BinaryOperator> operators, const Token& token) {
  if (token.kind != Token::Kind::symbol) return std::nullopt;
  for (const auto& candidate : operators) {
    if (token.text == candidate.symbol) return candidate.op;
  }
  return std::nullopt;
}

}  // namespace

Result<const Expression*> ExpressionParser::parse() { return parse_coalesce(); }

Status ExpressionParser::check_is_condition(const Expression& expression) const {
  const auto type = expression.type;
  if (!dialect_.is_typed || (type != Type::string && type != Type::number)) return {};
  return fail_at(lexer_.text(), expression.offset,
                 "a condition is true or false, but this is a " + std::string(to_string(type)));
}

Result<const Expression*> ExpressionParser::parse_coalesce() {
  return parse_binary(&ExpressionParser::parse_or, kDefaults);
}

bool ExpressionParser::is_allowed(Op op) const {
  switch (op) {
    case Op::coalesce:
    case Op::concatenate:
      return dialect_.has_concatenation;
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::modulo:
      return dialect_.has_arithmetic;
    default:
      return true;
  }
}

Result<const Expression*> ExpressionParser::parse_binary(
    Node (ExpressionParser::*operand)(), std::span<const BinaryOperator> operators) {
  auto left = (this->*operand)();
  while (left) {
    const auto op = find_operator(operators, lexer_.token());
    if (!op || !is_allowed(*op)) break;
    const auto offset = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto right = (this->*operand)();
    if (!right) return right;
    left = make(*op, {*left, *right}, offset);
  }
  return left;
}

// One node for a whole chain, so that a long list of alternatives does not become a deep tree.
Result<const Expression*> ExpressionParser::parse_chain(Node (ExpressionParser::*operand)(),
                                                        std::string_view word, Op op) {
  auto first = (this->*operand)();
  if (!first || !lexer_.token().is_word(word)) return first;
  const auto offset = lexer_.token().offset;
  std::vector<const Expression*> args{*first};
  while (lexer_.token().is_word(word)) {
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto next = (this->*operand)();
    if (!next) return next;
    args.push_back(*next);
  }
  return make(op, std::move(args), offset);
}

Result<const Expression*> ExpressionParser::parse_or() {
  return parse_chain(&ExpressionParser::parse_and, "OR", Op::logical_or);
}

Result<const Expression*> ExpressionParser::parse_and() {
  return parse_chain(&ExpressionParser::parse_not, "AND", Op::logical_and);
}

Result<const Expression*> ExpressionParser::parse_not() {
  if (!lexer_.token().is_word("NOT")) return parse_equality();
  const Nesting nesting(nesting_);
  if (nesting.is_too_deep()) return lexer_.unexpected("the expression is nested too deeply");
  const auto offset = lexer_.token().offset;
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  const auto operand = parse_not();
  if (!operand) return operand;
  return make(Op::logical_not, {*operand}, offset);
}

Result<const Expression*> ExpressionParser::parse_equality() {
  return parse_binary(&ExpressionParser::parse_equality_operand, kEqualities);
}

// "x = NOT y" is odd, but it has only one meaning.
Result<const Expression*> ExpressionParser::parse_equality_operand() {
  return lexer_.token().is_word("NOT") ? parse_not() : parse_relation();
}

Result<const Expression*> ExpressionParser::parse_relation() {
  auto left = parse_sum();
  while (left) {
    const auto& token = lexer_.token();
    const auto offset = token.offset;
    if (dialect_.has_in && (token.is_word("IN") || token.is_word("NIN"))) {
      const auto op = token.is_word("IN") ? Op::in : Op::not_in;
      if (auto read = lexer_.advance(); !read) return fail(read.error());
      left = parse_in(*left, op, offset);
      continue;
    }
    if (dialect_.has_in && token.is_word("NOT")) {
      if (auto read = lexer_.advance(); !read) return fail(read.error());
      if (!lexer_.token().is_word("IN")) return lexer_.unexpected("IN is expected after NOT");
      if (auto read = lexer_.advance(); !read) return fail(read.error());
      left = parse_in(*left, Op::not_in, offset);
      continue;
    }
    const auto op = find_operator(kRelations, token);
    if (!op) break;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto right = parse_sum();
    if (!right) return right;
    left = make(*op, {*left, *right}, offset);
  }
  return left;
}

Result<const Expression*> ExpressionParser::parse_sum() {
  return parse_binary(&ExpressionParser::parse_product, kSums);
}

Result<const Expression*> ExpressionParser::parse_product() {
  return parse_binary(&ExpressionParser::parse_negation, kProducts);
}

Result<const Expression*> ExpressionParser::parse_negation() {
  if (!lexer_.token().is_symbol("-")) return parse_primary();
  const Nesting nesting(nesting_);
  if (nesting.is_too_deep()) return lexer_.unexpected("the expression is nested too deeply");
  const auto offset = lexer_.token().offset;
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  const auto operand = parse_negation();
  if (!operand) return operand;
  if (!dialect_.has_arithmetic && (*operand)->op != Op::literal) {
    return fail_at(lexer_.text(), offset, "only a number can have a '-' here");
  }
  if ((*operand)->op == Op::literal && (*operand)->value.kind == Kind::number) {
    // Folded, so that -9007199254740993 stays exact.
    const auto& value = (*operand)->value;
    const auto integer = value.source ? json::to_int64(*value.source) : std::nullopt;
    if (integer && *integer != 0 && *integer != INT64_MIN) {
      return literal(Value::of(arena_.keep(json::Value(-*integer))), Type::number, offset);
    }
    return literal(Value::of(-value.number), Type::number, offset);
  }
  return make(Op::negate, {*operand}, offset);
}

Result<const Expression*> ExpressionParser::parse_in(const Expression* left, Op op,
                                                     std::size_t offset) {
  const auto set = lexer_.token().is_symbol("[") ? parse_list() : parse_sum();
  if (!set) return set;
  return make(op, {left, *set}, offset);
}

Result<const Expression*> ExpressionParser::parse_list() {
  const auto offset = lexer_.token().offset;
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  std::vector<const Expression*> elements;
  while (!lexer_.token().is_symbol("]")) {
    if (!elements.empty()) {
      if (auto comma = expect(",", "',' or ']' is expected"); !comma) return fail(comma.error());
    }
    const auto at = lexer_.token().offset;
    const auto element = parse_negation();
    if (!element) return element;
    if ((*element)->op != Op::literal) {
      return fail_at(lexer_.text(), at, "the list of IN has constants only");
    }
    elements.push_back(*element);
  }
  if (elements.empty()) return lexer_.unexpected("the list of IN is empty");
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  return make(Op::list, std::move(elements), offset);
}

}  // namespace doppel::query
