#include "query/dollar_path.h"

#include <charconv>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "query/expression_parser.h"

namespace doppel::query {
namespace {

// "c[0]" or "c": appends one or two steps.
Status append_segment(std::string_view segment, std::vector<json::PathStep>& steps, Arena& arena) {
  const auto bracket = segment.find('[');
  const auto name = segment.substr(0, bracket);
  if (name.empty()) return fail(Code::invalid_argument, "this path has an empty name");
  if (name.contains(']')) return fail(Code::invalid_argument, "this path has a ']' too many");
  steps.push_back({.name = arena.copy(name)});
  if (bracket == std::string_view::npos) return {};
  auto digits = segment.substr(bracket + 1);
  std::uint32_t index = 0;
  if (digits.ends_with(']')) {
    digits.remove_suffix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc{} && end == digits.data() + digits.size()) {
      steps.push_back({.index = index, .is_index = true});
      return {};
    }
  }
  return fail(Code::invalid_argument, "this path needs the index of an element in its brackets");
}

}  // namespace

Result<std::span<const json::PathStep>> parse_steps(std::string_view text, Arena& arena) {
  std::vector<json::PathStep> steps;
  for (;;) {
    const auto end = text.find('.');
    if (auto added = append_segment(text.substr(0, end), steps, arena); !added) {
      return fail(added.error());
    }
    if (steps.size() > kPathStepsMax) {
      return fail(Code::invalid_argument, "this path has too many steps");
    }
    if (end == std::string_view::npos) return arena.copy(steps);
    text.remove_prefix(end + 1);
  }
}

Result<Path> parse_dollar_path(std::string_view word, Arena& arena) {
  const auto name = word.substr(1);
  const auto text = arena.copy(word);
  for (const auto [prefix, scope] :
       {std::pair{std::string_view("body"), Scope::body}, {"twin", Scope::twin}}) {
    if (!starts_with_ignoring_case(name, prefix)) continue;
    const auto rest = name.substr(prefix.size());
    if (rest.empty() || rest.starts_with('[')) return Path{.scope = scope, .text = text};
    if (!rest.starts_with('.')) continue;  // $bodyguard
    auto steps = parse_steps(rest.substr(1), arena);
    if (!steps) return fail(steps.error());
    return Path{.scope = scope, .steps = *steps, .text = text};
  }
  if (name.find_first_of("[]") != std::string_view::npos) {
    return fail(Code::invalid_argument, "a property has no elements");
  }
  const std::vector<json::PathStep> steps{{.name = arena.copy(name)}};
  return Path{.scope = Scope::dollar_property, .steps = arena.copy(steps), .text = text};
}

}  // namespace doppel::query
