#include "hub/route_condition.h"

#include "base/encoding.h"
#include "errors/hub.h"

namespace doppel::hub {

Result<RouteCondition> RouteCondition::parse(std::string_view text) {
  RouteCondition condition;
  if (text == "true" || text.empty()) return condition;
  return fail(errors::hub::kArgumentInvalid, "The condition is not understood.");
}

bool RouteCondition::matches(const RoutedEvent&) const { return always_; }

}  // namespace doppel::hub
