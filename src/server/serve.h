// `doppel serve`: a server in the foreground until SIGTERM or SIGINT.
#pragma once

#include "server/options.h"

namespace doppel::server {

// Returns the exit status.
int serve(ServeOptions options);

}  // namespace doppel::server
