// doppel dt twin relationship ...
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/command.h"
#include "cli/resource_calls.h"
#include "cli/session.h"
#include "cli/twins_calls.h"

namespace doppel::cli {
namespace {

const Option kSource{.names = "--source,--source-twin-id,--twin-id,-t,-s",
                     .help = "Digital twin that the relationship starts at",
                     .is_required = true};
const Option kId{.names = "--relationship-id,-r", .help = "Relationship ID", .is_required = true};

std::string path_of(const Arguments& args) {
  return fmt::format("/digitaltwins/{}/relationships/{}", percent_encode(args.get("--source")),
                     percent_encode(args.get("--relationship-id")));
}

Result<Output> create(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "PUT", path_of(args));
  if (!call) return fail(std::move(call.error()));
  auto properties = properties_of(args);
  if (!properties) return fail(std::move(properties.error()));
  json::Object body = std::move(*properties);
  body["$targetId"] = args.get("--target");
  body["$relationshipName"] = args.get("--relationship");
  call->body = std::move(body);
  return session.send_json(*call);
}
Result<Output> show(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "GET", path_of(args));
  if (!call) return fail(std::move(call.error()));
  return session.send_json(*call);
}
Result<Output> list(Session& session, const Arguments& args) {
  std::string path =
      fmt::format("/digitaltwins/{}/{}", percent_encode(args.get("--source")),
                  args.has("--incoming-relationships") ? "incomingrelationships" : "relationships");
  if (const auto name = args.find("--relationship"))
    path += "?relationshipName=" + percent_encode(*name);
  auto call = twins_call(session, args, "GET", std::move(path));
  if (!call) return fail(std::move(call.error()));
  return send_list(session, *call);
}
Result<Output> update(Session& session, const Arguments& args) {
  if (auto sent = send_json_patch(session, args, path_of(args)); !sent)
    return fail(std::move(sent.error()));
  return show(session, args);
}
Result<Output> remove(Session& session, const Arguments& args) {
  auto call = twins_call(session, args, "DELETE", path_of(args));
  if (!call) return fail(std::move(call.error()));
  call->if_match = args.get("--etag");
  return send_quietly(session, *call);
}

}  // namespace

std::vector<Command> relationship_commands() {
  const std::vector<std::string> columns = {"$relationshipId", "$sourceId", "$relationshipName",
                                            "$targetId"};
  return {
      {"dt twin relationship create",
       "Create or replace a relationship",
       {kTwinsInstanceOption,
        kGroupOption,
        kSource,
        kId,
        {.names = "--relationship,--kind",
         .help = "Name of the relationship in the model",
         .is_required = true},
        {.names = "--target,--target-twin-id",
         .help = "Digital twin that it ends at",
         .is_required = true},
        kPropertiesOption},
       create,
       columns},
      {"dt twin relationship show",
       "Show a relationship",
       {kTwinsInstanceOption, kGroupOption, kSource, kId},
       show,
       columns},
      {"dt twin relationship list",
       "List the relationships of a digital twin",
       {kTwinsInstanceOption,
        kGroupOption,
        kSource,
        {.names = "--relationship,--kind", .help = "Only those of this name"},
        {.names = "--incoming-relationships,--incoming",
         .help = "Those that end at it",
         .kind = Option::Kind::flag}},
       list,
       columns},
      {"dt twin relationship update",
       "Patch a relationship",
       {kTwinsInstanceOption, kGroupOption, kSource, kId, kJsonPatchOption, kEtagOption},
       update,
       columns},
      {"dt twin relationship delete",
       "Delete a relationship",
       {kTwinsInstanceOption, kGroupOption, kSource, kId, kEtagOption},
       remove,
       {}},
  };
}

}  // namespace doppel::cli
