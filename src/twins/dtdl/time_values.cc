#include "twins/dtdl/time_values.h"

#include <chrono>

namespace doppel::twins::dtdl {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes exactly `count` digits off the front; -1 when they are not there.
int take_number(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

bool take_fraction(std::string_view& text, std::string_view separators) {
  if (text.empty() || separators.find(text.front()) == std::string_view::npos) return true;
  text.remove_prefix(1);
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  text.remove_prefix(digits);
  return digits > 0;
}

bool take_date(std::string_view& text) {
  const int year = take_number(text, 4);
  if (year < 0 || !take(text, '-')) return false;
  const int month = take_number(text, 2);
  if (month < 0 || !take(text, '-')) return false;
  const int day = take_number(text, 2);
  if (day < 0) return false;
  return std::chrono::year_month_day(std::chrono::year(year),
                                     std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
      .ok();
}

bool take_time(std::string_view& text) {
  const int hour = take_number(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return false;
  const int minute = take_number(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return false;
  const int second = take_number(text, 2);
  if (second < 0 || second > 60 || !take_fraction(text, ".")) return false;  // 60: a leap second
  if (take(text, 'Z') || take(text, 'z')) return true;
  if (!take(text, '+') && !take(text, '-')) return false;
  const int offset_hour = take_number(text, 2);
  if (offset_hour < 0 || offset_hour > 23 || !take(text, ':')) return false;
  const int offset_minute = take_number(text, 2);
  return offset_minute >= 0 && offset_minute <= 59;
}

// The parts of `units` that are there, in their order; at least one.
bool take_parts(std::string_view& text, std::string_view units, bool& had_fraction, bool& had_any) {
  std::size_t next_unit = 0;
  while (!text.empty() && is_digit(text.front())) {
    if (had_fraction) return false;
    std::size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    text.remove_prefix(digits);
    if (!text.empty() && (text.front() == '.' || text.front() == ',')) {
      if (!take_fraction(text, ".,")) return false;
      had_fraction = true;
    }
    if (text.empty()) return false;
    const auto unit = units.find(text.front(), next_unit);
    if (unit == std::string_view::npos) return false;
    next_unit = unit + 1;
    text.remove_prefix(1);
    had_any = true;
  }
  return true;
}

}  // namespace

bool is_date(std::string_view text) { return take_date(text) && text.empty(); }

bool is_date_time(std::string_view text) {
  return take_date(text) && (take(text, 'T') || take(text, 't')) && take_time(text) && text.empty();
}

bool is_time(std::string_view text) { return take_time(text) && text.empty(); }

bool is_duration(std::string_view text) {
  take(text, '-');
  if (!take(text, 'P')) return false;
  bool had_fraction = false;
  bool had_any = false;
  if (text.find('W') != std::string_view::npos)
    return take_parts(text, "W", had_fraction, had_any) && had_any && text.empty();
  if (!take_parts(text, "YMD", had_fraction, had_any)) return false;
  if (take(text, 'T')) {
    bool had_time = false;
    if (!take_parts(text, "HMS", had_fraction, had_time) || !had_time) return false;
    had_any = true;
  }
  return had_any && text.empty();
}

}  // namespace doppel::twins::dtdl
