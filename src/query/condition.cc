#include "query/condition.h"

#include "query/expression_parser.h"
#include "query/twin_names.h"

namespace doppel::query {
namespace {

void adjust_property(Path& path, Arena&) { path.scope = Scope::property; }

constexpr Dialect kRouting{
    .lex = {.has_wide_names = true, .has_comments = true},
    .functions = kRoutingFunctions,
    .has_concatenation = true,
    .has_undefined = true,
    .are_literals_lower_case = true,
    .is_typed = true,
    .adjust = adjust_property,
};

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_star(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && text[begin] == '*' && is_blank(text.substr(begin + 1));
}

const Expression* always_true(Arena& arena) {
  return arena.make(Expression{.op = Op::literal, .type = Type::boolean, .value = Value::of(true)});
}

Result<const Expression*> parse_whole(std::string_view text, const Dialect& dialect, Arena& arena) {
  Lexer lexer(text, dialect.lex, arena);
  if (auto started = lexer.start(); !started) return fail(started.error());
  ExpressionParser parser(lexer, arena, dialect);
  auto expression = parser.parse();
  if (!expression) return expression;
  if (lexer.token().kind != Token::Kind::end) {
    return lexer.unexpected("an operator or the end is expected");
  }
  if (auto checked = parser.check_is_condition(**expression); !checked) {
    return fail(checked.error());
  }
  return expression;
}

}  // namespace

Condition::Condition(std::unique_ptr<Arena> arena, const Expression* expression, UnlikeTypes unlike)
    : arena_(std::move(arena)),
      expression_(expression),
      unlike_(unlike),
      needs_body_(mentions(*expression, Scope::body)),
      needs_twin_(mentions(*expression, Scope::twin)),
      needs_change_(mentions(*expression, Scope::change)) {}

bool Condition::holds(const Row& row) const {
  return Evaluator(row, unlike_).is_true(*expression_);
}

Result<Condition> parse_condition(std::string_view text) {
  auto arena = std::make_unique<Arena>();
  if (is_blank(text)) {
    const auto* expression = always_true(*arena);
    return Condition(std::move(arena), expression, UnlikeTypes::unequal);
  }
  const auto expression = parse_whole(text, kRouting, *arena);
  if (!expression) return fail(expression.error());
  return Condition(std::move(arena), *expression, UnlikeTypes::unequal);
}

Result<Condition> parse_twin_condition(std::string_view text) {
  auto arena = std::make_unique<Arena>();
  if (is_blank(text) || is_star(text)) {
    const auto* expression = always_true(*arena);
    return Condition(std::move(arena), expression, UnlikeTypes::undefined);
  }
  const auto expression = parse_whole(text, twin_dialect(), *arena);
  if (!expression) return fail(expression.error());
  return Condition(std::move(arena), *expression, UnlikeTypes::undefined);
}

}  // namespace doppel::query
