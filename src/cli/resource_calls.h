// What the commands of several resource types share: creating, showing and listing a resource of
// the resource manager, and turning answers into what is printed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "cli/session.h"
#include "json/value.h"

namespace doppel::cli {

inline const Option kGroupOption{.names = "--resource-group,-g",
                                 .help = "Resource group (default: the one of the profile)"};
inline const Option kEtagOption{.names = "--etag,-e", .help = "Only if the etag is still this one"};

// `type`: "Microsoft.Devices/IotHubs"; `option`: the one that names the resource.
Result<Output> create_resource(Session& session, const Arguments& args, std::string_view type,
                               std::string_view option, json::Object body);
// `fallback`: the profile's, for when the option is left out.
Result<Output> show_resource(Session& session, const Arguments& args, std::string_view type,
                             std::string_view option, const std::string& fallback);
// Those of the resource group, or of the subscription when none is given.
Result<Output> list_resources(Session& session, const Arguments& args, std::string_view type);

// Sends and prints all pages of a list.
Result<Output> send_list(Session& session, const Session::Call& call);
// Sends and prints nothing, as for deletions.
Result<Output> send_quietly(Session& session, const Session::Call& call);

}  // namespace doppel::cli
