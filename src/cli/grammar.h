// The command line itself: parses the words, finds the command, runs it, prints. The only file that
// includes the argument parser (it is slow to compile).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {

// A command that is no row of the tables: serve, env, backup, simulate.
struct Program {
  std::string name;
  std::string summary;
  std::vector<Option> options;
  std::function<int(const Arguments&)> run;
};

// Runs `argv`. Exit status: 0 fine, 1 the server refused or could not be reached, 2 the command
// line is wrong, 3 not found (as az has it). `connect` makes the session from the data directory
// that --data-dir names.
int run(int argc, const char* const* argv, const std::vector<Program>& programs,
        const std::function<Result<Session>(const std::string& data_dir)>& connect);

}  // namespace doppel::cli
