#include "hub/wire/http_service.h"

#include <fmt/core.h>

#include "errors/hub.h"
#include "hub/wire/http_errors.h"
#include "hub/wire/http_service_api.h"

namespace doppel::hub {
namespace {

using resources::HubRight;

constexpr RequiredRight kRegistryRead{.sas = HubRight::registry_read, .writes = false};
constexpr RequiredRight kRegistryWrite{.sas = HubRight::registry_write, .writes = true};
constexpr RequiredRight kServiceRead{.sas = HubRight::service_connect, .writes = false};
constexpr RequiredRight kServiceWrite{.sas = HubRight::service_connect, .writes = true};

struct ServiceRoute {
  std::string_view method;
  std::string_view pattern;
  RequiredRight right;
  ServiceApi::Action action;
};

constexpr ServiceRoute kRoutes[] = {
    {"GET", "/devices", kRegistryRead, &ServiceApi::list_devices},
    {"POST", "/devices", kRegistryWrite, &ServiceApi::bulk},
    {"POST", "/devices/query", kServiceRead, &ServiceApi::query},
    {"GET", "/devices/{id}", kRegistryRead, &ServiceApi::get_device},
    {"PUT", "/devices/{id}", kRegistryWrite, &ServiceApi::put_device},
    {"DELETE", "/devices/{id}", kRegistryWrite, &ServiceApi::delete_device},
    {"GET", "/devices/{id}/modules", kRegistryRead, &ServiceApi::list_modules},
    {"GET", "/devices/{id}/modules/{mid}", kRegistryRead, &ServiceApi::get_module},
    {"PUT", "/devices/{id}/modules/{mid}", kRegistryWrite, &ServiceApi::put_module},
    {"DELETE", "/devices/{id}/modules/{mid}", kRegistryWrite, &ServiceApi::delete_module},
    {"GET", "/statistics/devices", kRegistryRead, &ServiceApi::device_statistics},
    {"GET", "/statistics/service", kServiceRead, &ServiceApi::service_statistics},
    {"GET", "/twins/{id}", kServiceRead, &ServiceApi::get_twin},
    {"PATCH", "/twins/{id}", kServiceWrite, &ServiceApi::patch_twin},
    {"PUT", "/twins/{id}", kServiceWrite, &ServiceApi::put_twin},
    {"GET", "/twins/{id}/modules/{mid}", kServiceRead, &ServiceApi::get_twin},
    {"PATCH", "/twins/{id}/modules/{mid}", kServiceWrite, &ServiceApi::patch_twin},
    {"PUT", "/twins/{id}/modules/{mid}", kServiceWrite, &ServiceApi::put_twin},
};

// Dates, with or without "-preview". Newer ones than we know are fine.
bool is_api_version(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd";
  if (text.size() < kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !is_digit : text[i] != '-') return false;
  }
  return text.size() == kShape.size() || text[kShape.size()] == '-';
}

Status check_api_version(const http::Request& request) {
  const auto version = request.query_value("api-version");
  if (version && is_api_version(*version)) return {};
  return fail(errors::hub::kInvalidProtocolVersion);
}

}  // namespace

Task<http::Response> ServiceApi::serve(http::Request request, RequiredRight right, Action action) {
  const http::Request head{.method = request.method,
                           .target = {},
                           .path = request.path,
                           .query = {},
                           .headers = {},
                           .body = {},
                           .peer = request.peer,
                           .tracking_id = request.tracking_id,
                           .stop = {},
                           .params = {}};
  const auto refuse = [&](const Error& error) {
    return error_response(error, head, hubs_.clock().now());
  };
  if (auto ok = check_api_version(request); !ok) co_return refuse(ok.error());
  HubName hub;
  {
    const auto catalog = hubs_.catalog();
    const auto found =
        authorize_service_call(*catalog, request, right, bearer_, hubs_.clock().now());
    if (!found) co_return refuse(found.error());
    hub = (*found)->name;
  }
  auto answer = co_await (this->*action)(std::move(hub), std::move(request));
  if (!answer) co_return refuse(answer.error());
  co_return std::move(*answer);
}

void register_service_routes(http::Router& router, HubService& hubs, BearerCheck bearer) {
  const auto api = std::make_shared<ServiceApi>(hubs, std::move(bearer));
  for (const auto& route : kRoutes) {
    router.add(route.method, route.pattern,
               [api, right = route.right, action = route.action](http::Request request) {
                 return api->serve(std::move(request), right, action);
               });
  }
}

DeviceId device_param(const http::Request& request) { return DeviceId(request.param("id")); }

ModuleId module_param(const http::Request& request) { return ModuleId(request.param("mid")); }

std::string if_match(const http::Request& request) {
  return std::string(request.headers.get_or("If-Match", {}));
}

Result<json::Value> object_body(const http::Request& request) {
  auto body = json::parse(request.body);
  if (!body) return fail(errors::hub::kDeserializationError, std::move(body.error().message));
  if (!body->is_object())
    return fail(errors::hub::kDeserializationError, "The body must be a JSON object.");
  return body;
}

}  // namespace doppel::hub
