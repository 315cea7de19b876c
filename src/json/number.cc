#include "json/number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "base/check.h"

namespace doppel::json {
namespace {

constexpr int kFixedExponentMin = -7;
constexpr int kFixedExponentMax = 21;
// An exponent with more digits is far beyond every double; capping it keeps the arithmetic in
// range.
constexpr std::int64_t kExponentCap = 1'000'000'000'000;

// digits x 10^exponent, without leading and trailing zeros; zero has no digits.
struct Decimal {
  std::string_view digits;  // may contain one '.', which does not count
  std::int64_t exponent = 0;
  bool is_negative = false;
};

// `text` is a JSON number or what to_chars writes.
Decimal decimal_of(std::string_view text) {
  Decimal decimal;
  if (text.starts_with('-')) {
    decimal.is_negative = true;
    text.remove_prefix(1);
  }
  const auto mark = text.find_first_of("eE");
  if (mark != std::string_view::npos) {
    auto exponent = text.substr(mark + 1);
    const bool is_negative = exponent.starts_with('-');
    if (is_negative || exponent.starts_with('+')) exponent.remove_prefix(1);
    std::int64_t value = 0;
    for (const char c : exponent) value = std::min(value * 10 + (c - '0'), kExponentCap);
    decimal.exponent = is_negative ? -value : value;
    text = text.substr(0, mark);
  }
  const auto point = text.find('.');
  if (point != std::string_view::npos) {
    decimal.exponent -= static_cast<std::int64_t>(text.size() - point - 1);
  }
  // Leading zeros mean nothing; each trailing one is a factor of ten.
  while (text.starts_with('0') || text.starts_with('.')) text.remove_prefix(1);
  while (text.ends_with('0') || text.ends_with('.')) {
    if (text.ends_with('0')) ++decimal.exponent;
    text.remove_suffix(1);
  }
  decimal.digits = text;
  return decimal;
}

bool equal_digits(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  for (;;) {
    if (i < a.size() && a[i] == '.') ++i;
    if (j < b.size() && b[j] == '.') ++j;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i++] != b[j++]) return false;
  }
}

bool equal(const Decimal& a, const Decimal& b) {
  if (a.digits.empty() || b.digits.empty()) return a.digits.empty() && b.digits.empty();
  return a.is_negative == b.is_negative && a.exponent == b.exponent &&
         equal_digits(a.digits, b.digits);
}

constexpr std::size_t kDoubleTextMax = 32;  // "-1.7976931348623157e+308" is 24

std::string_view shortest(double number, std::array<char, kDoubleTextMax>& buffer) {
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 std::chars_format::scientific)
                       .ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

std::size_t count_digits(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    if (c == 'e' || c == 'E') break;
    if (c >= '0' && c <= '9') ++count;
  }
  return count;
}

}  // namespace

void append_double(std::string& out, double number) {
  check(std::isfinite(number), "only finite numbers have a JSON text");
  std::array<char, kDoubleTextMax> buffer;
  auto text = shortest(number, buffer);  // [-]d[.ddd]e[+-]dd
  if (text.starts_with('-')) {
    out.push_back('-');
    text.remove_prefix(1);
  }
  const auto mark = text.find('e');
  int exponent = 0;
  const char* exponent_begin = text.data() + mark + (text[mark + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_begin, text.data() + text.size(), exponent);
  if (number != 0 && (exponent < kFixedExponentMin || exponent >= kFixedExponentMax)) {
    out.append(text);
    return;
  }
  const char first = text[0];
  const auto rest = mark > 2 ? text.substr(2, mark - 2) : std::string_view{};
  if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0');
    out.push_back(first);
    out.append(rest);
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent);  // digits of `rest` before the point
  out.push_back(first);
  if (rest.size() <= whole) {
    out.append(rest).append(whole - rest.size(), '0').append(".0");
    return;
  }
  out.append(rest.substr(0, whole));
  out.push_back('.');
  out.append(rest.substr(whole));
}

bool equal_decimals(std::string_view a, std::string_view b) {
  return equal(decimal_of(a), decimal_of(b));
}

bool parse_double_exactly(std::string_view text, double* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  if (error == std::errc::result_out_of_range) {
    // from_chars leaves the number alone; strtod tells huge from tiny.
    *number = std::strtod(std::string(text).c_str(), nullptr);
    return false;
  }
  // Fifteen digits always survive the way through a double, in its normal range.
  constexpr auto kDigits = static_cast<std::size_t>(std::numeric_limits<double>::digits10);
  if (text.size() <= kDigits + 2 && count_digits(text) <= kDigits &&
      text.find_first_of("eE") == std::string_view::npos) {
    return true;
  }
  std::array<char, kDoubleTextMax> buffer;
  return equal_decimals(text, shortest(*number, buffer));
}

}  // namespace doppel::json
