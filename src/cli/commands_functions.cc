// doppel functionapp ...: settings, and the dead letters of the built-in functions.
#include <array>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.Web/sites";
const Option kApp{.names = "--name,-n", .help = "Function app (default: the one of the profile)"};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};

// az prints settings as a list of {name, slotSetting, value}.
json::Value as_az_lists_them(const json::Value& answer) {
  json::Array out;
  const auto* properties = json::find(answer, "properties");
  if (properties != nullptr && properties->is_object())
    for (const auto& setting : properties->get_object())
      out.push_back(json::Object{
          {"name", setting.key()}, {"slotSetting", false}, {"value", setting.value()}});
  return out;
}

Result<Output> settings_list(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--name", session.profile().function_app);
  if (!name) return fail(std::move(name.error()));
  auto answer = session.send_json(
      {.method = "POST",
       .path = session.resource_path(args, kType, *name) + "/config/appsettings/list"});
  if (!answer) return fail(std::move(answer.error()));
  return Output(as_az_lists_them(*answer));
}

Result<Output> settings_set(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--name", session.profile().function_app);
  if (!name) return fail(std::move(name.error()));
  const std::string path = session.resource_path(args, kType, *name) + "/config/appsettings";
  auto answer = session.send_json({.method = "POST", .path = path + "/list"});
  if (!answer) return fail(std::move(answer.error()));
  json::Object settings;
  if (const auto* properties = json::find(*answer, "properties");
      properties != nullptr && properties->is_object())
    settings = properties->get_object();
  for (const auto& pair : args.all("--settings")) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::invalid_argument,
                  fmt::format("--settings takes NAME=VALUE, not '{}'", pair));
    settings[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  auto written = session.send_json(
      {.method = "PUT", .path = path, .body = json::Object{{"properties", std::move(settings)}}});
  if (!written) return fail(std::move(written.error()));
  return Output(as_az_lists_them(*written));
}

// The built-in functions that consume events.
constexpr std::array<std::string_view, 2> kConsumers{"DeviceTelemetryToTwinFunc",
                                                     "DeleteDeviceInTwinFunc"};

std::string letters_path(const Session& session, const Arguments& args, std::string_view function) {
  return fmt::format("/admin/functionapps/{}/functions/{}/deadletters",
                     percent_encode(args.get_or("--name", session.profile().function_app)),
                     percent_encode(function));
}
Result<Output> letters_list(Session& session, const Arguments& args) {
  std::vector<std::string> functions(kConsumers.begin(), kConsumers.end());
  if (const auto one = args.find("--function-name")) functions = {*one};
  json::Array out;
  for (const auto& function : functions) {
    auto all = session.list_all({.path = letters_path(session, args, function)});
    if (!all) return fail(std::move(all.error()));
    for (auto& letter : *all) {
      if (letter.is_object()) letter.as_object()["function"] = function;
      out.push_back(std::move(letter));
    }
  }
  return Output(json::Value(std::move(out)));
}
Result<Output> letters_replay(Session& session, const Arguments& args) {
  const std::string function = args.get("--function-name");
  std::vector<std::string> ids = args.all("--id");
  if (ids.empty()) {
    if (!args.has("--all"))
      return fail(Code::invalid_argument, "name a dead letter with --id, or give --all");
    auto all = session.list_all({.path = letters_path(session, args, function)});
    if (!all) return fail(std::move(all.error()));
    for (const auto& letter : *all) ids.push_back(json::get_string_or(letter, "id", ""));
  }
  json::Array outcomes;
  for (const auto& id : ids) {
    auto done = session.send(
        {.method = "POST",
         .path = letters_path(session, args, function) + "/" + percent_encode(id) + "/replay"});
    outcomes.push_back(json::Object{
        {"id", id}, {"replayed", done.has_value()}, {"reason", done ? "" : done.error().message}});
  }
  return Output(json::Value(std::move(outcomes)));
}

}  // namespace

std::vector<Command> function_commands() {
  const Option function{.names = "--function-name,--function",
                        .help = "DeviceTelemetryToTwinFunc or DeleteDeviceInTwinFunc",
                        .is_required = true};
  const Option any_function{
      .names = "--function-name,--function",
      .help = "DeviceTelemetryToTwinFunc or DeleteDeviceInTwinFunc (default: both)"};
  const std::vector<std::string> settings_columns = {"name", "value"};
  return {
      {"functionapp config appsettings set",
       "Set application settings",
       {kApp,
        kGroup,
        {.names = "--settings",
         .help = "NAME=VALUE, several",
         .kind = Option::Kind::values,
         .is_required = true}},
       settings_set,
       settings_columns},
      {"functionapp config appsettings list",
       "List the application settings",
       {kApp, kGroup},
       settings_list,
       settings_columns},
      {"functionapp dead-letter list",
       "List events that a built-in function could not take",
       {kApp, kGroup, any_function},
       letters_list,
       {"function", "id", "deviceId", "failedAt", "reason"}},
      {"functionapp dead-letter replay",
       "Let dead letters take effect now",
       {kApp,
        kGroup,
        function,
        {.names = "--id", .help = "Dead letter, several", .kind = Option::Kind::values},
        {.names = "--all", .help = "All of them", .kind = Option::Kind::flag}},
       letters_replay,
       {"id", "replayed", "reason"}},
  };
}

}  // namespace doppel::cli
