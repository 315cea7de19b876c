// The bytes of an identity in the store (docs/wire/hub-records.md): no JSON, because every connect
// reads one. Keys are sealed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "hub/api.h"
#include "security/secrets.h"

namespace doppel::hub {

// `key` is the record's own key in the store; what is sealed opens only there.
std::string encode_identity(const Identity& identity, std::string_view key,
                            const security::SecretBox& box);
// The IDs are not in the record; they are given by whoever made the key. Errors: internal.
Result<Identity> decode_identity(std::string_view record, std::string_view key, DeviceId device,
                                 ModuleId module, const security::SecretBox& box);

// What a follower of commits needs to know, without opening anything.
struct IdentityHead {
  DeviceStatus status = DeviceStatus::enabled;
  std::string_view generation;
};
// A record that is none reads as disabled, without a generation.
IdentityHead peek_identity(std::string_view record);

}  // namespace doppel::hub
