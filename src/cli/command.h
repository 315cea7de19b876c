// A command of `doppel` is one line of a table: its words, what it takes, and the function that
// runs it. grammar.cc turns the tables into the command line (and is the only file that knows the
// argument parser).
//
// Commands follow the grammar of `az`, so that a command of the guide works with one word changed.
// They speak to the server over its public HTTP APIs only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace doppel::cli {

class Session;

// One option. `names` as az writes them, e.g. "--name,-n"; its value is looked up by the first long
// name.
struct Option {
  enum class Kind : std::uint8_t { value, values, flag };
  std::string names;
  std::string help;
  Kind kind = Kind::value;
  bool is_required = false;
};

// What the user typed after the command's words.
class Arguments {
 public:
  void add(std::string name, std::vector<std::string> values) {
    values_[std::move(name)] = std::move(values);
  }

  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  std::optional<std::string> find(std::string_view name) const;
  // Empty when absent: for options that are required or have an empty default.
  std::string get(std::string_view name) const { return find(name).value_or(""); }
  std::string get_or(std::string_view name, std::string_view fallback) const {
    return find(name).value_or(std::string(fallback));
  }
  std::vector<std::string> all(std::string_view name) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// What is printed: a document, or nothing (as az does for most deletes).
using Output = std::optional<json::Value>;

struct Command {
  std::string words;  // "iot hub device-identity create"
  std::string summary;
  std::vector<Option> options;
  std::function<Result<Output>(Session&, const Arguments&)> run;
  std::vector<std::string>
      table_columns;  // for -o table: member paths, e.g. "authentication.type", or "Title=path"
  // How people read the answer, where a table does not do: without -o json. Null: JSON.
  std::function<std::string(const json::Value&)> as_text{};
};

// The tables, one a file.
std::vector<Command> group_commands();
std::vector<Command> hub_commands();
std::vector<Command> hub_routing_commands();
std::vector<Command> dps_commands();
std::vector<Command> dps_policy_commands();
std::vector<Command> dps_registration_commands();
std::vector<Command> dps_insight_commands();
std::vector<Command> enrollment_commands();
std::vector<Command> certificate_commands();
std::vector<Command> enrollment_transfer_commands();
std::vector<Command> twins_commands();
std::vector<Command> relationship_commands();
std::vector<Command> monitor_commands();
std::vector<Command> event_space_commands();
std::vector<Command> eventhub_commands();
std::vector<Command> function_commands();
std::vector<Command> wait_commands();
std::vector<Command> check_commands();

}  // namespace doppel::cli
