#include "cli/resource_calls.h"

#include <utility>

#include <fmt/format.h>

namespace doppel::cli {

Result<Output> create_resource(Session& session, const Arguments& args, std::string_view type,
                               std::string_view option, json::Object body) {
  auto name = session.name_or_default(args, option, "");
  if (!name) return fail(std::move(name.error()));
  return session.send_json(
      {.method = "PUT", .path = session.resource_path(args, type, *name), .body = std::move(body)});
}

Result<Output> show_resource(Session& session, const Arguments& args, std::string_view type,
                             std::string_view option, const std::string& fallback) {
  auto name = session.name_or_default(args, option, fallback);
  if (!name) return fail(std::move(name.error()));
  return session.send_json({.path = session.resource_path(args, type, *name)});
}

Result<Output> list_resources(Session& session, const Arguments& args, std::string_view type) {
  const std::string scope = args.has("--resource-group")
                                ? session.group_path(args)
                                : "/subscriptions/" + session.profile().subscription;
  return send_list(session, {.path = fmt::format("{}/providers/{}", scope, type)});
}

Result<Output> send_list(Session& session, const Session::Call& call) {
  auto all = session.list_all(call);
  if (!all) return fail(std::move(all.error()));
  return Output(json::Value(std::move(*all)));
}

Result<Output> send_quietly(Session& session, const Session::Call& call) {
  auto response = session.send(call);
  if (!response) return fail(std::move(response.error()));
  return Output{};
}

}  // namespace doppel::cli
