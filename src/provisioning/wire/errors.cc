#include "provisioning/wire/errors.h"

#include "base/time_text.h"
#include "errors/dps.h"
#include "json/value.h"

namespace doppel::provisioning {
namespace {

// What an `info` map says about a refused certificate. "notTrusted" tells the least on purpose: a
// stranger's certificate, one for another enrollment and an unknown registration ID look alike.
std::string_view certificate_reason(const ServiceError& error) {
  if (&error == &errors::dps::kCertificateNotTrusted) return "notTrusted";
  if (&error == &errors::dps::kCertificateName) return "commonNameIsNotRegistrationId";
  if (&error == &errors::dps::kCertificateExpired) return "expired";
  if (&error == &errors::dps::kCertificateNotYetValid) return "notYetValid";
  if (&error == &errors::dps::kCertificateWeak) return "weakKeyOrSignature";
  if (&error == &errors::dps::kCertificatePath) return "invalidPath";
  if (&error == &errors::dps::kCaNotVerified) return "caNotVerified";
  return {};
}

}  // namespace

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

std::string error_body(const Error& error, std::string_view tracking_id, TimePoint now,
                       const security::PresentedChain* shown) {
  const ServiceError& service = service_error(error);
  const bool is_told = service.code != Code::unauthenticated && service.code != Code::forbidden &&
                       service.code != Code::internal && !error.message.empty();
  json::Object body;
  body["errorCode"] = service.number;
  body["trackingId"] = tracking_id;
  body["message"] = is_told ? std::string_view(error.message) : service.text;
  body["timestampUtc"] = to_iso8601(now);
  const std::string_view reason = certificate_reason(service);
  if (!reason.empty()) {
    json::Object info{{"reason", reason}};
    if (shown != nullptr) info["certSubject"] = shown->leaf.subject();
    body["info"] = std::move(info);
  }
  return json::write(body);
}

int retry_after_s(const Error& error) {
  const int status = service_error(error).http_status;
  return status == 429 || status == 503 ? kRetryAfterTroubleS : 0;
}

}  // namespace doppel::provisioning
