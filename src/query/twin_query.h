// IoT Hub twin queries: SELECT ... FROM devices | devices.modules | devices.jobs.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "query/arena.h"
#include "query/expression.h"
#include "query/row.h"

namespace doppel::query {

inline constexpr std::size_t kColumnsMax = 100;

enum class TwinSource : std::uint8_t { devices, modules, jobs };

enum class Aggregate : std::uint8_t { none, count, average, sum, minimum, maximum };

// One column of the SELECT list.
struct Column {
  Aggregate aggregate = Aggregate::none;
  Path path = {};  // of a plain column and of every aggregate but count
  std::string_view
      name;  // the key in the row: the alias, else the path's last name, else COUNT, AVG ...
};

// A parsed query. Immutable; any number of threads may use one. The caller walks its twins (or job
// records) and keeps those that match: as they are for SELECT *, else through project() or, for
// aggregates and GROUP BY, through Grouping (grouping.h).
class TwinQuery {
 public:
  TwinSource source() const { return source_; }
  // x-ms-item-type is Twin (or DeviceJob) for these, else Raw.
  bool selects_all() const { return columns_.empty(); }
  bool is_grouped() const { return is_grouped_; }
  // Bounds the rows over all pages.
  std::size_t top() const { return top_; }
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<Path>& group_by() const { return group_by_; }
  const Expression* where() const { return where_; }  // may be null

  // Whether WHERE is exactly true of the row.
  bool matches(const Row& row) const;
  // The row's columns; what it does not have is left out. Not for grouped queries. For SELECT * the
  // whole row, which the row must answer for a path without steps.
  json::Value project(const Row& row) const;

 private:
  friend class TwinQueryParser;
  TwinQuery() : arena_(std::make_unique<Arena>()) {}

  std::unique_ptr<Arena> arena_;
  TwinSource source_ = TwinSource::devices;
  std::size_t top_ = std::numeric_limits<std::size_t>::max();
  std::vector<Column> columns_;
  std::vector<Path> group_by_;
  const Expression* where_ = nullptr;
  bool is_grouped_ = false;
};

// Errors: invalid_argument ("line 1, column 10: 'FROM' is expected near 'FORM'"), too_large.
Result<TwinQuery> parse_twin_query(std::string_view text);

}  // namespace doppel::query
