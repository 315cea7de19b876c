// Queries of the Device Provisioning Service. Its grammar is undocumented; these are the texts that
// clients send: "*" (Node), "SELECT *" (az), "SELECT * FROM enrollments", and what az 0.23.1 prints
// of a Python object around the text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "query/arena.h"
#include "query/expression.h"
#include "query/row.h"

namespace doppel::query {

class DpsQuery {
 public:
  // The word after FROM as it was written, or empty. Callers know by the path of the request what
  // is queried, and may refuse another one.
  std::string_view source() const { return source_; }
  // Whether the WHERE part, if there is one, is true of the row (Scope::document).
  bool matches(const Row& row) const;

 private:
  friend Result<DpsQuery> parse_dps_query(std::string_view text);
  DpsQuery() : arena_(std::make_unique<Arena>()) {}

  std::unique_ptr<Arena> arena_;
  std::string_view source_;
  const Expression* where_ = nullptr;
};

// Field names stay as they are written. Errors: invalid_argument with line, column and word;
// too_large.
Result<DpsQuery> parse_dps_query(std::string_view text);

// The query inside "{'additional_properties': {}, 'query': 'SELECT *'}", else the text itself.
std::string unwrap_python_query(std::string_view text);

}  // namespace doppel::query
