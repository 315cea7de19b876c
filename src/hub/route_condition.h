// The condition of a route, over a message's properties, and the message as conditions see it
// (iot-hub.md section 10.3). The language is query/'s.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "events/api.h"
#include "json/value.h"
#include "query/condition.h"
#include "query/row.h"

namespace doppel::hub {

// An event as a row: application properties, system properties under their routing names
// ($messageId), and the JSON body, which is parsed once and only if a condition looks at it. One
// thread.
class RoutedEvent final : public query::Row {
 public:
  explicit RoutedEvent(const events::EventView& event) : event_(event) {}
  query::Value lookup(const query::Path& path) const override;

 private:
  query::Value application_property(std::string_view name) const;
  query::Value system_property(std::string_view name) const;
  query::Value in_body(const query::Path& path) const;
  const json::Value* body() const;

  const events::EventView& event_;
  mutable bool is_body_parsed_ = false;
  mutable std::optional<json::Value> body_;
};

class RouteCondition {
 public:
  // Errors: ArgumentInvalid, with line and column; a condition over $twin is refused as not
  // supported.
  static Result<RouteCondition> parse(std::string_view text);
  // Undefined counts as false.
  bool matches(const RoutedEvent& event) const {
    return condition_.is_always_true() || condition_.holds(event);
  }

 private:
  explicit RouteCondition(query::Condition condition) : condition_(std::move(condition)) {}
  query::Condition condition_;
};

}  // namespace doppel::hub
