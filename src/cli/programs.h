// The commands that are no request to a resource: `env` and `backup`.
#pragma once

#include <functional>

#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {

using Connect = std::function<Result<Session>(const std::string& data_dir)>;

// Prints shell lines with everything that clients of this server are usually told: `eval "$(doppel
// env)"`. Fails, and prints nothing to evaluate, until the server is ready. Returns an exit status.
int print_environment(const Arguments& args, const Connect& connect);

int back_up(const Arguments& args, const Connect& connect);

// A value as a POSIX shell word.
std::string shell_quote(std::string_view text);

}  // namespace doppel::cli
