// `doppel simulate thermostat`: runs a fleet against a server, as its devices would.
#pragma once

#include <vector>

#include "cli/command.h"

namespace doppel::simulator {

std::vector<cli::Option> options();
// Returns the exit status: 0 when every device came through.
int run(const cli::Arguments& args);

}  // namespace doppel::simulator
