// The models a new Digital Twins instance starts with: those the public integration sample works
// with (in our own words), and the first version of its thermostat, which the allocation function
// falls back to.
#pragma once

#include <string_view>

namespace doppel::server {

// A JSON array of DTDL v2 interfaces.
extern const std::string_view kDefaultModels;

}  // namespace doppel::server
