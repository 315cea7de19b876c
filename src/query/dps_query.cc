#include "query/dps_query.h"

#include "query/evaluate.h"
#include "query/expression_parser.h"

namespace doppel::query {
namespace {

constexpr std::string_view kKeywords[] = {"SELECT", "FROM", "WHERE", "IN", "NIN"};
constexpr Dialect kDialect{.keywords = kKeywords};

Status parse_into(Lexer& lexer, Arena& arena, std::string_view& source, const Expression*& where) {
  if (lexer.token().is_word("SELECT")) {
    if (auto read = lexer.advance(); !read) return read;
  }
  if (!lexer.token().is_symbol("*")) return lexer.unexpected("'SELECT *' or '*' is expected");
  if (auto read = lexer.advance(); !read) return read;
  if (lexer.token().is_word("FROM")) {
    if (auto read = lexer.advance(); !read) return read;
    if (lexer.token().kind != Token::Kind::name) {
      return lexer.unexpected("the name of a collection is expected after FROM");
    }
    source = arena.copy(lexer.token().text);
    if (auto read = lexer.advance(); !read) return read;
  }
  if (lexer.token().is_word("WHERE")) {
    if (auto read = lexer.advance(); !read) return read;
    const auto expression = ExpressionParser(lexer, arena, kDialect).parse();
    if (!expression) return fail(expression.error());
    where = *expression;
  }
  if (lexer.token().kind != Token::Kind::end) {
    return lexer.unexpected(where ? "AND, OR or the end is expected"
                                  : "FROM, WHERE or the end is expected");
  }
  return {};
}

}  // namespace

std::string unwrap_python_query(std::string_view text) {
  // Python's repr quotes with ' unless the text has a ' and no ".
  constexpr std::string_view kObject = "{'additional_properties'";
  constexpr std::string_view kMember = "'query': ";
  const auto member = text.find(kMember);
  if (!text.starts_with(kObject) || member == std::string_view::npos) return std::string(text);
  const auto printed = text.substr(member + kMember.size());
  if (!printed.starts_with('\'') && !printed.starts_with('"')) return std::string(text);
  const char quote = printed[0];
  std::string inner;
  for (std::size_t i = 1; i < printed.size(); ++i) {
    if (printed[i] == quote) return inner;
    if (printed[i] != '\\') {
      inner.push_back(printed[i]);
      continue;
    }
    if (++i == printed.size()) break;
    inner.push_back(printed[i] == 'n' ? '\n' : printed[i] == 't' ? '\t' : printed[i]);
  }
  return std::string(text);  // the quote has no end: no text of Python's
}

Result<DpsQuery> parse_dps_query(std::string_view text) {
  if (text.size() > kQueryBytesMax) {
    return fail(Code::too_large,
                "a query has at most " + std::to_string(kQueryBytesMax) + " bytes");
  }
  const auto inner = unwrap_python_query(text);
  DpsQuery query;
  Lexer lexer(inner, kDialect.lex, *query.arena_);
  if (auto started = lexer.start(); !started) return fail(started.error());
  if (auto parsed = parse_into(lexer, *query.arena_, query.source_, query.where_); !parsed) {
    return fail(parsed.error());
  }
  return query;
}

bool DpsQuery::matches(const Row& row) const { return !where_ || Evaluator(row).is_true(*where_); }

}  // namespace doppel::query
