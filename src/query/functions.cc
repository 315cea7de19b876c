#include "query/functions.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "base/encoding.h"
#include "query/evaluate.h"

namespace doppel::query {
namespace {

using Args = std::span<const Value>;

Value number_or_undefined(double number) {
  return std::isfinite(number) ? Value::of(number) : Value{};
}

// ---- mathematics ----

template <double (*F)(double)>
Value math(Evaluator&, Args args) {
  if (args[0].kind != Kind::number) return {};
  return number_or_undefined(F(args[0].number));
}

double square(double x) { return x * x; }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double absolute(double x) { return std::abs(x); }
double exponential(double x) { return std::exp(x); }
double ceiling(double x) { return std::ceil(x); }
double floor_of(double x) { return std::floor(x); }
double root(double x) { return std::sqrt(x); }

Value power(Evaluator&, Args args) {
  if (args[0].kind != Kind::number || args[1].kind != Kind::number) return {};
  return number_or_undefined(std::pow(args[0].number, args[1].number));
}

// ---- types ----

Value as_number(Evaluator&, Args args) {
  if (args[0].kind == Kind::number) return args[0];
  if (args[0].kind != Kind::string) return {};
  auto text = args[0].text;
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  // from_chars also reads "inf" and "nan".
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos)
    return {};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number_or_undefined(number);
}

template <Kind... Kinds>
Value is_kind(Evaluator&, Args args) {
  if (!args[0].is_defined()) return Value::of(false);
  return Value::of(((args[0].kind == Kinds) || ...));
}

Value is_defined(Evaluator&, Args args) { return Value::of(args[0].is_defined()); }

// ---- strings ----

Value concat(Evaluator& evaluator, Args args) { return evaluator.concatenate(args); }

// In characters, as people count them.
std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// Where character `index` begins; nothing beyond the end (the end itself is fine).
std::optional<std::size_t> offset_of(std::string_view text, std::size_t index) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (index == 0) return i;
    --index;
  }
  if (index == 0) return text.size();
  return std::nullopt;
}

Value length(Evaluator&, Args args) {
  if (args[0].kind == Kind::array) {
    return Value::of(static_cast<double>(args[0].source->get_array().size()));
  }
  if (args[0].kind != Kind::string) return {};
  return Value::of(static_cast<double>(count_characters(args[0].text)));
}

Value lower(Evaluator& evaluator, Args args) {
  if (args[0].kind != Kind::string) return {};
  return evaluator.keep(to_lower(args[0].text));
}

Value upper(Evaluator& evaluator, Args args) {
  if (args[0].kind != Kind::string) return {};
  std::string text(args[0].text);
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return evaluator.keep(std::move(text));
}

std::optional<std::size_t> index_of_number(const Value& value) {
  constexpr double kIndexMax = 1e9;
  if (value.kind != Kind::number || !(value.number >= 0 && value.number <= kIndexMax)) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(value.number);
}

Value substring(Evaluator&, Args args) {
  if (args[0].kind != Kind::string) return {};
  const auto text = args[0].text;
  const auto start = index_of_number(args[1]);
  const auto begin = start ? offset_of(text, *start) : std::nullopt;
  if (!begin) return {};
  if (args.size() == 2) return Value::of(text.substr(*begin));
  const auto size = index_of_number(args[2]);
  const auto rest = text.substr(*begin);
  const auto end = size ? offset_of(rest, *size) : std::nullopt;
  if (!end) return {};
  return Value::of(rest.substr(0, *end));
}

bool are_strings(Args args) { return args[0].kind == Kind::string && args[1].kind == Kind::string; }

Value index_of(Evaluator&, Args args) {
  if (!are_strings(args)) return {};
  const auto place = args[0].text.find(args[1].text);
  if (place == std::string_view::npos) return Value::of(-1.0);
  return Value::of(static_cast<double>(count_characters(args[0].text.substr(0, place))));
}

Value starts_with(Evaluator&, Args args) {
  return are_strings(args) ? Value::of(args[0].text.starts_with(args[1].text)) : Value{};
}

Value ends_with(Evaluator&, Args args) {
  return are_strings(args) ? Value::of(args[0].text.ends_with(args[1].text)) : Value{};
}

Value contains(Evaluator&, Args args) {
  return are_strings(args) ? Value::of(args[0].text.contains(args[1].text)) : Value{};
}

Value array_contains(Evaluator&, Args args) {
  if (args[0].kind != Kind::array) return {};
  return is_element(args[1], args[0]);
}

constexpr std::uint8_t kAll = kTwinFunctions | kRoutingFunctions | kGraphFunctions;
constexpr std::uint8_t kHub = kTwinFunctions | kRoutingFunctions;
constexpr std::uint8_t kRouting = kRoutingFunctions;
constexpr auto kMany = static_cast<std::uint8_t>(kFunctionArgsMax);

using enum Type;
constexpr Function kFunctions[] = {
    {"abs", kRouting, 1, 1, number, any, number, false, math<absolute>},
    {"exp", kRouting, 1, 1, number, any, number, false, math<exponential>},
    {"power", kRouting, 2, 2, number, number, number, false, power},
    {"square", kRouting, 1, 1, number, any, number, false, math<square>},
    {"ceiling", kRouting, 1, 1, number, any, number, false, math<ceiling>},
    {"floor", kRouting, 1, 1, number, any, number, false, math<floor_of>},
    {"sign", kRouting, 1, 1, number, any, number, false, math<sign>},
    {"sqrt", kRouting, 1, 1, number, any, number, false, math<root>},
    {"as_number", kHub, 1, 1, any, any, number, false, as_number},
    {"is_array", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::array>},
    {"is_bool", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::boolean>},
    {"is_defined", kAll, 1, 1, any, any, boolean, false, is_defined},
    {"is_null", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::null>},
    {"is_number", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::number>},
    {"is_object", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::object>},
    {"is_primitive", kAll, 1, 1, any, any, boolean, false,
     is_kind<Kind::boolean, Kind::number, Kind::string, Kind::null>},
    {"is_string", kAll, 1, 1, any, any, boolean, false, is_kind<Kind::string>},
    {"concat", kRouting, 1, kMany, string, string, string, false, concat},
    {"length", kHub, 1, 1, string, any, number, false, length},
    {"lower", kHub, 1, 1, string, any, string, false, lower},
    {"upper", kHub, 1, 1, string, any, string, false, upper},
    {"substring", kHub, 2, 3, string, number, string, false, substring},
    {"index_of", kHub, 2, 2, string, string, number, false, index_of},
    {"starts_with", kAll, 2, 2, string, string, boolean, false, starts_with},
    {"ends_with", kAll, 2, 2, string, string, boolean, false, ends_with},
    {"contains", kAll, 2, 2, string, string, boolean, false, contains},
    {"array_contains", kAll, 2, 2, any, any, boolean, false, array_contains},
    {"twin_change_includes", kRouting, 1, 1, any, any, boolean, true, is_defined},
};

bool same_name(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  for (;;) {
    while (i < a.size() && a[i] == '_') ++i;
    while (j < b.size() && b[j] == '_') ++j;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (!equal_ignoring_case(a.substr(i++, 1), b.substr(j++, 1))) return false;
  }
}

}  // namespace

const Function* find_function(std::string_view name, FunctionSet set) {
  for (const auto& function : kFunctions) {
    if ((function.sets & set) != 0 && same_name(function.name, name)) return &function;
  }
  return nullptr;
}

}  // namespace doppel::query
