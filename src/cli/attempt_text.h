// An attempt to provision, as `iot dps trace` and `iot dps explain` print it for people.
#pragma once

#include <string>

#include "json/value.h"

namespace doppel::cli {

// `attempt`: one of the list that GET /registrations/{id}/trace answers with. Several lines.
std::string attempt_text(const json::Value& attempt);

}  // namespace doppel::cli
