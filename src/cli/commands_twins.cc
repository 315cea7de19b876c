// doppel dt ...: instances, models and digital twins.
#include <filesystem>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/resource_calls.h"
#include "cli/session.h"
#include "cli/twins_calls.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.DigitalTwins/digitalTwinsInstances";
const Option kTwin{.names = "--twin-id,-t", .help = "Digital twin ID", .is_required = true};

std::string twin_path(const Arguments& args) {
  return "/digitaltwins/" + percent_encode(args.get("--twin-id"));
}

// ---- instances ----

Result<Output> create(Session& session, const Arguments& args) {
  return create_resource(
      session, args, kType, "--dt-name",
      {{"location", args.get_or("--location", "eastus")}, {"properties", json::Object{}}});
}
Result<Output> show(Session& session, const Arguments& args) {
  return show_resource(session, args, kType, "--dt-name", session.profile().twins_instance);
}

// ---- models ----

Result<json::Array> models_in(const Arguments& args) {
  json::Array models;
  const auto add = [&](std::string_view option, const std::string& source) -> Status {
    auto parsed = parse_json_argument(option, source);
    if (!parsed) return fail(std::move(parsed.error()));
    if (parsed->is_array())
      for (auto& model : parsed->get_array()) models.push_back(std::move(model));
    else
      models.push_back(std::move(*parsed));
    return {};
  };
  if (const auto text = args.find("--models"))
    if (auto added = add("--models", *text); !added) return fail(std::move(added.error()));
  if (const auto directory = args.find("--from-directory")) {
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*directory, error)) {
      const auto extension = entry.path().extension();
      if (extension != ".json" && extension != ".dtdl") continue;
      if (auto added = add("--from-directory", "@" + entry.path().string()); !added)
        return fail(Code::invalid_argument, entry.path().string() + ": " + added.error().message);
    }
    if (error)
      return fail(Code::invalid_argument,
                  fmt::format("--from-directory: {}: {}", *directory, error.message()));
  }
  if (models.empty())
    return fail(Code::invalid_argument,
                "no models: give --models (JSON or a file) or --from-directory");
  return models;
}

Result<Output> model_create(Session& session, const Arguments& args) {
  auto models = models_in(args);
  if (!models) return fail(std::move(models.error()));
  auto call = twins_call(session, args, "POST", "/models");
  if (!call) return fail(std::move(call.error()));
  call->body = std::move(*models);
  return session.send_json(*call);
}
Result<Output> model_list(Session& session, const Arguments& args) {
  auto call =
      twins_call(session, args, "GET",
                 fmt::format("/models?includeModelDefinition={}", args.has("--definition")));
  if (!call) return fail(std::move(call.error()));
  return send_list(session, *call);
}
Result<Output> model_show(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "GET",
                         fmt::format("/models/{}?includeModelDefinition={}",
                                     percent_encode(args.get("--dtmi")), args.has("--definition")));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> model_delete(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "DELETE", "/models/" + percent_encode(args.get("--dtmi")));
  if (!call) return fail(std::move(call.error()));
  return send_quietly(session, *call);
}

// ---- digital twins ----

Result<Output> twin_create(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "PUT", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  auto properties = properties_of(args);
  if (!properties) return fail(std::move(properties.error()));
  json::Object twin = std::move(*properties);
  twin["$metadata"] = json::Object{{"$model", args.get("--dtmi")}};
  call->body = std::move(twin);
  return session.send_json(*call);
}
Result<Output> twin_show(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "GET", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> twin_update(Session& session, const Arguments& args) {
  if (auto sent = send_json_patch(session, args, twin_path(args)); !sent)
    return fail(std::move(sent.error()));
  return twin_show(session, args);
}
Result<Output> twin_delete(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "DELETE", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  return send_quietly(session, *call);
}
Result<Output> twin_list(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "GET", "/digitaltwins");
  if (!call) return fail(std::move(call.error()));
  return send_list(session, *call);
}

}  // namespace

std::vector<Command> twins_commands() {
  const Option dtmi{.names = "--dtmi,-m", .help = "Model ID", .is_required = true};
  const Option definition{
      .names = "--definition,--def", .help = "Include the DTDL", .kind = Option::Kind::flag};
  const std::vector<std::string> instance_columns = {"name", "location", "properties.hostName",
                                                     "properties.provisioningState"};
  const std::vector<std::string> model_columns = {"id", "DisplayName=displayName.en",
                                                  "decommissioned", "uploadTime"};
  const std::vector<std::string> twin_columns = {"$dtId", "$metadata.$model",
                                                 "$metadata.$lastUpdateTime"};
  return {
      {"dt create",
       "Create a Digital Twins instance",
       {kTwinsInstanceOption,
        kGroupOption,
        {.names = "--location,-l", .help = "Location (default: eastus)"}},
       create,
       instance_columns},
      {"dt show",
       "Show a Digital Twins instance",
       {kTwinsInstanceOption, kGroupOption},
       show,
       instance_columns},
      {"dt model create",
       "Upload models, all or nothing",
       {kTwinsInstanceOption,
        kGroupOption,
        {.names = "--models", .help = "DTDL as JSON, or a file of it"},
        {.names = "--from-directory,--fd", .help = "Folder with .json and .dtdl files"}},
       model_create,
       model_columns},
      {"dt model list",
       "List the models",
       {kTwinsInstanceOption, kGroupOption, definition},
       model_list,
       model_columns},
      {"dt model show",
       "Show a model",
       {kTwinsInstanceOption, kGroupOption, dtmi, definition},
       model_show,
       model_columns},
      {"dt model delete",
       "Delete a model",
       {kTwinsInstanceOption, kGroupOption, dtmi},
       model_delete,
       {}},
      {"dt twin create",
       "Create or replace a digital twin",
       {kTwinsInstanceOption, kGroupOption, dtmi, kTwin, kPropertiesOption},
       twin_create,
       twin_columns},
      {"dt twin show",
       "Show a digital twin",
       {kTwinsInstanceOption, kGroupOption, kTwin},
       twin_show,
       twin_columns},
      {"dt twin list",
       "List the digital twins",
       {kTwinsInstanceOption, kGroupOption},
       twin_list,
       twin_columns},
      {"dt twin update",
       "Patch a digital twin",
       {kTwinsInstanceOption, kGroupOption, kTwin, kJsonPatchOption, kEtagOption},
       twin_update,
       twin_columns},
      {"dt twin delete",
       "Delete a digital twin without relationships",
       {kTwinsInstanceOption, kGroupOption, kTwin, kEtagOption},
       twin_delete,
       {}},
  };
}

}  // namespace doppel::cli
