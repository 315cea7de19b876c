#include "hub/wire/device_errors.h"

#include "base/time_text.h"
#include "hub/wire/http_errors.h"
#include "json/value.h"

namespace doppel::hub {

std::string device_error_body(const Error& error, TimePoint now) {
  const auto& row = service_error(error);
  // Our own mistakes are told to the operator only.
  const bool is_told = row.http_status < 500 && !error.message.empty();
  const json::Object body{{"errorCode", row.number},
                          {"trackingId", SystemRandom().uuid()},
                          {"message", is_told ? std::string_view(error.message) : row.text},
                          {"timestampUtc", to_iso8601(now)}};
  return json::write(body);
}

}  // namespace doppel::hub
