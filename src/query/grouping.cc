#include "query/grouping.h"

#include <algorithm>

namespace doppel::query {
namespace {

std::optional<json::Value> result_of(Aggregate aggregate, std::size_t count, double sum,
                                     std::optional<std::int64_t> integer_sum,
                                     const json::Value& extreme) {
  switch (aggregate) {
    case Aggregate::count:
      return json::Value(static_cast<std::int64_t>(count));
    case Aggregate::sum:
      return integer_sum ? json::Value(*integer_sum) : json::Value(sum);
    case Aggregate::average:
      if (count == 0) return std::nullopt;
      return json::Value(sum / static_cast<double>(count));
    case Aggregate::minimum:
    case Aggregate::maximum:
      if (count == 0) return std::nullopt;
      return extreme;
    case Aggregate::none:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

// Only numbers have sums and averages; MIN and MAX also take strings, as long as all are alike.
void Grouping::count_in(Aggregate aggregate, const Value& value, Total& total) {
  if (aggregate == Aggregate::count) {
    ++total.count;
    return;
  }
  if (aggregate == Aggregate::minimum || aggregate == Aggregate::maximum) {
    if (value.kind != Kind::number && value.kind != Kind::string) return;
    if (total.count > 0) {
      const auto order = compare(value, Value::of(total.extreme));
      if (!order || (aggregate == Aggregate::minimum ? *order >= 0 : *order <= 0)) return;
    }
    ++total.count;
    total.extreme = *to_json(value);
    return;
  }
  if (value.kind != Kind::number) return;
  ++total.count;
  total.sum += value.number;
  const bool is_integer = value.source && (value.source->is_int64() || value.source->is_uint64());
  const auto integer = is_integer ? json::to_int64(*value.source) : std::nullopt;
  total.is_integer = total.is_integer && integer &&
                     !__builtin_add_overflow(total.integer_sum, *integer, &total.integer_sum);
}

Status Grouping::add(const Row& row) {
  Group candidate;
  std::string name;
  for (const auto& path : query_.group_by()) {
    auto key = to_json(row.lookup(path));
    candidate.has_key.push_back(key.has_value());
    if (key) json::write_to(name, *key);
    name.push_back('\n');  // stands in no compact JSON text, so different keys stay different
    candidate.keys.push_back(key ? std::move(*key) : json::Value(nullptr));
  }
  auto place = places_.find(name);
  if (place == places_.end()) {
    if (groups_.size() == kGroupsMax) {
      return fail(Code::too_large,
                  "the query has more than " + std::to_string(kGroupsMax) + " groups");
    }
    candidate.totals.resize(query_.columns().size());
    place = places_.emplace(std::move(name), groups_.size()).first;
    groups_.push_back(std::move(candidate));
  }
  auto& totals = groups_[place->second].totals;
  for (std::size_t i = 0; i < totals.size(); ++i) {
    const auto& column = query_.columns()[i];
    if (column.aggregate == Aggregate::none) continue;
    const auto value = column.aggregate == Aggregate::count ? Value{} : row.lookup(column.path);
    count_in(column.aggregate, value, totals[i]);
  }
  return {};
}

json::Value Grouping::row_of(const Group& group) const {
  json::Object row;
  for (std::size_t i = 0; i < query_.columns().size(); ++i) {
    const auto& column = query_.columns()[i];
    std::optional<json::Value> value;
    if (column.aggregate == Aggregate::none) {
      const auto key = std::ranges::find_if(query_.group_by(), [&](const auto& path) {
        return std::ranges::equal(path.steps, column.path.steps);
      });
      const auto index = static_cast<std::size_t>(key - query_.group_by().begin());
      if (group.has_key[index]) value = group.keys[index];
    } else {
      const auto& total = group.totals[i];
      value = result_of(column.aggregate, total.count, total.sum,
                        total.is_integer ? std::optional(total.integer_sum) : std::nullopt,
                        total.extreme);
    }
    if (value) row.insert_or_assign({column.name.data(), column.name.size()}, std::move(*value));
  }
  return row;
}

std::vector<json::Value> Grouping::rows() const {
  std::vector<json::Value> rows;
  if (query_.group_by().empty() && groups_.empty()) {
    Group none;
    none.totals.resize(query_.columns().size());
    if (query_.top() > 0) rows.push_back(row_of(none));
    return rows;
  }
  for (const auto& group : groups_) {
    if (rows.size() == query_.top()) break;
    rows.push_back(row_of(group));
  }
  return rows;
}

}  // namespace doppel::query
