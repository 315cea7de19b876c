// The condition of a route, over a message's properties (iot-hub.md section 10.3).
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "events/api.h"

namespace doppel::hub {

// What a condition may look at.
struct RoutedEvent {
  const events::Event& event;
};

class RouteCondition {
 public:
  // Errors: ArgumentInvalid, with the place.
  static Result<RouteCondition> parse(std::string_view text);
  // Undefined counts as false.
  bool matches(const RoutedEvent& event) const;

 private:
  bool always_ = true;
};

}  // namespace doppel::hub
