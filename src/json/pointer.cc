#include "json/pointer.h"

#include <charconv>

namespace doppel::json {
namespace {

Result<std::string> unescape(std::string_view segment) {
  std::string plain;
  plain.reserve(segment.size());
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] != '~') {
      plain.push_back(segment[i]);
      continue;
    }
    ++i;
    if (i == segment.size() || (segment[i] != '0' && segment[i] != '1')) {
      return fail(Code::invalid_argument, "'~' in a JSON pointer must be followed by 0 or 1");
    }
    plain.push_back(segment[i] == '0' ? '~' : '/');
  }
  return plain;
}

}  // namespace

Result<Pointer> Pointer::parse(std::string_view text) {
  std::vector<std::string> segments;
  if (text.empty()) return Pointer{};
  if (!text.starts_with('/')) {
    return fail(Code::invalid_argument, "a JSON pointer is empty or begins with '/'");
  }
  while (!text.empty()) {
    text.remove_prefix(1);  // the slash
    const auto end = std::min(text.find('/'), text.size());
    auto segment = unescape(text.substr(0, end));
    if (!segment) return fail(segment.error());
    if (segments.size() == kPointerSegmentsMax) {
      return fail(Code::invalid_argument, "a JSON pointer has at most " +
                                              std::to_string(kPointerSegmentsMax) + " segments");
    }
    segments.push_back(std::move(*segment));
    text.remove_prefix(end);
  }
  return Pointer(std::move(segments));
}

std::string Pointer::to_string() const {
  std::string text;
  for (const auto& segment : segments_) {
    text.push_back('/');
    for (const char c : segment) {
      if (c == '~') {
        text.append("~0");
      } else if (c == '/') {
        text.append("~1");
      } else {
        text.push_back(c);
      }
    }
  }
  return text;
}

std::optional<std::size_t> parse_array_index(std::string_view segment) {
  if (segment.empty() || (segment.size() > 1 && segment[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), index);
  if (error != std::errc{} || end != segment.data() + segment.size()) return std::nullopt;
  return index;
}

Value* find(Value& document, std::span<const std::string> segments) {
  Value* place = &document;
  for (const auto& segment : segments) {
    if (auto* object = place->if_object()) {
      place = object->if_contains(segment);
    } else if (auto* array = place->if_array()) {
      const auto index = parse_array_index(segment);
      place = index && *index < array->size() ? &(*array)[*index] : nullptr;
    } else {
      place = nullptr;
    }
    if (!place) return nullptr;
  }
  return place;
}

Value* find(Value& document, const Pointer& pointer) { return find(document, pointer.segments()); }

const Value* find(const Value& document, const Pointer& pointer) {
  return find(const_cast<Value&>(document), pointer.segments());  // reads only
}

}  // namespace doppel::json
