// Operands: constants, paths, calls and parentheses.
#include <algorithm>

#include "query/dollar_path.h"
#include "query/expression_parser.h"

namespace doppel::query {

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
