// The CLI's way to a server: blocking HTTPS over net's client, trusting the CA of the profile.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/session.h"

namespace doppel::cli {

// The session of the server whose data directory this is.
Result<Session> connect(const std::string& data_dir);
Result<Session> connect(Profile profile);

}  // namespace doppel::cli
