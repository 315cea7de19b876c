// The expression tree that all dialects share. Nodes live in the arena of their query and never
// change once parsed, so any number of threads may evaluate one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "query/row.h"
#include "query/value.h"

namespace doppel::query {

// What a tree may be: far beyond any sensible query, well within a thread's stack.
inline constexpr std::size_t kExpressionDepthMax = 100;

enum class Op : std::uint8_t {
  literal,  // value
  path,     // path
  list,     // args: literals, only as the second operand of in
  call,     // function(args)
  // args: one operand
  negate,
  logical_not,
  // args: two or more
  logical_and,
  logical_or,
  // args: two
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
  add,
  subtract,
  multiply,
  divide,
  modulo,
  concatenate,
  coalesce,
};

std::string_view to_string(Op op);

// What is known about a value before there is a row.
enum class Type : std::uint8_t { any, undefined, null, boolean, number, string };

std::string_view to_string(Type type);

struct Function;

struct Expression {
  Op op = Op::literal;
  Type type = Type::any;
  std::uint16_t depth = 1;
  std::size_t offset = 0;  // in the query, for errors
  Value value = {};
  Path path = {};
  const Function* function = nullptr;
  std::span<const Expression* const> args = {};
};

// The tree in prefix form, for tests and logs: (and (= opType "x") (is_defined $body.a)).
std::string describe(const Expression& expression);

// Whether some path of the expression starts in `scope`.
bool mentions(const Expression& expression, Scope scope);

}  // namespace doppel::query
