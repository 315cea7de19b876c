#include "hub/wire/http_errors.h"

#include <algorithm>

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "base/log.h"
#include "base/time_text.h"
#include "errors/hub.h"
#include "json/value.h"

namespace doppel::hub {
namespace {

// "66b8...-G:0-TimeStamp:01/18/2017 08:11:45", the ID as 32 hex digits.
std::string tracking_text(std::string_view tracking_id, TimePoint now) {
  std::string digits(tracking_id);
  std::erase(digits, '-');
  return fmt::format("Tracking ID:{}-G:0-TimeStamp:{:%m/%d/%Y %H:%M:%S}", digits,
                     fmt::gmtime(static_cast<std::time_t>(to_unix_seconds(now))));
}

}  // namespace

const ServiceError& service_error(const Error& error) {
  if (error.service != nullptr) return *error.service;
  switch (error.code) {
    case Code::invalid_argument:
      return errors::hub::kArgumentInvalid;
    case Code::unauthenticated:
      return errors::hub::kIotHubUnauthorizedAccess;
    case Code::forbidden:
      return errors::hub::kGenericForbidden;
    case Code::not_found:
      return errors::hub::kGenericNotFound;
    case Code::already_exists:
    case Code::conflict:
      return errors::hub::kGenericConflict;
    case Code::precondition_failed:
      return errors::hub::kPreconditionFailed;
    case Code::too_large:
      return errors::hub::kGenericRequestEntityTooLarge;
    case Code::throttled:
    case Code::quota_exceeded:
      return errors::hub::kThrottlingException;
    case Code::unsupported:
      return errors::hub::kFeatureNotSupported;
    case Code::timeout:
      return errors::hub::kGenericTimeout;
    case Code::cancelled:
    case Code::unavailable:
      return errors::hub::kServiceUnavailable;
    case Code::bad_gateway:
      return errors::hub::kGenericBadGateway;
    case Code::internal:
      return errors::hub::kServerError;
  }
  return errors::hub::kServerError;
}

http::Response error_response(const Error& error, const http::Request& request, TimePoint now) {
  const auto& seen = service_error(error);
  // Whoever has no proof learns nothing; our own mistakes are told to the operator only.
  const bool is_told = seen.http_status != 401 && seen.http_status < 500;
  std::string text = is_told && !error.message.empty() ? error.message : std::string(seen.text);
  std::ranges::replace(text, ';', ',');
  if (!is_told) {
    log::write(seen.http_status == 401 ? log::Level::warn : log::Level::error,
               "hub.request_refused",
               {{"tracking_id", request.tracking_id},
                {"method", request.method},
                {"path", request.path},
                {"status", seen.http_status},
                {"reason", error.message}});
  }
  const json::Object body{
      {"Message", fmt::format("ErrorCode:{};{}", seen.name, text)},
      {"ExceptionMessage", tracking_text(request.tracking_id, now)},
  };
  auto response = http::Response::json(seen.http_status, json::write(body));
  response.headers.set("iothub-errorcode", seen.name);
  if (seen.http_status == 429 || seen.http_status == 503) response.headers.set("Retry-After", "1");
  return response;
}

}  // namespace doppel::hub
