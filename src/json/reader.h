// Read-only look-ups in message bodies, for routing conditions and for telemetry on its way to a
// digital twin: simdjson parses about five times faster than json::parse and builds no tree.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "json/path.h"
#include "json/value.h"

namespace doppel::json {

struct Found {
  enum class Kind : std::uint8_t { missing, null, boolean, number, string, array, object };

  Kind kind = Kind::missing;
  bool boolean = false;
  double number = 0;           // the nearest one
  std::string_view text = {};  // of a string; lives as long as the document
};

// A parsed body. The text is validated as a whole, exactly as json::parse does it with its default
// depth: a body that is half a document must not match a route. (Only an
// exponent of more than 31 bits passes here and not there.) Of a repeated name the last counts.
//
// Several may be alive at a time. Not for use by two threads at once. Parsers are kept per thread
// and used again, so a small document costs no allocation.
class FastDocument {
 public:
  // `text` must outlive the document. Nothing if it is not one JSON document within the limits.
  static std::optional<FastDocument> parse(std::string_view text);

  FastDocument(FastDocument&&) noexcept;
  FastDocument& operator=(FastDocument&&) noexcept;
  ~FastDocument();

  Found find(std::span<const PathStep> path, NameCase name_case = NameCase::exact) const;

  // The value with its exact number, as json::parse would have it; nothing if it is missing. Costs
  // a parse of the whole text if a number of the text may have more digits than a double holds.
  std::optional<Value> value(std::span<const PathStep> path,
                             NameCase name_case = NameCase::exact) const;

 private:
  struct State;
  explicit FastDocument(std::unique_ptr<State> state);
  static void give_back(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace doppel::json
