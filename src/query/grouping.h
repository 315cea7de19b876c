// GROUP BY and aggregates of twin queries: rows in, one row per group out.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "query/twin_query.h"

namespace doppel::query {

// Groups are held in memory until the end, so their number is bounded.
inline constexpr std::size_t kGroupsMax = 10'000;

class Grouping {
 public:
  // `query` is grouped (is_grouped()) and must outlive this.
  explicit Grouping(const TwinQuery& query) : query_(query) {}

  // Counts in a row that matches. Error: too_large if there are too many groups.
  Status add(const Row& row);

  // The groups in the order their first rows came, at most top(). Without GROUP BY one row, even if
  // no row came: COUNT is 0, SUM is 0, and AVG, MIN and MAX are left out.
  std::vector<json::Value> rows() const;

 private:
  // What one aggregate column has seen.
  struct Total {
    std::size_t count = 0;  // of values that count
    double sum = 0;
    std::int64_t integer_sum = 0;
    bool is_integer = true;  // no fraction and no overflow so far
    json::Value extreme;     // of MIN and MAX
  };
  struct Group {
    std::vector<json::Value> keys;  // null for what a row does not have, see has_key
    std::vector<bool> has_key;
    std::vector<Total> totals;  // one for each column
  };

  static void count_in(Aggregate aggregate, const Value& value, Total& total);
  json::Value row_of(const Group& group) const;

  const TwinQuery& query_;
  std::vector<Group> groups_;
  std::map<std::string, std::size_t, std::less<>> places_;  // keys as text -> index in groups_
};

}  // namespace doppel::query
