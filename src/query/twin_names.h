// The dialect of IoT Hub twin queries and the names it knows.
#pragma once

#include <string_view>

#include "query/expression_parser.h"

namespace doppel::query {

// Paths lose a leading "devices.", "devices.modules." or "devices.jobs."; the fields of a twin are
// accepted in any case and come out as the twin spells them; "id" is deviceId (a .NET sample says
// so).
const Dialect& twin_dialect();

// Whether devices.jobs has such a field (spelled as it comes out of the parser).
bool is_job_field(std::string_view name);

}  // namespace doppel::query
