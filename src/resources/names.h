// Which names resources may have. Sources: iot-hub.md 19, dps.md 7, digital-twins.md 9.4,
// event-hubs.md 10 of the reference; Azure's "naming rules and restrictions" for the rest.
#pragma once

#include <string_view>

#include "base/result.h"

namespace doppel::resources {

// Errors (errors/arm.h): InvalidResourceName or InvalidResourceGroup, with the rule that is broken.
Status check_group_name(std::string_view name);
Status check_resource_name(std::string_view type, std::string_view name);

}  // namespace doppel::resources
