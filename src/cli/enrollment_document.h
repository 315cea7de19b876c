// From the options of `iot dps enrollment create|update` to the document that the service takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "json/value.h"

namespace doppel::cli {

enum class EnrollmentSort : std::uint8_t { individual, group };

// What both verbs take, but for the ID.
std::vector<Option> enrollment_options(EnrollmentSort sort);

// Lays the options over `enrollment`: what the service showed, or a document with the ID only,
// which then gets its attestation: as --attestation-type says, else as the other options suggest,
// else by symmetric keys. Errors: invalid_argument, naming the option.
Status apply_enrollment_options(json::Object& enrollment, const Arguments& args,
                                EnrollmentSort sort);

}  // namespace doppel::cli
