#include "provisioning/wire/errors.h"

#include "base/time_text.h"
#include "errors/dps.h"
#include "json/value.h"

namespace doppel::provisioning {

const ServiceError& service_error(const Error& error) {
  if (error.service != nullptr && error.service->number >= 100'000) return *error.service;
  switch (error.code) {
    case Code::invalid_argument:
      return errors::dps::kBadRequest;
    case Code::unauthenticated:
      return errors::dps::kUnauthorized;
    case Code::forbidden:
      return errors::dps::kForbidden;
    case Code::not_found:
      return errors::dps::kEnrollmentNotFound;
    case Code::already_exists:
      return errors::dps::kEnrollmentExists;
    case Code::precondition_failed:
      return errors::dps::kEtagMismatch;
    case Code::conflict:
      return errors::dps::kConflict;
    case Code::too_large:
      return errors::dps::kTooLarge;
    case Code::throttled:
      return errors::dps::kThrottled;
    case Code::quota_exceeded:
      return errors::dps::kTooMany;
    case Code::unsupported:
      return errors::dps::kUnsupported;
    case Code::timeout:
      return errors::dps::kUnavailable;
    case Code::cancelled:
      return errors::dps::kUnavailable;
    case Code::unavailable:
      return errors::dps::kUnavailable;
    case Code::bad_gateway:
      return errors::dps::kAllocationFailed;
    case Code::internal:
      return errors::dps::kInternal;
  }
  return errors::dps::kInternal;
}

std::string error_body(const Error& error, std::string_view tracking_id, TimePoint now) {
  const ServiceError& service = service_error(error);
  const bool is_told = service.code != Code::unauthenticated && service.code != Code::forbidden &&
                       service.code != Code::internal && !error.message.empty();
  json::Object body;
  body["errorCode"] = service.number;
  body["trackingId"] = tracking_id;
  body["message"] = is_told ? std::string_view(error.message) : service.text;
  body["timestampUtc"] = to_iso8601(now);
  return json::write(body);
}

int retry_after_s(const Error& error) {
  const int status = service_error(error).http_status;
  return status == 429 || status == 503 ? kRetryAfterTroubleS : 0;
}

}  // namespace doppel::provisioning
