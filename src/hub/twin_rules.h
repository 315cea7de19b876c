// What may stand in a device twin: names, values, depth and sizes (reference: Azure IoT Hub,
// "Understand and use device twins", section "Device twin properties"). Pure checks; nothing here
// changes a twin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace doppel::hub {

inline constexpr std::size_t kTagsSizeMax = 8 * 1024;         // as section_size() counts
inline constexpr std::size_t kPropertiesSizeMax = 32 * 1024;  // desired and reported, each
inline constexpr std::size_t kTwinKeySizeMax = 1024;          // bytes
inline constexpr std::size_t kTwinStringSizeMax = 4 * 1024;   // bytes
inline constexpr int kTwinDepthMax = 10;                      // names on the way to a value
inline constexpr std::int64_t kTwinIntegerMin = -4503599627370496;
inline constexpr std::int64_t kTwinIntegerMax = 4503599627370495;

enum class TwinSection : std::uint8_t { tags, desired, reported };
std::string_view to_string(TwinSection section);

// Whether `patch` may be merged into (or become) a section. `$version` and `$metadata` at the top
// are not looked at: SDKs send back what they were given, and writers drop them. Errors:
// ArgumentInvalid, naming the offending path.
Status check_twin_patch(TwinSection section, const json::Object& patch);

// The size of a section as its limit counts it: names and strings by characters without control
// characters, numbers 8, booleans 4.
std::size_t section_size(const json::Object& section);

// Whether a section may grow from one size to another: over the limit it may only shrink.
Status check_section_growth(TwinSection section, std::size_t before, std::size_t after);

}  // namespace doppel::hub
