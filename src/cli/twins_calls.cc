#include "cli/twins_calls.h"

#include <utility>

namespace doppel::cli {

Result<Session::Call> twins_call(Session& session, const Arguments& args, std::string_view method,
                                 std::string path) {
  auto host = session.twins_host(args);
  if (!host) return fail(std::move(host.error()));
  return Session::Call{.method = std::string(method),
                       .path = std::move(path),
                       .api_version = kTwinsVersion,
                       .host = std::move(*host)};
}

Result<json::Object> properties_of(const Arguments& args) {
  const auto properties = args.find("--properties");
  if (!properties) return json::Object{};
  auto parsed = parse_json_argument("--properties", *properties);
  if (!parsed) return fail(std::move(parsed.error()));
  if (!parsed->is_object()) return fail(Code::invalid_argument, "--properties takes a JSON object");
  return std::move(parsed->as_object());
}

Status send_json_patch(Session& session, const Arguments& args, std::string path) {
  auto call = twins_call(session, args, "PATCH", std::move(path));
  if (!call) return fail(std::move(call.error()));
  auto patch = parse_json_argument("--json-patch", args.get("--json-patch"));
  if (!patch) return fail(std::move(patch.error()));
  if (patch->is_object()) patch = json::Value(json::Array{std::move(*patch)});
  call->body = std::move(*patch);
  call->content_type = "application/json-patch+json";
  call->if_match = args.get("--etag");
  auto response = session.send(*call);
  if (!response) return fail(std::move(response.error()));
  return {};
}

}  // namespace doppel::cli
