// JSON Pointers (RFC 6901): "/tags/building/0".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace doppel::json {

// More segments than a document may be deep find nothing, so they are refused at once.
inline constexpr std::size_t kPointerSegmentsMax = 64;

class Pointer {
 public:
  Pointer() = default;  // the whole document
  explicit Pointer(std::vector<std::string> segments) : segments_(std::move(segments)) {}

  // `text` is empty or begins with '/'; "~0" stands for '~' and "~1" for '/'. invalid_argument
  // else.
  static Result<Pointer> parse(std::string_view text);

  std::string to_string() const;  // escaped again
  std::span<const std::string> segments() const { return segments_; }
  bool is_root() const { return segments_.empty(); }
  bool operator==(const Pointer&) const = default;

 private:
  std::vector<std::string> segments_;
};

// What `pointer` names in `document`, or null. The mutable one does not create anything.
const Value* find(const Value& document, const Pointer& pointer);
Value* find(Value& document, const Pointer& pointer);
Value* find(Value& document, std::span<const std::string> segments);

// "0", "17", but not "01", "-1" or "-" (RFC 6901 section 4).
std::optional<std::size_t> parse_array_index(std::string_view segment);

}  // namespace doppel::json
