#include "hub/wire/amqp_errors.h"

#include "errors/hub.h"
#include "hub/wire/http_errors.h"
#include "protocol/amqp/errors.h"

namespace doppel::hub {
namespace {

namespace condition = amqp::condition;

constexpr std::string_view kTrackingId = "com.microsoft:tracking-id";
constexpr std::string_view kHubNotFound = "com.microsoft:iot-hub-not-found-error";
constexpr std::string_view kThrottled = "com.microsoft:device-container-throttled";
constexpr std::string_view kAlreadyExists = "com.microsoft:device-already-exists";
constexpr std::string_view kPreconditionFailed = "com.microsoft:precondition-failed";

std::string_view condition_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return condition::kArgumentError;
    case Code::unauthenticated:
    case Code::forbidden:
      return condition::kUnauthorizedAccess;
    case Code::not_found:
      return condition::kNotFound;
    case Code::already_exists:
      return kAlreadyExists;
    case Code::precondition_failed:
      return kPreconditionFailed;
    case Code::conflict:
      return condition::kNotAllowed;
    case Code::too_large:
      return condition::kMessageSizeExceeded;
    case Code::throttled:
      return kThrottled;
    case Code::quota_exceeded:
      return condition::kResourceLimitExceeded;
    case Code::unsupported:
      return condition::kNotImplemented;
    case Code::timeout:
      return condition::kTimeout;
    // Of these clients know to try again.
    case Code::cancelled:
    case Code::unavailable:
    case Code::bad_gateway:
    case Code::internal:
      return condition::kInternalError;
  }
  return condition::kInternalError;
}

}  // namespace

amqp::Condition amqp_condition(const Error& error, std::string_view tracking_id) {
  const auto& row = service_error(error);
  const bool is_told = row.http_status < 500 && error.code != Code::unauthenticated &&
                       error.code != Code::forbidden && !error.message.empty();
  const bool is_hub_unknown = row.number == errors::hub::kIotHubNotFound.number;
  auto told = amqp::make_condition(is_hub_unknown ? kHubNotFound : condition_of(error.code),
                                   is_told ? std::string_view(error.message) : row.text);
  told.info.add_symbol(kTrackingId, amqp::Value(tracking_id));
  return told;
}

amqp::Condition amqp_condition(CloseCause cause) {
  const auto name = [cause] {
    switch (cause) {
      case CloseCause::taken_over:
        return condition::kStolen;
      case CloseCause::deleted:
        return condition::kNotFound;
      case CloseCause::recreated:
      case CloseCause::disabled:
        return condition::kUnauthorizedAccess;
      case CloseCause::unsure:
        return condition::kDetachForced;
    }
    return condition::kDetachForced;
  };
  return amqp::make_condition(name(), to_text(cause));
}

}  // namespace doppel::hub
