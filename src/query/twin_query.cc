#include "query/twin_query.h"

#include <algorithm>

#include "base/encoding.h"
#include "query/evaluate.h"
#include "query/twin_names.h"

namespace doppel::query {
namespace {

struct AggregateName {
  std::string_view name;
  Aggregate aggregate;
};
constexpr AggregateName kAggregates[] = {{"COUNT", Aggregate::count},
                                         {"AVG", Aggregate::average},
                                         {"SUM", Aggregate::sum},
                                         {"MIN", Aggregate::minimum},
                                         {"MAX", Aggregate::maximum}};

const AggregateName* find_aggregate(std::string_view word) {
  const auto* found = std::ranges::find_if(kAggregates, [&](const auto& candidate) {
    return equal_ignoring_case(word, candidate.name);
  });
  return found == std::end(kAggregates) ? nullptr : found;
}

bool same_path(const Path& a, const Path& b) { return std::ranges::equal(a.steps, b.steps); }

}  // namespace

class TwinQueryParser {
 public:
  explicit TwinQueryParser(std::string_view text)
      : lexer_(text, twin_dialect().lex, *query_.arena_),
        expressions_(lexer_, *query_.arena_, twin_dialect()) {}

  Result<TwinQuery> parse() {
    for (const auto step : {&TwinQueryParser::parse_select, &TwinQueryParser::parse_source,
                            &TwinQueryParser::parse_where, &TwinQueryParser::parse_group_by,
                            &TwinQueryParser::check_end, &TwinQueryParser::check_columns,
                            &TwinQueryParser::check_jobs}) {
      if (auto done = (this->*step)(); !done) return fail(done.error());
    }
    return std::move(query_);
  }

 private:
  Status expect_word(std::string_view word) {
    if (!lexer_.token().is_word(word)) {
      return lexer_.unexpected("'" + std::string(word) + "' is expected");
    }
    return lexer_.advance();
  }

  Status expect_symbol(std::string_view symbol) {
    if (!lexer_.token().is_symbol(symbol)) {
      return lexer_.unexpected("'" + std::string(symbol) + "' is expected");
    }
    return lexer_.advance();
  }

  Status parse_select() {
    if (auto started = lexer_.start(); !started) return started;
    if (auto word = expect_word("SELECT"); !word) return word;
    if (lexer_.token().is_word("TOP")) {
      if (auto top = parse_top(); !top) return top;
    }
    if (lexer_.token().is_symbol("*")) return lexer_.advance();
    for (;;) {
      if (query_.columns_.size() == kColumnsMax) {
        return lexer_.unexpected("a query has at most " + std::to_string(kColumnsMax) + " columns");
      }
      if (auto column = parse_column(); !column) return column;
      if (!lexer_.token().is_symbol(",")) return {};
      if (auto read = lexer_.advance(); !read) return read;
    }
  }

  Status parse_top() {
    if (auto read = lexer_.advance(); !read) return read;
    const bool has_parentheses = lexer_.token().is_symbol("(");
    if (has_parentheses) {
      if (auto read = lexer_.advance(); !read) return read;
    }
    const auto& token = lexer_.token();
    const auto top = token.kind == Token::Kind::number ? json::to_int64(*token.number.source)
                                                       : std::optional<std::int64_t>{};
    if (!top || *top < 0) return lexer_.unexpected("a number of rows is expected after TOP");
    query_.top_ = static_cast<std::size_t>(*top);
    if (auto read = lexer_.advance(); !read) return read;
    return has_parentheses ? expect_symbol(")") : Status{};
  }

  Status parse_column() {
    Column column;
    const auto offset = lexer_.token().offset;
    const auto* aggregate =
        lexer_.token().kind == Token::Kind::name ? find_aggregate(lexer_.token().text) : nullptr;
    if (lexer_.token().is_word("FROM")) return lexer_.unexpected("'*' or a name is expected");
    const auto path = expressions_.parse_path();
    if (!path) return fail(path.error());
    if (lexer_.token().is_symbol("(")) {
      if (!aggregate || path->steps.size() != 1) {
        return fail_at(lexer_.text(), offset,
                       "there is no aggregate '" + std::string(path->text) + "'");
      }
      if (auto parsed = parse_aggregate(*aggregate, column); !parsed) return parsed;
    } else {
      column.path = *path;
      column.name = path->name;
    }
    if (lexer_.token().is_word("AS")) {
      if (auto read = lexer_.advance(); !read) return read;
      const auto& token = lexer_.token();
      if (token.kind != Token::Kind::name && token.kind != Token::Kind::escaped_name) {
        return lexer_.unexpected("a name is expected after AS");
      }
      column.name = query_.arena_->copy(token.text);
      if (auto read = lexer_.advance(); !read) return read;
    }
    for (const auto& other : query_.columns_) {
      if (other.name == column.name) {
        return fail_at(lexer_.text(), offset,
                       "two columns are called '" + std::string(column.name) + "'; AS renames one");
      }
    }
    query_.columns_.push_back(column);
    return {};
  }

  Status parse_aggregate(const AggregateName& aggregate, Column& column) {
    column.aggregate = aggregate.aggregate;
    column.name = aggregate.name;
    query_.is_grouped_ = true;
    if (auto read = lexer_.advance(); !read) return read;
    if (aggregate.aggregate == Aggregate::count) {
      // People write COUNT(*) from habit.
      if (lexer_.token().is_symbol("*")) {
        if (auto read = lexer_.advance(); !read) return read;
      }
    } else {
      const auto path = expressions_.parse_path();
      if (!path) return fail(path.error());
      column.path = *path;
    }
    return expect_symbol(")");
  }

  Status parse_source() {
    if (auto word = expect_word("FROM"); !word) return word;
    if (auto word = expect_word("devices"); !word) return word;
    if (!lexer_.token().is_symbol(".")) return {};
    if (auto read = lexer_.advance(); !read) return read;
    if (lexer_.token().is_word("modules")) {
      query_.source_ = TwinSource::modules;
    } else if (lexer_.token().is_word("jobs")) {
      query_.source_ = TwinSource::jobs;
    } else {
      return lexer_.unexpected("devices, devices.modules or devices.jobs is expected");
    }
    return lexer_.advance();
  }

  Status parse_where() {
    if (!lexer_.token().is_word("WHERE")) return {};
    if (auto read = lexer_.advance(); !read) return read;
    const auto expression = expressions_.parse();
    if (!expression) return fail(expression.error());
    query_.where_ = *expression;
    return {};
  }

  Status parse_group_by() {
    if (!lexer_.token().is_word("GROUP")) return {};
    group_offset_ = lexer_.token().offset;
    if (auto read = lexer_.advance(); !read) return read;
    if (auto word = expect_word("BY"); !word) return word;
    for (;;) {
      if (query_.group_by_.size() == kColumnsMax) {
        return lexer_.unexpected("a query has at most " + std::to_string(kColumnsMax) + " groups");
      }
      const auto path = expressions_.parse_path();
      if (!path) return fail(path.error());
      query_.group_by_.push_back(*path);
      if (!lexer_.token().is_symbol(",")) break;
      if (auto read = lexer_.advance(); !read) return read;
    }
    query_.is_grouped_ = true;
    return {};
  }

  Status check_end() {
    if (lexer_.token().kind == Token::Kind::end) return {};
    if (lexer_.token().is_word("ORDER")) {
      return lexer_.unexpected("ORDER BY is not part of twin queries");
    }
    return lexer_.unexpected(query_.where_ ? "AND, OR, GROUP BY or the end is expected"
                                           : "WHERE, GROUP BY or the end is expected");
  }

  // Beside aggregates stands only what all rows of a group share.
  Status check_columns() {
    if (!query_.is_grouped_) return {};
    if (query_.columns_.empty()) {
      return fail_at(lexer_.text(), group_offset_, "GROUP BY needs named columns, not '*'");
    }
    for (const auto& column : query_.columns_) {
      if (column.aggregate != Aggregate::none) continue;
      const bool is_key = std::ranges::any_of(
          query_.group_by_, [&](const auto& key) { return same_path(key, column.path); });
      if (!is_key) {
        return fail(Code::invalid_argument, "column '" + std::string(column.path.text) +
                                                "' must be in GROUP BY or in an aggregate");
      }
    }
    return {};
  }

  Status check_jobs() {
    if (query_.source_ != TwinSource::jobs) return {};
    if (!query_.columns_.empty() || query_.is_grouped_) {
      return fail(Code::invalid_argument, "devices.jobs can only be queried with SELECT *");
    }
    const auto* stranger = query_.where_ ? find_stranger(*query_.where_) : nullptr;
    if (!stranger) return {};
    return fail_at(lexer_.text(), stranger->offset,
                   "devices.jobs has no field '" + std::string(stranger->path.text) + "'");
  }

  static const Expression* find_stranger(const Expression& expression) {
    if (expression.op == Op::path &&
        (expression.path.steps.size() != 1 || !is_job_field(expression.path.steps[0].name))) {
      return &expression;
    }
    for (const auto* arg : expression.args) {
      if (const auto* stranger = find_stranger(*arg)) return stranger;
    }
    return nullptr;
  }

  TwinQuery query_;
  Lexer lexer_;
  ExpressionParser expressions_;
  std::size_t group_offset_ = 0;
};

Result<TwinQuery> parse_twin_query(std::string_view text) { return TwinQueryParser(text).parse(); }

bool TwinQuery::matches(const Row& row) const { return !where_ || Evaluator(row).is_true(*where_); }

json::Value TwinQuery::project(const Row& row) const {
  if (columns_.empty()) return to_json(row.lookup(Path{})).value_or(json::Value(json::Object{}));
  json::Object result;
  for (const auto& column : columns_) {
    if (auto value = to_json(row.lookup(column.path))) {
      result.insert_or_assign({column.name.data(), column.name.size()}, std::move(*value));
    }
  }
  return result;
}

}  // namespace doppel::query
