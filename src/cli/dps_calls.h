// What the commands of the provisioning service share.
#pragma once

#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/result.h"
#include "cli/command.h"
#include "cli/session.h"

namespace doppel::cli {

inline const Option kDpsOption{.names = "--dps-name,-n",
                               .help = "DPS (default: the one of the profile)"};
inline const Option kRegistrationOption{
    .names = "--registration-id,--rid", .help = "Registration ID", .is_required = true};

// A call to the service API of the DPS that the options name. `path` is escaped already.
inline Result<Session::Call> dps_call(Session& session, const Arguments& args,
                                      std::string_view method, std::string path) {
  auto host = session.dps_host(args);
  if (!host) return fail(std::move(host.error()));
  return Session::Call{.method = std::string(method),
                       .path = std::move(path),
                       .api_version = kDpsVersion,
                       .host = *std::move(host)};
}

// "/registrations/{id}" and what follows.
inline std::string registration_path(const Arguments& args, std::string_view rest = "") {
  return "/registrations/" + percent_encode(args.get("--registration-id")) + std::string(rest);
}

}  // namespace doppel::cli
