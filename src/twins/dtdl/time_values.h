// The texts that the DTDL schemas date, dateTime, time and duration admit.
#pragma once

#include <string_view>

namespace doppel::twins::dtdl {

bool is_date(std::string_view text);       // RFC 3339 full-date: 2023-02-28
bool is_date_time(std::string_view text);  // RFC 3339 date-time, offset or Z required
bool is_time(std::string_view text);       // RFC 3339 full-time: 12:30:05.5Z
bool is_duration(
    std::string_view text);  // ISO 8601: P1Y2M3DT4H5M6.7S, P2W; a fraction on the last part only

}  // namespace doppel::twins::dtdl
