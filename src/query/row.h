// What an expression is asked about: a device twin, a message, a digital twin.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "json/path.h"
#include "query/value.h"

namespace doppel::query {

// Which of a row's worlds a path starts in.
enum class Scope : std::uint8_t {
  document,         // twin queries: tags.a, deviceId
  property,         // routing: a message's application property, one step
  dollar_property,  // routing: $name, the application property "$name" or the system property
                    // "name"
  system,           // routing: {$name}, a system property only
  body,             // routing: $body.a.b
  twin,             // routing: $twin.tags.a, of the sender
  change,           // routing: twin_change_includes(properties.reported.a)
};

struct Path {
  Scope scope = Scope::document;
  std::span<const json::PathStep> steps = {};  // none: the whole row
  std::string_view text = {};                  // as the user wrote it
  std::string_view name = {};                  // its last name as the user wrote it
};

class Row {
 public:
  virtual ~Row() = default;

  // What `path` names, or undefined. Views in the answer live as long as the row. The `steps` of a
  // dollar_property and of a system property have no '$'. For Scope::change: whether the change
  // that this message tells about touches the path (any defined value says so).
  virtual Value lookup(const Path& path) const = 0;
};

// A document as a row of Scope::document; names are compared exactly.
class JsonRow final : public Row {
 public:
  explicit JsonRow(const json::Value& document) : document_(document) {}

  Value lookup(const Path& path) const override {
    if (path.scope != Scope::document) return {};
    const auto* value = json::find(document_, path.steps);
    return value ? Value::of(*value) : Value{};
  }

 private:
  const json::Value& document_;
};

}  // namespace doppel::query
