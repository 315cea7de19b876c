// doppel dt ...: instances, models and digital twins.
#include <filesystem>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

constexpr std::string_view kType = "Microsoft.DigitalTwins/digitalTwinsInstances";
const Option kInstance{
    .names = "--dt-name,--dtn,-n",
    .help = "Digital Twins instance, by name or host name (default: the one of the profile)"};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};
const Option kTwin{.names = "--twin-id,-t", .help = "Digital twin ID", .is_required = true};
const Option kEtag{.names = "--etag,-e", .help = "Only if the etag is still this one"};

Result<Session::Call> call_for(Session& session, const Arguments& args, std::string_view method,
                               std::string path) {
  auto host = session.twins_host(args);
  if (!host) return fail(std::move(host.error()));
  return Session::Call{.method = std::string(method),
                       .path = std::move(path),
                       .api_version = kTwinsVersion,
                       .host = std::move(*host)};
}
std::string twin_path(const Arguments& args) {
  return "/digitaltwins/" + percent_encode(args.get("--twin-id"));
}

Result<Output> done(Result<http::Response> response) {
  if (!response) return fail(std::move(response.error()));
  return Output{};
}

// ---- instances ----

Result<Output> create(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--dt-name", "");
  if (!name) return fail(std::move(name.error()));
  return session.send_json({.method = "PUT",
                            .path = session.resource_path(args, kType, *name),
                            .body = json::Object{{"location", args.get_or("--location", "eastus")},
                                                 {"properties", json::Object{}}}});
}
Result<Output> show(Session& session, const Arguments& args) {
  auto name = session.name_or_default(args, "--dt-name", session.profile().twins_instance);
  if (!name) return fail(std::move(name.error()));
  return session.send_json({.path = session.resource_path(args, kType, *name)});
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
  auto call = call_for(session, args, "POST", "/models");
  if (!call) return fail(std::move(call.error()));
  call->body = std::move(*models);
  return session.send_json(*call);
}
Result<Output> model_list(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "GET",
                       fmt::format("/models?includeModelDefinition={}", args.has("--definition")));
  if (!call) return fail(std::move(call.error()));
  auto all = session.list_all(*call);
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
}
Result<Output> model_show(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "GET",
                       fmt::format("/models/{}?includeModelDefinition={}",
                                   percent_encode(args.get("--dtmi")), args.has("--definition")));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> model_delete(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "DELETE", "/models/" + percent_encode(args.get("--dtmi")));
  if (!call) return fail(std::move(call.error()));
  return done(session.send(*call));
}

// ---- digital twins ----

Result<Output> twin_create(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "PUT", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  json::Object twin;
  if (const auto properties = args.find("--properties")) {
    auto parsed = parse_json_argument("--properties", *properties);
    if (!parsed) return fail(std::move(parsed.error()));
    if (!parsed->is_object())
      return fail(Code::invalid_argument, "--properties takes a JSON object");
    twin = std::move(parsed->as_object());
  }
  twin["$metadata"] = json::Object{{"$model", args.get("--dtmi")}};
  call->body = std::move(twin);
  return session.send_json(*call);
}
Result<Output> twin_show(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "GET", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> twin_update(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "PATCH", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  auto patch = parse_json_argument("--json-patch", args.get("--json-patch"));
  if (!patch) return fail(std::move(patch.error()));
  if (patch->is_object()) patch = json::Value(json::Array{std::move(*patch)});
  call->body = std::move(*patch);
  call->content_type = "application/json-patch+json";
  call->if_match = args.get("--etag");
  auto response = session.send(*call);
  if (!response) return fail(std::move(response.error()));
  return twin_show(session, args);
}
Result<Output> twin_delete(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "DELETE", twin_path(args));
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  return done(session.send(*call));
}
Result<Output> twin_list(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "GET", "/digitaltwins");
  if (!call) return fail(std::move(call.error()));
  auto all = session.list_all(*call);
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
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
       {kInstance, kGroup, {.names = "--location,-l", .help = "Location (default: eastus)"}},
       create,
       instance_columns},
      {"dt show", "Show a Digital Twins instance", {kInstance, kGroup}, show, instance_columns},
      {"dt model create",
       "Upload models, all or nothing",
       {kInstance,
        kGroup,
        {.names = "--models", .help = "DTDL as JSON, or a file of it"},
        {.names = "--from-directory,--fd", .help = "Folder with .json and .dtdl files"}},
       model_create,
       model_columns},
      {"dt model list",
       "List the models",
       {kInstance, kGroup, definition},
       model_list,
       model_columns},
      {"dt model show",
       "Show a model",
       {kInstance, kGroup, dtmi, definition},
       model_show,
       model_columns},
      {"dt model delete", "Delete a model", {kInstance, kGroup, dtmi}, model_delete, {}},
      {"dt twin create",
       "Create or replace a digital twin",
       {kInstance,
        kGroup,
        dtmi,
        kTwin,
        {.names = "--properties,-p", .help = "Values, JSON object"}},
       twin_create,
       twin_columns},
      {"dt twin show", "Show a digital twin", {kInstance, kGroup, kTwin}, twin_show, twin_columns},
      {"dt twin list", "List the digital twins", {kInstance, kGroup}, twin_list, twin_columns},
      {"dt twin update",
       "Patch a digital twin",
       {kInstance,
        kGroup,
        kTwin,
        {.names = "--json-patch,--jp",
         .help = "JSON Patch: one operation or a list",
         .is_required = true},
        kEtag},
       twin_update,
       twin_columns},
      {"dt twin delete",
       "Delete a digital twin without relationships",
       {kInstance, kGroup, kTwin, kEtag},
       twin_delete,
       {}},
  };
}

}  // namespace doppel::cli
