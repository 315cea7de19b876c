#include "json/reader.h"

#include <cmath>
#include <vector>

#include <simdjson.h>

#include "base/check.h"
#include "base/encoding.h"

namespace doppel::json {
namespace {

namespace dom = simdjson::dom;

// simdjson counts the document itself as a level.
constexpr std::size_t kDepth = ParseLimits{}.depth_max + 1;
constexpr std::size_t kSizeMax = ParseLimits{}.size_max;
// A parser keeps about six times the text; those of large bodies are not kept.
constexpr std::size_t kKeptCapacityMax = 64 * 1024;
constexpr std::size_t kFirstCapacity = 1024;
constexpr std::size_t kKeptParsersMax = 4;  // a thread

// simdjson lets a lone low surrogate through, json::parse does not.
bool may_have_surrogates(std::string_view text) {
  for (auto at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', at + 2)) {
    const auto rest = text.substr(at);
    if (rest.size() > 2 && rest[1] == 'u' && (rest[2] | 0x20) == 'd') return true;
  }
  return false;
}

// Whether some number may have more digits than every double keeps (strings of digits count too).
bool may_have_long_numbers(std::string_view text) {
  constexpr int kDigits = 15;
  int run = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      if (++run > kDigits) return true;
    } else if (c != '.') {
      run = 0;
    }
  }
  return false;
}

bool has_name(std::string_view key, std::string_view name, NameCase name_case) {
  return key == name || (name_case == NameCase::ignored && equal_ignoring_case(key, name));
}

std::optional<dom::element> find_member(const dom::object& object, std::string_view name,
                                        NameCase name_case) {
  std::optional<dom::element> found;
  bool is_exact = false;
  for (const auto member : object) {
    if (!has_name(member.key, name, name_case)) continue;
    const bool exact = member.key == name;
    if (exact || !is_exact) found = member.value;
    is_exact = is_exact || exact;
  }
  return found;
}

std::optional<dom::element> find_element(dom::element place, std::span<const PathStep> path,
                                         NameCase name_case) {
  for (const auto& step : path) {
    if (step.is_index) {
      if (!place.is_array()) return std::nullopt;
      if (place.get_array().value_unsafe().at(step.index).get(place)) return std::nullopt;
      continue;
    }
    if (!place.is_object()) return std::nullopt;
    const auto member = find_member(place.get_object().value_unsafe(), step.name, name_case);
    if (!member) return std::nullopt;
    place = *member;
  }
  return place;
}

Found describe(const dom::element& element) {
  using Kind = Found::Kind;
  switch (element.type()) {
    case dom::element_type::NULL_VALUE:
      return {.kind = Kind::null};
    case dom::element_type::BOOL:
      return {.kind = Kind::boolean, .boolean = element.get_bool().value_unsafe()};
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return {.kind = Kind::number, .number = element.get_double().value_unsafe()};
    case dom::element_type::STRING:
      return {.kind = Kind::string, .text = element.get_string().value_unsafe()};
    case dom::element_type::ARRAY:
      return {.kind = Kind::array};
    case dom::element_type::OBJECT:
      return {.kind = Kind::object};
  }
  return {};
}

Found describe(const Value& value) {
  using Kind = Found::Kind;
  if (is_number(value)) return {.kind = Kind::number, .number = to_double(value)};
  if (const auto* text = value.if_string()) return {.kind = Kind::string, .text = view(*text)};
  if (const auto* boolean = value.if_bool()) return {.kind = Kind::boolean, .boolean = *boolean};
  if (value.is_object()) return {.kind = Kind::object};
  if (value.is_array()) return {.kind = Kind::array};
  return {.kind = Kind::null};
}

// A scalar as a Value if that is exact without another look at the text.
std::optional<Value> exact_scalar(const dom::element& element, std::string_view text) {
  switch (element.type()) {
    case dom::element_type::NULL_VALUE:
      return Value(nullptr);
    case dom::element_type::BOOL:
      return Value(element.get_bool().value_unsafe());
    case dom::element_type::INT64:
      if (element.get_int64().value_unsafe() == 0) return std::nullopt;  // may have been -0
      return Value(element.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return Value(element.get_uint64().value_unsafe());
    case dom::element_type::DOUBLE: {
      constexpr double kNormalMin = 1e-290;  // below, doubles begin to lose digits
      const double number = element.get_double().value_unsafe();
      if (std::abs(number) < kNormalMin || may_have_long_numbers(text)) return std::nullopt;
      return Value(number);
    }
    case dom::element_type::STRING: {
      const auto string = element.get_string().value_unsafe();
      return Value(boost::json::string_view(string.data(), string.size()));
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

struct FastDocument::State {
  dom::parser parser;
  dom::element root;
  std::string_view text;
  std::optional<Value> exact;  // instead of `root` if simdjson refused; else made when asked for
  bool is_exact_only = false;
};

namespace {
// One per thread; a plain vector's destructor at thread exit is all the clean-up needed.
template <class State>
std::vector<std::unique_ptr<State>>& kept_states() {
  thread_local std::vector<std::unique_ptr<State>> states;
  return states;
}
}  // namespace

FastDocument::FastDocument(std::unique_ptr<State> state) : state_(std::move(state)) {}
FastDocument::FastDocument(FastDocument&&) noexcept = default;
FastDocument::~FastDocument() { give_back(std::move(state_)); }

FastDocument& FastDocument::operator=(FastDocument&& other) noexcept {
  if (this != &other) {
    give_back(std::move(state_));
    state_ = std::move(other.state_);
  }
  return *this;
}

void FastDocument::give_back(std::unique_ptr<State> state) {
  if (!state || state->parser.capacity() > kKeptCapacityMax) return;
  auto& kept = kept_states<State>();
  if (kept.size() >= kKeptParsersMax) return;
  state->exact.reset();
  kept.push_back(std::move(state));
}

std::optional<FastDocument> FastDocument::parse(std::string_view text) {
  if (text.size() > kSizeMax) return std::nullopt;
  auto& kept = kept_states<State>();
  std::unique_ptr<State> state;
  if (!kept.empty()) {
    state = std::move(kept.back());
    kept.pop_back();
  } else {
    state = std::make_unique<State>();
    if (state->parser.allocate(kFirstCapacity, kDepth)) return std::nullopt;
  }
  // A larger document makes simdjson grow by itself, but it forgets the depth then.
  if (state->parser.capacity() < text.size() && state->parser.allocate(text.size(), kDepth)) {
    return std::nullopt;
  }
  state->text = text;
  state->is_exact_only =
      may_have_surrogates(text) || state->parser.parse(text.data(), text.size()).get(state->root);
  if (state->is_exact_only) {
    // Either it is no JSON, or it has a number beyond 64 bits.
    auto exact = json::parse(text);
    if (!exact) {
      give_back(std::move(state));
      return std::nullopt;
    }
    state->exact = std::move(*exact);
  }
  return FastDocument(std::move(state));
}

Found FastDocument::find(std::span<const PathStep> path, NameCase name_case) const {
  check(state_ != nullptr, "a document that was moved from is not asked");
  if (state_->is_exact_only) {
    const auto* value = json::find(*state_->exact, path, name_case);
    return value ? describe(*value) : Found{};
  }
  const auto element = find_element(state_->root, path, name_case);
  return element ? describe(*element) : Found{};
}

std::optional<Value> FastDocument::value(std::span<const PathStep> path, NameCase name_case) const {
  check(state_ != nullptr, "a document that was moved from is not asked");
  if (!state_->is_exact_only) {
    const auto element = find_element(state_->root, path, name_case);
    if (!element) return std::nullopt;
    if (auto scalar = exact_scalar(*element, state_->text)) return scalar;
  }
  if (!state_->exact) {
    auto exact = json::parse(state_->text);
    if (!exact) return std::nullopt;
    state_->exact = std::move(*exact);
  }
  const auto* value = json::find(*state_->exact, path, name_case);
  return value ? std::optional<Value>(*value) : std::nullopt;
}

}  // namespace doppel::json
