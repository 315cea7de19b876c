// Times as Azure's services write and read them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace doppel {

// "2022-08-31T22:02:50.5163352Z": UTC, seven fraction digits.
std::string to_iso8601(TimePoint time);

// The same on the stack, for hot paths.
class Iso8601Text {
 public:
  explicit Iso8601Text(TimePoint time);
  std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 28> text_;
};

// RFC 3339 / ISO 8601 date and time with 'Z' or an offset; any number of fraction digits (beyond
// nine they are dropped).
std::optional<TimePoint> parse_iso8601(std::string_view text);

// "Thu, 12 Oct 2017 19:23:50 GMT" (RFC 9110 section 5.6.7), as HTTP's Date header has it.
std::string to_http_date(TimePoint time);

// The text Azure shows for a time that never was.
inline constexpr std::string_view kNeverText = "0001-01-01T00:00:00Z";

inline std::int64_t to_unix_seconds(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}
inline std::int64_t to_unix_millis(TimePoint time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}
inline TimePoint from_unix_seconds(std::int64_t seconds) {
  return TimePoint(std::chrono::seconds(seconds));
}

}  // namespace doppel
