#include "hub/wire/device_errors.h"

#include <fmt/format.h>

#include "base/random.h"
#include "base/time_text.h"
#include "errors/hub.h"
#include "json/value.h"

namespace doppel::hub {
namespace {

// For errors that come without a line of hub.tsv: what devices see of the inner code.
const ServiceError& service_error(const Error& error) {
  if (error.service != nullptr) return *error.service;
  switch (error.code) {
    case Code::invalid_argument:
    case Code::unsupported:
      return errors::hub::kArgumentInvalid;
    case Code::unauthenticated:
      return errors::hub::kIotHubUnauthorizedAccess;
    case Code::forbidden:
      return errors::hub::kGenericForbidden;
    case Code::not_found:
      return errors::hub::kDeviceNotFound;
    case Code::already_exists:
      return errors::hub::kDeviceAlreadyExists;
    case Code::precondition_failed:
      return errors::hub::kPreconditionFailed;
    case Code::conflict:
      return errors::hub::kGenericConflict;
    case Code::too_large:
      return errors::hub::kMessageTooLarge;
    case Code::throttled:
    case Code::quota_exceeded:
      return errors::hub::kThrottlingException;
    case Code::timeout:
    case Code::cancelled:
    case Code::unavailable:
    case Code::bad_gateway:
      return errors::hub::kServiceUnavailable;
    case Code::internal:
      return errors::hub::kServerError;
  }
  return errors::hub::kServerError;
}

// What a caller without proof may be told is the default text: the reason is for the log.
std::string_view public_text(const Error& error, const ServiceError& row) {
  const bool is_secret = row.code == Code::unauthenticated || row.code == Code::internal;
  return is_secret || error.message.empty() ? row.text : std::string_view(error.message);
}

}  // namespace

int http_status(const Error& error) { return service_error(error).http_status; }

std::string device_error_body(const Error& error, TimePoint now) {
  const auto& row = service_error(error);
  json::Object body{{"errorCode", row.number},
                    {"trackingId", SystemRandom().uuid()},
                    {"message", public_text(error, row)},
                    {"timestampUtc", to_iso8601(now)}};
  return json::write(body);
}

http::Response error_response(const Error& error, std::string_view tracking_id, TimePoint now) {
  const auto& row = service_error(error);
  const json::Object body{
      {"Message", fmt::format("ErrorCode:{};{}", row.name, public_text(error, row))},
      {"ExceptionMessage",
       fmt::format("Tracking ID:{}-TimeStamp:{}", tracking_id, to_iso8601(now))}};
  auto response = http::Response::json(row.http_status, json::write(body));
  response.headers.set("iothub-errorcode", row.name);
  if (row.code == Code::throttled || row.http_status == 503)
    response.headers.set("Retry-After", "1");
  return response;
}

http::Response error_response(const Error& error, const http::Request& request, TimePoint now) {
  return error_response(error, request.tracking_id, now);
}

}  // namespace doppel::hub
