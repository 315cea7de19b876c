#include "cli/grammar.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "cli/output.h"

namespace doppel::cli {
namespace {

constexpr const char* kVersion = DOPPEL_VERSION;
constexpr int kExitRefused = 1, kExitUsage = 2, kExitNotFound = 3;

// The values of one command's options while the parser fills them.
struct Bound {
  struct Slot {
    std::string name;  // the first long name
    std::vector<std::string> values;
    bool is_flag = false, is_set = false;
  };
  std::vector<std::unique_ptr<Slot>> slots;

  Arguments arguments() const {
    Arguments args;
    for (const auto& slot : slots)
      if (slot->is_set || !slot->values.empty()) args.add(slot->name, slot->values);
    return args;
  }
};

// Fills options that the command line left out. Throws the parser's errors, for an option that is
// none too. (The parser itself reads configuration files for its root only.)
void read_config(const std::string& file, Bound& bound) {
  for (const auto& item : CLI::ConfigTOML().from_file(file)) {
    if (item.name == "++" || item.name == "--") continue;  // where sections begin and end
    const auto slot = std::ranges::find_if(
        bound.slots, [&](const auto& one) { return one->name == "--" + item.fullname(); });
    if (slot == bound.slots.end())
      throw CLI::ConfigError(fmt::format("{}: there is no option {}", file, item.fullname()));
    if ((*slot)->is_set || !(*slot)->values.empty()) continue;
    if ((*slot)->is_flag)
      (*slot)->is_set = item.inputs.size() == 1 && item.inputs[0] == "true";
    else
      (*slot)->values = item.inputs;
  }
}

std::string first_name(std::string_view names) {
  return std::string(names.substr(0, names.find(',')));
}

void bind(CLI::App& app, const std::vector<Option>& options, Bound& bound) {
  for (const auto& option : options) {
    auto& slot = *bound.slots.emplace_back(
        std::make_unique<Bound::Slot>(Bound::Slot{.name = first_name(option.names), .values = {}}));
    slot.is_flag = option.kind == Option::Kind::flag;
    if (slot.is_flag) {
      app.add_flag(option.names, slot.is_set, option.help);
      continue;
    }
    auto* made = app.add_option(option.names, slot.values, option.help);
    if (option.kind == Option::Kind::value)
      made->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (option.is_required) made->required();
  }
}

// The (sub)command of `words`, made on the way.
CLI::App& subcommand(CLI::App& root, std::string_view words) {
  CLI::App* at = &root;
  while (!words.empty()) {
    const auto space = words.find(' ');
    const std::string word(words.substr(0, space));
    words = space == std::string_view::npos ? std::string_view{} : words.substr(space + 1);
    const auto found = at->get_subcommands([&](CLI::App* app) { return app->get_name() == word; });
    CLI::App* next = found.empty() ? nullptr : found.front();
    if (next == nullptr) {
      next = at->add_subcommand(word);
      if (!words.empty()) next->require_subcommand(1);
    }
    at = next;
  }
  return *at;
}

std::vector<Command> all_commands() {
  std::vector<Command> all;
  for (auto* table : {group_commands, hub_commands, hub_routing_commands, dps_commands,
                      dps_policy_commands, dps_registration_commands, dps_insight_commands,
                      enrollment_commands, enrollment_transfer_commands, certificate_commands,
                      twins_commands, wait_commands, relationship_commands, event_space_commands,
                      monitor_commands, eventhub_commands, function_commands, check_commands}) {
    for (auto& command : table()) all.push_back(std::move(command));
  }
  return all;
}

// `dt twin show` of `doppel dt twin show --twin-id x`: how far the words name a command or a group.
struct Place {
  CLI::App* app;
  std::string words;
  std::string unknown;  // the first word that names nothing there; empty: none was typed
};

Place find_place(CLI::App& root, int argc, const char* const* argv) {
  Place place{.app = &root, .words = "doppel", .unknown = ""};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto all = place.app->get_subcommands([](CLI::App*) { return true; });
    if (all.empty()) break;
    const auto found =
        std::ranges::find_if(all, [&](CLI::App* a) { return a->get_name() == word; });
    if (found == all.end()) {
      if (!word.starts_with('-')) place.unknown = word;
      break;
    }
    place.app = *found;
    place.words += " " + word;
  }
  return place;
}

// What is wrong with a command line whose words end at a group or go astray; empty: they name a
// command, or only ask for help.
std::string problem_of(const Place& place) {
  const auto all = place.app->get_subcommands([](CLI::App*) { return true; });
  if (all.empty()) return "";
  std::string names;
  for (const auto* app : all) names += (names.empty() ? "" : ", ") + app->get_name();
  if (place.unknown.empty())
    return fmt::format("a word is missing after `{}`; there is: {}", place.words, names);
  return fmt::format("`{}` has no '{}'; there is: {}", place.words, place.unknown, names);
}

struct Common {
  std::string data_dir = default_data_dir();
  std::string output;  // empty: what suits the command
};

int run_command(const Command& command, const Arguments& args, const Common& common,
                const std::function<Result<Session>(const std::string&)>& connect) {
  auto session = connect(common.data_dir);
  const auto refuse = [](const Error& error) {
    std::cerr << "doppel: " << error.message << "\n";
    return error.code == Code::not_found ? kExitNotFound : kExitRefused;
  };
  if (!session) return refuse(session.error());
  auto output = command.run(*session, args);
  if (!output) return refuse(output.error());
  if (!output->has_value() || (*output)->is_null()) return 0;
  if (command.as_text && common.output != "json") {
    std::cout << command.as_text(**output);
  } else if (common.output == "table") {
    std::cout << as_table(**output, command.table_columns);
  } else {
    std::cout << as_json(**output);
  }
  return 0;
}

const std::map<std::string, std::string>& group_descriptions() {
  static const std::map<std::string, std::string> kGroups = {
      {"group", "Resource groups"},
      {"iot", "IoT Hub and Device Provisioning Service"},
      {"iot hub", "IoT hubs"},
      {"iot hub device-identity", "Devices"},
      {"iot hub device-twin", "Device twins"},
      {"iot hub connection-string", "Connection strings"},
      {"iot hub message-route", "Routes"},
      {"iot hub message-endpoint", "Endpoints of routes"},
      {"iot hub message-endpoint create", "Add an endpoint"},
      {"iot dps", "Device Provisioning Service"},
      {"iot dps linked-hub", "Linked hubs"},
      {"iot dps enrollment", "Individual enrollments"},
      {"iot dps enrollment-group", "Enrollment groups"},
      {"iot dps registration", "What devices were assigned, and who waits"},
      {"iot dps policy", "Shared access policies"},
      {"iot dps connection-string", "Connection strings for service clients"},
      {"dt", "Digital Twins"},
      {"dt model", "Models"},
      {"dt twin", "Digital twins"},
      {"dt twin relationship", "Relationships"},
      {"eventhubs", "Event Hubs"},
      {"eventhubs namespace", "Event namespaces"},
      {"eventhubs namespace authorization-rule", "Keys for all event hubs of a namespace"},
      {"eventhubs namespace authorization-rule keys", "Keys and connection strings"},
      {"eventhubs eventhub", "Event hubs"},
      {"eventhubs eventhub consumer-group", "Consumer groups"},
      {"eventhubs eventhub authorization-rule", "Keys for one event hub"},
      {"eventhubs eventhub authorization-rule keys", "Keys and connection strings"},
      {"functionapp", "Functions"},
      {"functionapp config", "Settings"},
      {"functionapp config appsettings", "Application settings"},
      {"functionapp dead-letter", "Events that failed"}};
  return kGroups;
}

}  // namespace

int run(int argc, const char* const* argv, const std::vector<Program>& programs,
        const std::function<Result<Session>(const std::string& data_dir)>& connect) {
  CLI::App root{
      "Doppel: Device Provisioning Service, IoT Hub, Digital Twins, Event Hubs and Functions in "
      "one server.\n"
      "Commands follow the grammar of az: `az dt twin show` is `doppel dt twin show`."};
  root.name("doppel");
  root.set_version_flag("--version", std::string("doppel ") + kVersion);
  root.require_subcommand(1);
  root.footer(
      "Commands that ask the server find it by its data directory: --data-dir, else "
      "$DOPPEL_DATA_DIR.\n"
      "Exit status: 0 done, 1 refused or unreachable, 2 wrong command line, 3 not found.");
  int status = 0;
  Common common;
  std::string config_file;
  std::vector<std::unique_ptr<Bound>> bounds;

  for (const auto& program : programs) {
    CLI::App& app = *root.add_subcommand(program.name, program.summary);
    Bound& bound = *bounds.emplace_back(std::make_unique<Bound>());
    bind(app, program.options, bound);
    if (program.name == "serve")
      app.add_option("--config", config_file,
                     "Read options from this file (TOML: option names without the dashes); the "
                     "command line wins");
    app.callback([&status, &program, &bound, &config_file] {
      if (!config_file.empty()) read_config(config_file, bound);
      status = program.run(bound.arguments());
    });
  }
  const auto commands = all_commands();
  for (const auto& command : commands) {
    CLI::App& app = subcommand(root, command.words);
    app.description(command.summary);
    Bound& bound = *bounds.emplace_back(std::make_unique<Bound>());
    bind(app, command.options, bound);
    app.add_option("--data-dir", common.data_dir,
                   "Data directory of the server, for its cli-profile.json")
        ->capture_default_str();
    app.add_option("-o,--output", common.output, "json or table")
        ->check(CLI::IsMember({"json", "table"}));
    app.callback([&status, &command, &bound, &common, &connect] {
      Arguments args = bound.arguments();
      args.add("--output", {common.output});  // for commands that print as they go
      status = run_command(command, args, common, connect);
    });
  }
  for (const auto& [words, text] : group_descriptions()) subcommand(root, words).description(text);

  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error, std::cout, std::cerr);  // help, version
    const Place place = find_place(root, argc, argv);
    const std::string problem = problem_of(place);
    std::cerr << fmt::format("doppel: {}\nSee `{} --help`.\n",
                             problem.empty() ? error.what() : problem, place.words);
    return kExitUsage;
  }
  return status;
}

}  // namespace doppel::cli
