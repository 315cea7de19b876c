#include "functions/wire/http_functions.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "base/time_text.h"
#include "functions/allocation.h"

namespace doppel::functions {
namespace {

using http::Request;
using http::Response;

constexpr std::size_t kDeadLettersPage = 100;
constexpr std::size_t kDeadLettersPageMax = 1000;

// HTTP status of an inner error where no public contract says otherwise.
int status_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return 400;
    case Code::unauthenticated:
      return 401;
    case Code::forbidden:
      return 403;
    case Code::not_found:
      return 404;
    case Code::already_exists:
    case Code::conflict:
      return 409;
    case Code::precondition_failed:
      return 412;
    case Code::too_large:
      return 413;
    case Code::throttled:
    case Code::quota_exceeded:
      return 429;
    case Code::unsupported:
      return 501;
    case Code::bad_gateway:
      return 502;
    case Code::cancelled:
    case Code::unavailable:
      return 503;
    case Code::timeout:
      return 504;
    case Code::internal:
      return 500;
  }
  return 500;
}

Response error_response(int status, std::string_view code, std::string_view message) {
  const json::Value body = json::Object{
      {"error", json::Object{{"code", std::string(code)}, {"message", std::string(message)}}}};
  return Response::json(status, json::write(body));
}
Response error_response(const Error& error) {
  return error_response(status_of(error.code), to_string(error.code), error.message);
}

// The app that answers on the request's host name with the key the caller has. Both places for a
// key are looked at, either suffices (functions key rules of Azure: query parameter `code`, header
// `x-functions-key`).
const resources::FunctionApp* opened_app(const resources::Catalog& catalog, const Request& request,
                                         std::string_view function) {
  const std::string_view host = request.host();
  for (const auto& app : catalog.function_apps) {
    const bool is_here =
        std::any_of(app.host_names.begin(), app.host_names.end(),
                    [&](const auto& known) { return equal_ignoring_case(known, host); });
    if (!is_here) continue;
    for (const auto& code : {request.query_value("code"), request.headers.find("x-functions-key")})
      if (code && FunctionHost::opens(app, function, *code)) return &app;
  }
  return nullptr;
}

Task<Response> call_allocation(FunctionHost& host, store::Store& store, std::string app,
                               std::string body) {
  auto request = json::parse(body);
  if (!request) co_return Response::text(400, "The body is not JSON: " + request.error().message);
  const std::function<Task<Result<AllocationAnswer>>(store::Transaction&)> attempt =
      [&](store::Transaction& tx) { return host.allocate(tx, app, *request); };
  auto answer = co_await store::transact<AllocationAnswer>(store, attempt);
  if (answer) co_return Response::json(200, json::write(to_json(*answer)));
  // Like the sample: 400 with plain text for what the caller did wrong, 500 for the rest (here with
  // a reason).
  const bool is_callers = answer.error().code == Code::invalid_argument;
  co_return Response::text(is_callers ? 400 : status_of(answer.error().code),
                           answer.error().message);
}

class Routes {
 public:
  Routes(FunctionHost& host, const resources::Resources& resources, store::Store& store)
      : host_(host), resources_(resources), store_(store) {}

  Task<Response> allocation(Request request) {
    const auto catalog = resources_.catalog();
    const auto* app = opened_app(*catalog, request, kAllocationFunction);
    if (app == nullptr) co_return Response::empty(401);
    co_return co_await call_allocation(host_, store_, app->name, std::move(request.body));
  }

  Task<Response> list_dead_letters(Request request) {
    if (auto refused = refuse(request, false)) co_return std::move(*refused);
    std::size_t limit = kDeadLettersPage;
    if (const auto top = request.query_value("top")) {
      const auto [end, error] = std::from_chars(top->data(), top->data() + top->size(), limit);
      if (error != std::errc{} || end != top->data() + top->size() || limit == 0 ||
          limit > kDeadLettersPageMax)
        co_return error_response(400, "InvalidArgument",
                                 fmt::format("top is a number from 1 to {}", kDeadLettersPageMax));
    }
    auto letters = co_await host_.dead_letters(
        std::string(request.param("app")), std::string(request.param("function")),
        std::string(request.query_value("after").value_or("")), limit);
    if (!letters) co_return error_response(letters.error());
    json::Array items;
    for (const auto& letter : *letters) items.push_back(visible(letter));
    json::Object body{{"value", std::move(items)}, {"nextLink", nullptr}};
    if (letters->size() == limit) {
      body["nextLink"] = fmt::format(
          "/admin/functionapps/{}/functions/{}/deadletters?top={}&after={}",
          percent_encode(request.param("app")), percent_encode(request.param("function")), limit,
          percent_encode(letters->back().id));
    }
    co_return Response::json(200, json::write(body));
  }

  Task<Response> replay(Request request) {
    if (auto refused = refuse(request, true)) co_return std::move(*refused);
    auto done = co_await host_.replay(std::string(request.param("app")),
                                      std::string(request.param("function")),
                                      std::string(request.param("id")));
    if (!done) co_return error_response(done.error());
    co_return Response::empty(204);
  }

  Task<Response> consumers(Request request) {
    if (auto refused = refuse(request, false)) co_return std::move(*refused);
    json::Array items;
    for (const auto& state : host_.consumers()) {
      items.push_back(json::Object{{"functionApp", state.app},
                                   {"hub", state.hub.str()},
                                   {"partition", state.partition},
                                   {"next", state.next},
                                   {"lag", state.lag}});
    }
    co_return Response::json(200, json::write(json::Object{{"value", std::move(items)}}));
  }

 private:
  // The operator proves itself as for the management API.
  std::optional<Response> refuse(const Request& request, bool is_write) const {
    auto principal = resources_.authenticate_bearer(request.headers.get_or("Authorization", ""),
                                                    resources::Audience::management);
    if (!principal) {
      log::info("functions.refused",
                {{"tracking_id", request.tracking_id}, {"reason", principal.error().message}});
      return error_response(401, "AuthenticationFailed",
                            "A bearer token of this server's token endpoint is needed.");
    }
    const bool may = is_write ? principal->may_write("/") : principal->may_read("/");
    if (!may) return error_response(403, "AuthorizationFailed", "The role to do this is missing.");
    return std::nullopt;
  }

  static json::Value visible(const DeadLetter& letter) {
    return json::Object{
        {"id", letter.id},
        {"function", letter.function},
        {"failedAt", to_iso8601(letter.failed_at)},
        {"reason", letter.reason},
        {"attempts", letter.attempts},
        {"log", letter.source.log.space + "/" + letter.source.log.name},
        {"partition", letter.source.index},
        {"sequenceNumber", letter.sequence.value},
        {"deviceId", std::string(letter.event.annotation(hub::kConnectionDeviceId).value_or(""))},
        {"body",
         is_valid_utf8(letter.event.body) ? letter.event.body : base64_encode(letter.event.body)}};
  }

  FunctionHost& host_;
  const resources::Resources& resources_;
  store::Store& store_;
};

}  // namespace

void register_routes(http::Router& router, FunctionHost& host,
                     const resources::Resources& resources) {
  auto routes = std::make_shared<Routes>(host, resources, host.store());
  // The sample's function takes GET and POST alike.
  for (const std::string_view method : {"GET", "POST"}) {
    router.add(method, fmt::format("/api/{}", kAllocationFunction),
               [routes](Request request) { return routes->allocation(std::move(request)); });
  }
  router.add("GET", "/admin/functionapps/{app}/functions/{function}/deadletters",
             [routes](Request request) { return routes->list_dead_letters(std::move(request)); });
  router.add("POST", "/admin/functionapps/{app}/functions/{function}/deadletters/{id}/replay",
             [routes](Request request) { return routes->replay(std::move(request)); });
  router.add("GET", "/admin/consumers",
             [routes](Request request) { return routes->consumers(std::move(request)); });
}

}  // namespace doppel::functions
