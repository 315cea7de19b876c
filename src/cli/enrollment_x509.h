// The options of `iot dps enrollment` and `enrollment-group` that name certificates, as az has
// them.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "json/value.h"

namespace doppel::cli {

std::vector<Option> x509_options(bool is_group);

// The attestation that the options mean; nothing when none of them is given. Errors: as
// read_certificate_file; invalid_argument for certificates and CA names at once.
Result<std::optional<json::Object>> x509_attestation(const Arguments& args, bool is_group);

}  // namespace doppel::cli
