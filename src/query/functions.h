// The built-in functions of all dialects.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "query/expression.h"

namespace doppel::query {

class Evaluator;

// Which dialects know a function. Names are compared without regard to case and underscores, so
// STARTSWITH and STARTS_WITH are one function everywhere (Azure's own clients mix them).
enum FunctionSet : std::uint8_t {
  kTwinFunctions = 1,     // IoT Hub twin queries
  kRoutingFunctions = 2,  // routing conditions
  kGraphFunctions = 4,    // Digital Twins queries and route filters
};

struct Function {
  std::string_view name;
  std::uint8_t sets;
  std::uint8_t args_min;
  std::uint8_t args_max;
  Type argument;  // what every argument must be; any if it does not matter
  Type second;    // of the second and later ones
  Type result;
  bool is_change_path = false;  // the one argument is a path of Scope::change
  // `args` are evaluated. Undefined or unfit arguments give undefined, never an error.
  Value (*apply)(Evaluator& evaluator, std::span<const Value> args);
};

inline constexpr std::size_t kFunctionArgsMax = 32;

const Function* find_function(std::string_view name, FunctionSet set);

}  // namespace doppel::query
