// What an identity may look like, and what the hub adds to it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "hub/api.h"

namespace doppel::hub {

inline constexpr std::size_t kModulesPerDeviceMax = 50;
inline constexpr std::size_t kStatusReasonSizeMax = 128;  // characters; iot-hub.md section 6

// At most 128 letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '. Device and module IDs alike.
bool is_valid_device_id(std::string_view id);

// IDs, keys (base64 of 16 to 64 bytes), thumbprints (hex of SHA-1 or SHA-256). Errors:
// ArgumentInvalid.
Status check_identity(const Identity& identity);

// Makes the keys that are missing: a new device's, or those of a device that changes to keys.
void complete_keys(Authentication& authentication, Random& random);

// What an identity is authenticated by after an update or a repeated registration: `wanted`, with
// keys left empty taken from `current`.
Authentication merged_authentication(const Authentication& current, Authentication wanted);
bool same_authentication(const Authentication& a, const Authentication& b);

// base64 of a short decimal number, as Azure's device etags are.
Etag random_etag(Random& random);
// Decimal ticks: the second of `now`, the rest from `commits`, the version a creating transaction
// read at, and the device's ID. A device deleted and made again in one second has another, because
// the delete was a commit; devices made at the same moment differ by their IDs.
GenerationId make_generation(TimePoint now, std::uint64_t commits, const DeviceId& device);

// `if_match`: empty, *, "*", etag or "etag".
bool etag_matches(std::string_view if_match, std::string_view etag);
bool is_unconditional(std::string_view if_match);

std::string_view to_string(DeviceStatus status);
std::string_view to_string(AuthenticationType type);

}  // namespace doppel::hub
