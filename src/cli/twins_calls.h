// What the commands for digital twins and for their relationships share.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "cli/session.h"
#include "json/value.h"

namespace doppel::cli {

inline const Option kTwinsInstanceOption{
    .names = "--dt-name,--dtn,-n",
    .help = "Digital Twins instance, by name or host name (default: the one of the profile)"};
inline const Option kPropertiesOption{.names = "--properties,-p", .help = "Values, JSON object"};
inline const Option kJsonPatchOption{.names = "--json-patch,--jp",
                                     .help = "JSON Patch: one operation or a list",
                                     .is_required = true};

// A request to the instance that the arguments name, else the profile's.
Result<Session::Call> twins_call(Session& session, const Arguments& args, std::string_view method,
                                 std::string path);

// The object of --properties; empty when it was left out. Errors: invalid_argument.
Result<json::Object> properties_of(const Arguments& args);

// PATCHes what lies at `path` with --json-patch, if its etag is that of --etag.
Status send_json_patch(Session& session, const Arguments& args, std::string path);

}  // namespace doppel::cli
