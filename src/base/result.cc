#include "base/result.h"

namespace doppel {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::unauthenticated:
      return "unauthenticated";
    case Code::forbidden:
      return "forbidden";
    case Code::not_found:
      return "not_found";
    case Code::already_exists:
      return "already_exists";
    case Code::precondition_failed:
      return "precondition_failed";
    case Code::conflict:
      return "conflict";
    case Code::too_large:
      return "too_large";
    case Code::throttled:
      return "throttled";
    case Code::quota_exceeded:
      return "quota_exceeded";
    case Code::unsupported:
      return "unsupported";
    case Code::timeout:
      return "timeout";
    case Code::cancelled:
      return "cancelled";
    case Code::unavailable:
      return "unavailable";
    case Code::bad_gateway:
      return "bad_gateway";
    case Code::internal:
      return "internal";
  }
  return "?";
}

}  // namespace doppel
