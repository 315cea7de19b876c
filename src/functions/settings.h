// What a function app works with, read from its app settings as Azure keeps them (resources/): the
// sample's names where it has them, ours beside.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "resources/api.h"

namespace doppel::functions {

// What DpsAdtAllocationFunc does when a device names another model than its digital twin has.
enum class OnModelChange : std::uint8_t { keep, replace, fail };

// The sample falls back to this model when neither the device nor its digital twin names one.
inline constexpr std::string_view kSampleModel = "dtmi:contosocom:DigitalTwins:Thermostat;1";

struct AppSettings {
  TwinsInstanceName instance;                              // that ADT_SERVICE_URL names
  Dtmi default_model{kSampleModel};                        // DEFAULT_MODEL_ID; empty: refuse
  OnModelChange on_model_change = OnModelChange::replace;  // ON_MODEL_CHANGE, as the sample does
  std::vector<HubName> hubs;  // IOTHUB_NAMES, separated by commas; empty: all of the group
};

// Errors: invalid_argument naming the setting and what it may hold.
Result<AppSettings> read_settings(const resources::FunctionApp& app,
                                  const resources::Catalog& catalog);

}  // namespace doppel::functions
