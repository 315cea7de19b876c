// Parses expressions of all dialects by precedence climbing; a dialect says which operators,
// functions and names it has.
//
// From loosest to tightest: ??, OR, AND, NOT, = != <>, < <= > >= IN NIN, + - ||, * / %, unary
// minus. (IoT Edge binds NOT tighter than comparisons. Where its reading makes sense, "NOT x =
// true" with a boolean, both mean the same.)
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/arena.h"
#include "query/expression.h"
#include "query/functions.h"
#include "query/lexer.h"

namespace doppel::query {

inline constexpr std::size_t kPathStepsMax = 32;
inline constexpr std::size_t kParenthesesMax = 64;  // nested, functions and NOT included

struct Dialect {
  LexRules lex = {};
  FunctionSet functions = kTwinFunctions;
  bool has_arithmetic = true;
  bool has_in = true;
  bool has_concatenation = false;  // || and ??
  bool has_undefined = false;      // the literal
  bool are_literals_lower_case = false;
  // Property names in routing are strings, so mistakes show before a message comes.
  bool is_typed = false;
  // Words that end an expression, so are no names (unless written [[so]]).
  std::span<const std::string_view> keywords = {};
  // What a bare path becomes: its scope, aliases of names. Null: as it is.
  void (*adjust)(Path& path, Arena& arena) = nullptr;
};

struct BinaryOperator {
  std::string_view symbol;
  Op op;
};

class ExpressionParser {
 public:
  // All must outlive the parser; the expressions live in `arena`.
  ExpressionParser(Lexer& lexer, Arena& arena, const Dialect& dialect)
      : lexer_(lexer), arena_(arena), dialect_(dialect) {}

  // Reads one expression and leaves the lexer at the word after it. Errors say line, column and
  // word.
  Result<const Expression*> parse();
  // Reads a path alone: tags.a, [[x y]].b[0].
  Result<Path> parse_path();
  // Refuses what can be no condition: a number or a string, as far as types are known.
  Status check_is_condition(const Expression& expression) const;

 private:
  using Node = Result<const Expression*>;

  Node parse_coalesce();
  Node parse_or();
  Node parse_and();
  Node parse_not();
  Node parse_equality();
  Node parse_equality_operand();
  Node parse_relation();
  Node parse_sum();
  Node parse_product();
  Node parse_negation();
  Node parse_primary();
  Node parse_name();
  Node parse_dollar_path();
  Node parse_braces();
  Node parse_call(std::string_view name, std::size_t offset);
  Node parse_change_path();
  Node parse_in(const Expression* left, Op op, std::size_t offset);
  Node parse_list();

  // operand op operand op ..., from the left.
  Node parse_binary(Node (ExpressionParser::*operand)(), std::span<const BinaryOperator> operators);
  bool is_allowed(Op op) const;
  Node parse_chain(Node (ExpressionParser::*operand)(), std::string_view word, Op op);
  Node path_node(Path path, std::size_t offset);
  Node literal(Value value, Type type, std::size_t offset);
  // Checks types and depth and makes the node.
  Node make(Op op, std::vector<const Expression*> args, std::size_t offset,
            const Function* function = nullptr);
  Status check_types(Op op, std::span<const Expression* const> args, std::size_t offset,
                     const Function* function) const;
  Result<Type> type_of(Op op, std::span<const Expression* const> args,
                       const Function* function) const;
  Result<std::uint32_t> parse_index();
  bool is_keyword(const Token& token) const;
  Status expect(std::string_view symbol, std::string_view why);

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

  Lexer& lexer_;
  Arena& arena_;
  const Dialect& dialect_;
  std::size_t nesting_ = 0;
};

}  // namespace doppel::query
