#include "provisioning/wire/http_device.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"
#include "provisioning/wire/errors.h"
#include "provisioning/wire/proof.h"

namespace doppel::provisioning {
namespace {

DeviceCall read_call(const http::Request& request, const Provisioning& provisioning) {
  DeviceCall call;
  call.instance = provisioning.find_by_scope(request.param("scope"));
  call.id = RegistrationId(request.param("id"));
  call.proof = proof_of(request.peer, std::string(request.headers.get_or("Authorization", "")));
  call.api_version = request.query_value("api-version").value_or("");
  call.tracking_id = request.tracking_id;
  call.transport = "https";
  call.may_be_challenged = true;
  if (request.peer != nullptr) call.peer = request.peer->address;
  return call;
}

http::Response respond(const DeviceAnswer& answer, std::string_view tracking_id) {
  // No Strict-Transport-Security, although Azure sends it: on "localhost" it would bind every other
  // server of the machine in people's browsers.
  auto response = http::Response::json(answer.status, answer.body);
  response.headers.set("x-ms-request-id", tracking_id);
  if (answer.error_code != 0) {
    response.headers.set(kErrorCodeHeader, std::to_string(answer.error_code));
  }
  if (answer.retry_after_s > 0) {
    response.headers.set("Retry-After", std::to_string(answer.retry_after_s));
  }
  return response;
}

struct Routes {
  Provisioning* provisioning;
  std::shared_ptr<DeviceApi> api;

  // Nothing when the call may go on.
  std::optional<http::Response> check(const DeviceCall& call) const {
    if (is_api_version(call.api_version)) return std::nullopt;
    const Error error =
        fail(errors::dps::kBadRequest, "the query must name an api-version").error();
    return respond(api->refuse(call, error), call.tracking_id);
  }

  Task<http::Response> register_device(http::Request request) const {
    DeviceCall call = read_call(request, *provisioning);
    if (auto refused = check(call)) co_return *std::move(refused);
    const std::string tracking_id = call.tracking_id;
    const DeviceAnswer answer = co_await api->register_device(std::move(call), request.body);
    auto response = respond(answer, tracking_id);
    if (answer.status == 202) {
      response.headers.set(
          "Location",
          fmt::format("https://{}{}", request.headers.get_or("Host", "localhost"), request.path));
    }
    co_return response;
  }

  // Node sends a body, "{}", with this GET; it is read and dropped.
  Task<http::Response> poll(http::Request request) const {
    DeviceCall call = read_call(request, *provisioning);
    if (auto refused = check(call)) co_return *std::move(refused);
    const std::string tracking_id = call.tracking_id;
    std::string operation(request.param("operation"));
    const DeviceAnswer answer = co_await api->poll(std::move(call), std::move(operation));
    co_return respond(answer, tracking_id);
  }

  Task<http::Response> look_up(http::Request request) const {
    DeviceCall call = read_call(request, *provisioning);
    if (auto refused = check(call)) co_return *std::move(refused);
    const std::string tracking_id = call.tracking_id;
    const DeviceAnswer answer = co_await api->look_up(std::move(call), request.body);
    co_return respond(answer, tracking_id);
  }
};

}  // namespace

void register_device_routes(http::Router& router, Provisioning& provisioning) {
  const auto routes = std::make_shared<const Routes>(
      Routes{&provisioning, std::make_shared<DeviceApi>(provisioning)});
  router.add("PUT", "/{scope}/registrations/{id}/register",
             [routes](http::Request r) { return routes->register_device(std::move(r)); });
  router.add("GET", "/{scope}/registrations/{id}/operations/{operation}",
             [routes](http::Request r) { return routes->poll(std::move(r)); });
  router.add("POST", "/{scope}/registrations/{id}",
             [routes](http::Request r) { return routes->look_up(std::move(r)); });
}

}  // namespace doppel::provisioning
