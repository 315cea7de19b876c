#include "provisioning/wire/service_door.h"

#include <vector>

#include "base/encoding.h"
#include "base/log.h"
#include "errors/dps.h"
#include "provisioning/wire/device_api.h"
#include "provisioning/wire/errors.h"
#include "security/sas.h"

namespace doppel::provisioning {
namespace {

using resources::DpsRight;

std::vector<std::string> path_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0) {
      const auto raw = path.substr(0, end);
      segments.push_back(percent_decode(raw).value_or(std::string(raw)));
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return segments;
}

bool is_named(const resources::Dps& instance, std::string_view host) {
  for (const auto& name : instance.host_names) {
    if (equal_ignoring_case(name, host)) return true;
  }
  return false;
}

bool is_write(DpsRight right) {
  switch (right) {
    case DpsRight::enrollment_write:
    case DpsRight::registration_status_write:
      return true;
    case DpsRight::service_config:
    case DpsRight::enrollment_read:
    case DpsRight::device_connect:
    case DpsRight::registration_status_read:
      return false;
  }
  return true;
}

}  // namespace

Result<ServiceDoor::Granted> ServiceDoor::authorize_sas(const http::Request& request,
                                                        std::string_view header,
                                                        DpsRight right) const {
  auto token = security::parse_sas(header);
  if (!token) return fail(errors::dps::kUnauthorized, token.error().message);
  auto granted = security::sas_resource(token->resource);
  Instance instance = provisioning_.find_by_host(request.host());
  if (!instance) instance = provisioning_.find_by_host(granted.host);
  if (!instance) return fail(errors::dps::kUnauthorized, "no instance has the host name");
  if (!is_named(*instance, granted.host)) {
    return fail(errors::dps::kUnauthorized, "the token is for another host");
  }
  auto policy = resources::verify_policy(instance->policies, *token, security::KeyForm::base64,
                                         right, clock_.now());
  if (!policy) {
    return policy.error().code == Code::forbidden
               ? fail(errors::dps::kForbidden, policy.error().message)
               : fail(errors::dps::kUnauthorized, policy.error().message);
  }
  // Paths and IDs are compared without case here, so tokens are, too.
  auto segments = path_segments(request.path);
  for (std::string& segment : segments) segment = to_lower(segment);
  for (std::string& segment : granted.segments) segment = to_lower(segment);
  const std::vector<std::string_view> path(segments.begin(), segments.end());
  if (!security::covers(granted, path)) {
    return fail(errors::dps::kUnauthorized, "the token is for another path");
  }
  return Granted{std::move(instance), token->key_name};
}

Result<ServiceDoor::Granted> ServiceDoor::authorize(const http::Request& request,
                                                    DpsRight right) const {
  const auto header = request.headers.get_or("Authorization", "");
  if (!starts_with_ignoring_case(header, "Bearer ")) return authorize_sas(request, header, right);
  Instance instance = provisioning_.find_by_host(request.host());
  if (!instance) return fail(errors::dps::kUnauthorized, "no instance has the host name");
  auto principal = bearer_(header);
  if (!principal) return fail(errors::dps::kUnauthorized, principal.error().message);
  const bool may =
      is_write(right) ? principal->may_write(instance->id) : principal->may_read(instance->id);
  if (!may) return fail(errors::dps::kForbidden, "the principal has no role for it");
  return Granted{std::move(instance), principal->client_id};
}

Task<http::Response> ServiceDoor::handle(http::Request request, DpsRight right,
                                         Handler handler) const {
  const std::string tracking_id = request.tracking_id;
  const std::string path = request.path;
  Result<http::Response> response = fail(Code::internal, "");
  auto granted = authorize(request, right);
  if (!granted) {
    response = fail(std::move(granted.error()));
  } else if (auto taken =
                 provisioning_.throttle().take(*granted->instance, Metered::service_operation);
             !taken) {
    response = fail(std::move(taken.error()));
  } else if (!is_api_version(request.query_value("api-version").value_or(""))) {
    response = fail(errors::dps::kBadRequest, "the query must name an api-version");
  } else {
    response = co_await handler(std::move(request), std::move(granted->instance),
                                std::move(granted->caller));
  }
  if (!response) {
    const Error error = std::move(response.error());  // `response` is replaced below
    const ServiceError& service = service_error(error);
    if (service.http_status == 401 || service.http_status >= 500) {
      log::warn("provisioning.service_refused", {{"tracking_id", tracking_id},
                                                 {"path", path},
                                                 {"status", service.http_status},
                                                 {"reason", error.message}});
    }
    response =
        http::Response::json(service.http_status, error_body(error, tracking_id, clock_.now()));
    response->headers.set(kErrorCodeHeader, std::to_string(service.number));
    if (const int after = retry_after_s(error); after > 0) {
      response->headers.set("Retry-After", std::to_string(after));
    }
  }
  response->headers.set("x-ms-request-id", tracking_id);
  co_return *std::move(response);
}

Result<json::Value> read_service_body(const http::Request& request) {
  if (request.body.size() > kMessageSizeMax) return fail(errors::dps::kTooLarge);
  const auto type = request.headers.find("Content-Type");
  if (type && !to_lower(*type).contains("json")) return fail(errors::dps::kNotJson);
  auto body = json::parse(request.body);
  if (!body) return fail(errors::dps::kBadRequest, "the body is not JSON: " + body.error().message);
  return body;
}

}  // namespace doppel::provisioning
