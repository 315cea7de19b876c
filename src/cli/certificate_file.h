// Certificates named on the command line by their files.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace doppel::cli {

// The PEM text of a file with PEM or DER, as az takes `--path` and `--certificate-path`. `option`
// names the option in errors: not_found (file), invalid_argument (no certificate, or several).
Result<std::string> read_certificate_file(std::string_view option, const std::string& path);

// The text of a file with a private key, as it is: the server reads it. Errors: not_found.
Result<std::string> read_key_file(std::string_view option, const std::string& path);

}  // namespace doppel::cli
