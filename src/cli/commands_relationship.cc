// doppel dt twin relationship ...
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {
namespace {

const Option kInstance{.names = "--dt-name,--dtn,-n",
                       .help = "Digital Twins instance (default: the one of the profile)"};
const Option kGroup{.names = "--resource-group,-g",
                    .help = "Resource group (default: the one of the profile)"};
const Option kSource{.names = "--source,--source-twin-id,--twin-id,-t,-s",
                     .help = "Digital twin that the relationship starts at",
                     .is_required = true};
const Option kId{.names = "--relationship-id,-r", .help = "Relationship ID", .is_required = true};
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
std::string path_of(const Arguments& args) {
  return fmt::format("/digitaltwins/{}/relationships/{}", percent_encode(args.get("--source")),
                     percent_encode(args.get("--relationship-id")));
}

Result<Output> create(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "PUT", path_of(args));
  if (!call) return fail(std::move(call.error()));
  json::Object body;
  if (const auto properties = args.find("--properties")) {
    auto parsed = parse_json_argument("--properties", *properties);
    if (!parsed) return fail(std::move(parsed.error()));
    if (!parsed->is_object())
      return fail(Code::invalid_argument, "--properties takes a JSON object");
    body = std::move(parsed->as_object());
  }
  body["$targetId"] = args.get("--target");
  body["$relationshipName"] = args.get("--relationship");
  call->body = std::move(body);
  return session.send_json(*call);
}
Result<Output> show(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "GET", path_of(args));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> list(Session& session, const Arguments& args) {
  std::string path =
      fmt::format("/digitaltwins/{}/{}", percent_encode(args.get("--source")),
                  args.has("--incoming-relationships") ? "incomingrelationships" : "relationships");
  if (const auto name = args.find("--relationship"))
    path += "?relationshipName=" + percent_encode(*name);
  auto call = call_for(session, args, "GET", std::move(path));
  if (!call) return fail(std::move(call.error()));
  auto all = session.list_all(*call);
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
}
Result<Output> update(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "PATCH", path_of(args));
  if (!call) return fail(std::move(call.error()));
  auto patch = parse_json_argument("--json-patch", args.get("--json-patch"));
  if (!patch) return fail(std::move(patch.error()));
  if (patch->is_object()) patch = json::Value(json::Array{std::move(*patch)});
  call->body = std::move(*patch);
  call->content_type = "application/json-patch+json";
  call->if_match = args.get("--etag");
  auto response = session.send(*call);
  if (!response) return fail(std::move(response.error()));
  return show(session, args);
}
Result<Output> remove(Session& session, const Arguments& args) {
  auto call = call_for(session, args, "DELETE", path_of(args));
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  auto response = session.send(*call);
  if (!response) return fail(std::move(response.error()));
  return Output{};
}

}  // namespace

std::vector<Command> relationship_commands() {
  const std::vector<std::string> columns = {"$relationshipId", "$sourceId", "$relationshipName",
                                            "$targetId"};
  return {
      {"dt twin relationship create",
       "Create or replace a relationship",
       {kInstance,
        kGroup,
        kSource,
        kId,
        {.names = "--relationship,--kind",
         .help = "Name of the relationship in the model",
         .is_required = true},
        {.names = "--target,--target-twin-id",
         .help = "Digital twin that it ends at",
         .is_required = true},
        {.names = "--properties,-p", .help = "Values, JSON object"}},
       create,
       columns},
      {"dt twin relationship show",
       "Show a relationship",
       {kInstance, kGroup, kSource, kId},
       show,
       columns},
      {"dt twin relationship list",
       "List the relationships of a digital twin",
       {kInstance,
        kGroup,
        kSource,
        {.names = "--relationship,--kind", .help = "Only those of this name"},
        {.names = "--incoming-relationships,--incoming",
         .help = "Those that end at it",
         .kind = Option::Kind::flag}},
       list,
       columns},
      {"dt twin relationship update",
       "Patch a relationship",
       {kInstance,
        kGroup,
        kSource,
        kId,
        {.names = "--json-patch,--jp",
         .help = "JSON Patch: one operation or a list",
         .is_required = true},
        kEtag},
       update,
       columns},
      {"dt twin relationship delete",
       "Delete a relationship",
       {kInstance, kGroup, kSource, kId, kEtag},
       remove,
       {}},
  };
}

}  // namespace doppel::cli
