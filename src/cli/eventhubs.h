// What the commands of `doppel eventhubs` share: where things are, and how they are shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "cli/session.h"
#include "json/value.h"

namespace doppel::cli {

inline constexpr std::string_view kEventSpaceType = "Microsoft.EventHub/namespaces";

// The event namespace that `option` names, else the profile's.
Result<std::string> event_space_path(Session& session, const Arguments& args,
                                     std::string_view option);

// An ARM document as `az eventhubs` prints it: the members of `properties` beside the others, where
// the commands of other services leave them inside.
json::Value flattened(json::Value document);

// Sends and flattens. A "not found" also says which command shows what there is: `shown_by`, empty
// for none.
Result<Output> send_flattened(Session& session, const Session::Call& call,
                              const std::string& shown_by);
// The same for a list of a type, with all pages.
Result<Output> list_flattened(Session& session, const std::string& path,
                              const std::string& shown_by);
// A deletion. Nothing is printed.
Result<Output> send_delete(Session& session, const std::string& path, const std::string& shown_by);

// The whole number that an option holds; nothing when it was left out. Errors: invalid_argument.
Result<std::optional<std::int64_t>> number_of(const Arguments& args, std::string_view option);

// Puts the option's number, if it has one, into `object`.
Status add_number(const Arguments& args, std::string_view option, json::Object& object,
                  std::string_view member);

// "--tags a=b c": a pair each; without '=' the value is empty. "--tags ''" removes all.
json::Object tags_of(const Arguments& args);

}  // namespace doppel::cli
