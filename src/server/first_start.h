// What an empty server begins with, wired as the integration guide says: a resource group with a
// hub, a DPS that is linked to it and has an enrollment group with custom allocation, a Digital
// Twins instance with the sample's models, an event namespace with `lifecycleevents` and
// `deviceevents`, routes to them, and the function app.
#pragma once

#include <string>

#include "base/result.h"
#include "base/task.h"
#include "cli/profile.h"
#include "provisioning/api.h"
#include "resources/api.h"
#include "twins/api.h"

namespace doppel::server {

inline constexpr std::string_view kGroupName = "doppel";
inline constexpr std::string_view kHubName = "hub1";
inline constexpr std::string_view kDpsName = "dps1";
inline constexpr std::string_view kTwinsName = "twins1";
inline constexpr std::string_view kEventSpaceName = "events1";
inline constexpr std::string_view kFunctionAppName = "functions1";
inline constexpr std::string_view kEnrollmentGroupName = "thermostats";

struct FirstStart {
  resources::Resources& resources;
  provisioning::Provisioning& provisioning;
  twins::TwinGraphs& twins;
  std::string https_authority;  // "localhost" or "localhost:8443", for URLs
};

// Makes what is missing of it; what is there is left alone, so a start that was interrupted is
// finished by the next. Yields the administrator's credential when one was made now (it is shown
// only once), else an empty one.
Task<Result<resources::Credential>> make_first_resources(FirstStart start);

// Whether the first start has been finished before. Deleting the group later does not bring it
// back.
Task<Result<bool>> is_first_start(store::Store& store);
Task<Status> mark_started(store::Store& store);

}  // namespace doppel::server
