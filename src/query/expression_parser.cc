#include "query/expression_parser.h"

#include <algorithm>

#include "query/dollar_path.h"

namespace doppel::query {
namespace {

// Counts how deep the parser is inside itself.
class Nesting {
 public:
  explicit Nesting(std::size_t& depth) : depth_(depth) { ++depth_; }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  bool is_too_deep() const { return depth_ > kParenthesesMax; }

 private:
  std::size_t& depth_;
};

struct BinaryOperator {
  std::string_view symbol;
  Op op;
};

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

Result<const Expression*> ExpressionParser::parse() {
  return dialect_.has_concatenation ? parse_coalesce() : parse_or();
}

Status ExpressionParser::check_is_condition(const Expression& expression) const {
  const auto type = expression.type;
  if (!dialect_.is_typed || (type != Type::string && type != Type::number)) return {};
  return fail_at(lexer_.text(), expression.offset,
                 "a condition is true or false, but this is a " + std::string(to_string(type)));
}

Result<const Expression*> ExpressionParser::parse_coalesce() {
  auto left = parse_or();
  while (left && lexer_.token().is_symbol("??")) {
    const auto offset = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto right = parse_or();
    if (!right) return right;
    left = make(Op::coalesce, {*left, *right}, offset);
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
  auto left = parse_relation();
  while (left) {
    const auto op = find_operator(kEqualities, lexer_.token());
    if (!op) break;
    const auto offset = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    // "x = NOT y" is odd, but it has only one meaning.
    const auto right = lexer_.token().is_word("NOT") ? parse_not() : parse_relation();
    if (!right) return right;
    left = make(*op, {*left, *right}, offset);
  }
  return left;
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
  auto left = parse_product();
  while (left) {
    const auto op = find_operator(kSums, lexer_.token());
    if (!op || (*op == Op::concatenate ? !dialect_.has_concatenation : !dialect_.has_arithmetic)) {
      break;
    }
    const auto offset = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto right = parse_product();
    if (!right) return right;
    left = make(*op, {*left, *right}, offset);
  }
  return left;
}

Result<const Expression*> ExpressionParser::parse_product() {
  auto left = parse_negation();
  while (left && dialect_.has_arithmetic) {
    const auto op = find_operator(kProducts, lexer_.token());
    if (!op) break;
    const auto offset = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    const auto right = parse_negation();
    if (!right) return right;
    left = make(*op, {*left, *right}, offset);
  }
  return left;
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

Result<const Expression*> ExpressionParser::parse_primary() {
  const Nesting nesting(nesting_);
  if (nesting.is_too_deep()) return lexer_.unexpected("the expression is nested too deeply");
  const auto token = lexer_.token();
  switch (token.kind) {
    case Token::Kind::name:
      return parse_name();
    case Token::Kind::escaped_name: {
      auto path = parse_path();
      if (!path) return fail(path.error());
      return path_node(*path, token.offset);
    }
    case Token::Kind::dollar_path:
      return parse_dollar_path();
    case Token::Kind::string:
      if (auto read = lexer_.advance(); !read) return fail(read.error());
      return literal(Value::of(token.text), Type::string, token.offset);
    case Token::Kind::number:
      if (auto read = lexer_.advance(); !read) return fail(read.error());
      return literal(token.number, Type::number, token.offset);
    case Token::Kind::symbol:
      if (token.text == "{" && dialect_.lex.has_wide_names) return parse_braces();
      if (token.text == "(") {
        if (auto read = lexer_.advance(); !read) return fail(read.error());
        const auto inner = parse();
        if (!inner) return inner;
        if (auto closed = expect(")", "')' is expected"); !closed) return fail(closed.error());
        return inner;
      }
      break;
    case Token::Kind::end:
      break;
  }
  return lexer_.unexpected("a name, a value or '(' is expected");
}

bool ExpressionParser::is_keyword(const Token& token) const {
  if (token.is_word("AND") || token.is_word("OR") || token.is_word("NOT")) return true;
  return std::ranges::any_of(dialect_.keywords,
                             [&](auto keyword) { return token.is_word(keyword); });
}

Result<const Expression*> ExpressionParser::parse_name() {
  const auto token = lexer_.token();
  if (is_keyword(token)) return lexer_.unexpected("a name or a value is expected");
  const auto is_literal = [&](std::string_view word) {
    return dialect_.are_literals_lower_case ? token.text == word : token.is_word(word);
  };
  std::optional<Value> value;
  auto type = Type::boolean;
  if (is_literal("true")) value = Value::of(true);
  if (is_literal("false")) value = Value::of(false);
  if (is_literal("null")) {
    value = Value::null();
    type = Type::null;
  }
  if (dialect_.has_undefined && is_literal("undefined")) {
    value = Value{};
    type = Type::undefined;
  }
  if (value) {
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    return literal(*value, type, token.offset);
  }
  auto path = parse_path();
  if (!path) return fail(path.error());
  if (lexer_.token().is_symbol("(")) return parse_call(path->text, token.offset);
  return path_node(*path, token.offset);
}

Result<Path> ExpressionParser::parse_path() {
  std::vector<json::PathStep> steps;
  const auto begin = lexer_.token().offset;
  auto end = begin;
  std::string_view name;
  for (;;) {
    const auto& token = lexer_.token();
    const bool is_escaped = token.kind == Token::Kind::escaped_name;
    if (token.kind != Token::Kind::name && !is_escaped) {
      return lexer_.unexpected("a name is expected");
    }
    name = arena_.copy(token.text);
    steps.push_back({.name = name});
    end = lexer_.token_end();
    if (auto read = lexer_.advance(); !read) return fail(read.error());
    // Routing names are one word, dots and all.
    if (dialect_.lex.has_wide_names) break;
    while (lexer_.token().is_symbol("[")) {
      const auto index = parse_index();
      if (!index) return fail(index.error());
      steps.push_back({.index = *index, .is_index = true});
      end = lexer_.token_end();
      if (auto closed = expect("]", "']' is expected"); !closed) return fail(closed.error());
    }
    if (steps.size() > kPathStepsMax) return lexer_.unexpected("this path has too many steps");
    if (!lexer_.token().is_symbol(".")) break;
    if (auto read = lexer_.advance(); !read) return fail(read.error());
  }
  Path path{.steps = arena_.copy(steps),
            .text = arena_.copy(lexer_.text().substr(begin, end - begin)),
            .name = name};
  if (dialect_.adjust) dialect_.adjust(path, arena_);
  return path;
}

Result<std::uint32_t> ExpressionParser::parse_index() {
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  const auto& token = lexer_.token();
  const auto index = token.kind == Token::Kind::number ? json::to_int64(*token.number.source)
                                                       : std::optional<std::int64_t>{};
  if (!index || *index < 0 || *index > UINT32_MAX) {
    return lexer_.unexpected("the index of an element is expected");
  }
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  return static_cast<std::uint32_t>(*index);
}

Result<const Expression*> ExpressionParser::parse_dollar_path() {
  const auto token = lexer_.token();
  const auto path = query::parse_dollar_path(token.text, arena_);
  if (!path) return fail_at(lexer_.text(), token.offset, path.error().message);
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  if (path->steps.empty()) return literal(Value{}, Type::any, token.offset);
  return path_node(*path, token.offset);
}

// {$name}: the system property, whatever the application properties are called.
Result<const Expression*> ExpressionParser::parse_braces() {
  const auto offset = lexer_.token().offset;
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  const auto token = lexer_.token();
  if (token.kind != Token::Kind::dollar_path) {
    return lexer_.unexpected("a system property is expected after '{'");
  }
  auto path = query::parse_dollar_path(token.text, arena_);
  if (!path) return fail_at(lexer_.text(), token.offset, path.error().message);
  if (path->scope == Scope::dollar_property) path->scope = Scope::system;
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  if (auto closed = expect("}", "'}' is expected"); !closed) return fail(closed.error());
  if (path->steps.empty()) return literal(Value{}, Type::any, offset);
  return path_node(*path, offset);
}

Result<const Expression*> ExpressionParser::parse_call(std::string_view name, std::size_t offset) {
  const auto* function = find_function(name, dialect_.functions);
  if (!function) {
    return fail_at(lexer_.text(), offset, "there is no function '" + std::string(name) + "'");
  }
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  std::vector<const Expression*> args;
  while (!lexer_.token().is_symbol(")")) {
    if (!args.empty()) {
      if (auto comma = expect(",", "',' or ')' is expected"); !comma) return fail(comma.error());
    }
    if (args.size() == function->args_max) {
      return lexer_.unexpected(std::string(function->name) + " takes at most " +
                               std::to_string(function->args_max) + " arguments");
    }
    const auto arg = function->is_change_path ? parse_change_path() : parse();
    if (!arg) return arg;
    args.push_back(*arg);
  }
  if (args.size() < function->args_min) {
    return lexer_.unexpected(std::string(function->name) + " takes at least " +
                             std::to_string(function->args_min) + " arguments");
  }
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  return make(Op::call, std::move(args), offset, function);
}

// The argument of twin_change_includes: a path into the change, not into this message's properties.
Result<const Expression*> ExpressionParser::parse_change_path() {
  const auto token = lexer_.token();
  if (token.kind != Token::Kind::name) return lexer_.unexpected("a path is expected");
  const auto steps = parse_steps(token.text, arena_);
  if (!steps) return fail_at(lexer_.text(), token.offset, steps.error().message);
  if (auto read = lexer_.advance(); !read) return fail(read.error());
  return path_node({.scope = Scope::change, .steps = *steps, .text = arena_.copy(token.text)},
                   token.offset);
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

Status ExpressionParser::expect(std::string_view symbol, std::string_view why) {
  if (!lexer_.token().is_symbol(symbol)) return lexer_.unexpected(why);
  return lexer_.advance();
}

Result<const Expression*> ExpressionParser::path_node(Path path, std::size_t offset) {
  // Application and system properties are strings, whatever they look like.
  const bool is_text = path.scope == Scope::property || path.scope == Scope::dollar_property ||
                       path.scope == Scope::system;
  return arena_.make(Expression{.op = Op::path,
                                .type = dialect_.is_typed && is_text ? Type::string : Type::any,
                                .offset = offset,
                                .path = path});
}

Result<const Expression*> ExpressionParser::literal(Value value, Type type, std::size_t offset) {
  return arena_.make(Expression{.op = Op::literal, .type = type, .offset = offset, .value = value});
}

Result<const Expression*> ExpressionParser::make(Op op, std::vector<const Expression*> args,
                                                 std::size_t offset, const Function* function) {
  if (dialect_.is_typed) {
    if (auto checked = check_types(op, args, offset, function); !checked) {
      return fail(checked.error());
    }
  }
  const auto type = type_of(op, args, function);
  if (!type) return fail(type.error());
  std::uint16_t depth = 0;
  for (const auto* arg : args) depth = std::max(depth, arg->depth);
  if (depth >= kExpressionDepthMax) {
    return fail_at(lexer_.text(), offset, "the expression is nested too deeply");
  }
  return arena_.make(Expression{.op = op,
                                .type = *type,
                                .depth = static_cast<std::uint16_t>(depth + 1),
                                .offset = offset,
                                .function = function,
                                .args = arena_.copy(args)});
}

}  // namespace doppel::query
