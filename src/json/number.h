// Decimal numbers as text: layout of doubles, and equality of value whatever the spelling. Internal
// to json/ except for the layout, which message templates use too.
#pragma once

#include <string>
#include <string_view>

namespace doppel::json {

// Leads the text of a number that is kept as text (see value.h).
inline constexpr char kNumberMark = '\xFF';

// The shortest text that reads back as `number`, with at least one digit after the point and
// without an exponent from 1e-7 up to 1e21, as JavaScript does: 22.75, 1.0, 1.5e+300. `number` is
// finite.
void append_double(std::string& out, double number);

// Whether two JSON numbers denote the same decimal value: 1, 1.0 and 10e-1 alike. Exact.
bool equal_decimals(std::string_view a, std::string_view b);

// The double that `text` (a JSON number) denotes if it has exactly the digits of the shortest text
// of that double; so every decimal of at most 15 digits is exact. False if not: `*number` is then
// the nearest double (infinite beyond the range).
bool parse_double_exactly(std::string_view text, double* number);

}  // namespace doppel::json
