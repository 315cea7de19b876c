// Runs the plain-text cases of tests/cases/query. In a case file
//   # is a comment,
//   @ is a row (JSON); the first after a query begins a new set of rows,
//   ? is a query or a condition,
//   = are the rows that come out, in order (for conditions: true or false for each row),
//   ! is the error instead.
// A set of no rows is written "@". Files twin*.txt hold twin queries, routing*.txt conditions and
// dps*.txt queries of the provisioning service.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "query/condition.h"
#include "query/dps_query.h"
#include "query/grouping.h"
#include "query/twin_query.h"

namespace doppel::query {
namespace {

using Lines = std::vector<std::string>;
using Rows = std::vector<json::Value>;

Lines run_twin_query(const std::string& text, const Rows& rows) {
  const auto query = parse_twin_query(text);
  if (!query) return {"! " + query.error().message};
  Lines lines;
  std::optional<Grouping> grouping;
  if (query->is_grouped()) grouping.emplace(*query);
  for (const auto& document : rows) {
    const JsonRow row(document);
    if (!query->matches(row)) continue;
    if (grouping) {
      EXPECT_TRUE(grouping->add(row).has_value());
    } else if (lines.size() < query->top()) {
      lines.push_back("= " + json::write(query->project(row)));
    }
  }
  if (grouping) {
    for (const auto& row : grouping->rows()) lines.push_back("= " + json::write(row));
  }
  return lines;
}

// A message as the hub will present it:
// {"properties":{},"system":{},"body":{},"twin":{},"change":{}}.
class MessageRow final : public Row {
 public:
  explicit MessageRow(const json::Value& message) : message_(message) {}

  Value lookup(const Path& path) const override {
    switch (path.scope) {
      case Scope::property:
        return member("properties", path.steps);
      case Scope::dollar_property: {
        const std::string name = "$" + std::string(path.steps[0].name);
        const json::PathStep step{.name = name};
        const auto property = member("properties", {&step, 1});
        return property.is_defined() ? property : member("system", path.steps);
      }
      case Scope::system:
        return member("system", path.steps);
      case Scope::body:
        return member("body", path.steps);
      case Scope::twin:
        return member("twin", path.steps);
      case Scope::change:
        return member("change", path.steps);
      case Scope::document:
        return {};
    }
    return {};
  }

 private:
  Value member(std::string_view world, std::span<const json::PathStep> path) const {
    const auto* document = json::find(message_, world);
    const auto* value = document ? json::find(*document, path, json::NameCase::ignored) : nullptr;
    return value ? Value::of(*value) : Value{};
  }

  const json::Value& message_;
};

Lines run_condition(const std::string& text, const Rows& rows) {
  const auto condition = parse_condition(text);
  if (!condition) return {"! " + condition.error().message};
  Lines lines;
  for (const auto& message : rows) {
    lines.push_back(condition->holds(MessageRow(message)) ? "= true" : "= false");
  }
  return lines;
}

Lines run_dps_query(const std::string& text, const Rows& rows) {
  const auto query = parse_dps_query(text);
  if (!query) return {"! " + query.error().message};
  Lines lines;
  for (const auto& document : rows) {
    if (query->matches(JsonRow(document))) lines.push_back("= " + json::write(document));
  }
  return lines;
}

Lines run_query(const std::string& file, const std::string& text, const Rows& rows) {
  if (file.starts_with("routing")) return run_condition(text, rows);
  if (file.starts_with("dps")) return run_dps_query(text, rows);
  return run_twin_query(text, rows);
}

struct Case {
  int line = 0;
  std::string text;
  Lines expected;
};

void finish(const std::string& file, std::optional<Case>& open, const Rows& rows, int& count) {
  if (!open) return;
  EXPECT_EQ(run_query(file, open->text, rows), open->expected)
      << file << ":" << open->line << ": " << open->text;
  open.reset();
  ++count;
}

int run_file(const std::filesystem::path& path) {
  const auto file = path.filename().string();
  std::ifstream stream(path);
  Rows rows;
  std::optional<Case> open;
  bool has_run = false;
  int count = 0;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    const auto rest = line.size() > 2 ? line.substr(2) : "";
    switch (line[0]) {
      case '@':
        finish(file, open, rows, count);
        if (has_run) rows.clear();
        has_run = false;
        if (!rest.empty()) {
          auto row = json::parse(rest);
          EXPECT_TRUE(row.has_value()) << file << ":" << number;
          if (row) rows.push_back(std::move(*row));
        }
        break;
      case '?':
        finish(file, open, rows, count);
        has_run = true;
        open = Case{.line = number, .text = rest, .expected = {}};
        break;
      case '=':
      case '!':
        if (open) {
          open->expected.push_back(line);
          break;
        }
        [[fallthrough]];
      default:
        ADD_FAILURE() << file << ":" << number << ": not a line of a case file";
    }
  }
  finish(file, open, rows, count);
  return count;
}

TEST(QueryCases, OfEveryDialectGiveTheirRows) {
  std::vector<std::string> empty_files;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/cases/query")) {
    if (entry.path().extension() != ".txt") continue;
    ++files;
    if (run_file(entry.path()) == 0) empty_files.push_back(entry.path().filename().string());
  }
  EXPECT_GE(files, 3) << "run this from the top of the repository";
  EXPECT_TRUE(empty_files.empty()) << empty_files.front() << " holds no case";
}

}  // namespace
}  // namespace doppel::query
