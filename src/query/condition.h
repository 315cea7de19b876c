// Conditions: what a route filters messages by, and the WHERE part alone of twin queries (jobs,
// configurations).
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "query/arena.h"
#include "query/evaluate.h"
#include "query/expression.h"
#include "query/row.h"

namespace doppel::query {

// A parsed condition. Immutable, so any number of threads may ask it; costs nothing to move.
class Condition {
 public:
  // Whether the condition is true of the row: undefined and everything else is not. Allocates
  // nothing unless strings are concatenated.
  bool holds(const Row& row) const;

  // True whatever the row is: "true", "*".
  bool is_always_true() const {
    return expression_->op == Op::literal && expression_->value.is_true();
  }
  // What the row must be able to look up; all false for opType='deleteDeviceIdentity'.
  bool needs_body() const { return needs_body_; }
  bool needs_twin() const { return needs_twin_; }
  bool needs_change() const { return needs_change_; }

  const Expression& expression() const { return *expression_; }

 private:
  friend Result<Condition> parse_condition(std::string_view text);
  friend Result<Condition> parse_twin_condition(std::string_view text);
  Condition(std::unique_ptr<Arena> arena, const Expression* expression, UnlikeTypes unlike);

  std::unique_ptr<Arena> arena_;
  const Expression* expression_;
  UnlikeTypes unlike_;
  bool needs_body_;
  bool needs_twin_;
  bool needs_change_;
};

// Message routing (IoT Hub "message routing query syntax"; grammar as IoT Edge has it). Names are
// application properties, $name is an application or system property, $body.x and $twin.x are
// documents. The row decides how names are compared. Type errors that need no message are found
// here. An empty text is "true", as the management API's default. Errors: invalid_argument with
// line, column and word; too_large.
Result<Condition> parse_condition(std::string_view text);

// "tags.building='43'" as jobs and configurations have it; "*" and an empty text are always true.
Result<Condition> parse_twin_condition(std::string_view text);

}  // namespace doppel::query
