// Inner errors as DPS clients see them, on every transport (dps.md section 1.6).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "security/certificate.h"

namespace doppel::provisioning {

inline constexpr std::string_view kJsonType = "application/json; charset=utf-8";
inline constexpr std::string_view kErrorCodeHeader = "x-ms-error-code";  // of a body's errorCode
inline constexpr int kRetryAfterTroubleS = 5;  // seconds; told with 429 and 503

// The line of schemas/errors/dps.tsv that clients see: the error's own, else the one of its code.
const ServiceError& service_error(const Error& error);

// {"errorCode","trackingId","message","timestampUtc"[,"info"]}. Reasons for a 401 and our own
// mistakes stay in the log; of a refused certificate a word says what kind of trouble it is, and
// `shown` (null: none) which certificate.
std::string error_body(const Error& error, std::string_view tracking_id, TimePoint now,
                       const security::PresentedChain* shown = nullptr);

// Seconds after which trying again may help; 0 when it will not.
int retry_after_s(const Error& error);

}  // namespace doppel::provisioning
