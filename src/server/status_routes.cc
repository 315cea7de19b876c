#include "server/status_routes.h"

#include <memory>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "json/value.h"

namespace doppel::server {
namespace {

using http::Request;
using http::Response;

Response error(int status, std::string_view code, std::string_view message) {
  return Response::json(
      status,
      json::write(json::Object{{"error", json::Object{{"code", std::string(code)},
                                                      {"message", std::string(message)}}}}));
}

class Routes {
 public:
  explicit Routes(StatusParts parts) : parts_(std::move(parts)) {}

  Task<Response> health(Request) { co_return Response::text(200, "ok\n"); }

  Task<Response> ready(Request) {
    if (!parts_.is_ready.load()) co_return Response::text(503, "starting or stopping\n");
    co_return Response::text(200, "ready\n");
  }

  Task<Response> ca(Request) {
    if (parts_.ca_pem.empty())
      co_return Response::text(404, "this server uses certificates that its operator brought\n");
    Response response = Response::text(200, parts_.ca_pem);
    response.headers.set("Content-Type", "application/x-pem-file");
    co_return response;
  }

  Task<Response> metrics(Request request) {
    const bool is_local = request.peer != nullptr && request.peer->is_loopback;
    if (!is_local) {
      auto principal = parts_.resources.authenticate_bearer(
          request.headers.get_or("Authorization", ""), resources::Audience::management);
      if (!principal || !principal->may_read("/"))
        co_return error(401, "AuthenticationFailed",
                        "Metrics are for loopback, or for a token that may read.");
    }
    Response response = Response::text(200, doppel::metrics::render_prometheus());
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    co_return response;
  }

  Task<Response> backup(Request request) {
    auto principal = parts_.resources.authenticate_bearer(
        request.headers.get_or("Authorization", ""), resources::Audience::management);
    if (!principal)
      co_return error(401, "AuthenticationFailed",
                      "A bearer token of this server's token endpoint is needed.");
    if (!principal->may_write("/"))
      co_return error(403, "AuthorizationFailed", "The role to do this is missing.");
    const auto body = json::parse(request.body);
    const std::string directory = body ? json::get_string_or(*body, "directory", "") : "";
    if (!directory.starts_with('/'))
      co_return error(400, "InvalidArgument",
                      "`directory` is an absolute path on the server's machine.");
    auto done = co_await parts_.store.backup(directory);
    if (!done)
      co_return error(
          done.error().code == Code::already_exists || done.error().code == Code::invalid_argument
              ? 400
              : 503,
          "BackupFailed", done.error().message);
    log::info("server.backup", {{"tracking_id", request.tracking_id}, {"directory", directory}});
    co_return Response::json(200, json::write(json::Object{{"directory", directory}}));
  }

 private:
  StatusParts parts_;
};

}  // namespace

void register_status_routes(http::Router& router, StatusParts parts) {
  auto routes = std::make_shared<Routes>(std::move(parts));
  router.add("GET", "/healthz", [routes](Request r) { return routes->health(std::move(r)); });
  router.add("GET", "/readyz", [routes](Request r) { return routes->ready(std::move(r)); });
  router.add("GET", "/ca.pem", [routes](Request r) { return routes->ca(std::move(r)); });
  router.add("GET", "/metrics", [routes](Request r) { return routes->metrics(std::move(r)); });
  router.add("POST", "/admin/backup", [routes](Request r) { return routes->backup(std::move(r)); });
}

}  // namespace doppel::server
