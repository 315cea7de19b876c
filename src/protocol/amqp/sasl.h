// SASL mechanisms as AMQP carries them (part 5, section 5.3): which we announce, and the responses
// of those that need no rounds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/amqp/service.h"

namespace doppel::amqp {

// Announced before we know who calls, so all that any client of any service may want: .NET Event
// Hubs takes MSSBCBS only (which is ANONYMOUS by another name), DPS devices with a TPM take TPM.
inline constexpr std::array<std::string_view, 5> kSaslMechanisms = {"MSSBCBS", "PLAIN", "ANONYMOUS",
                                                                    "EXTERNAL", "TPM"};

// The specification's limit for frames before open is 512 bytes; tokens in PLAIN do not fit into
// it.
inline constexpr std::uint32_t kSaslFrameBytesMax = 16 * 1024;
// Rounds of a mechanism before we lose patience: a TPM's key comes in segments of some hundred
// bytes.
inline constexpr int kSaslRoundsMax = 64;

// "authzid NUL authcid NUL password" (RFC 4616).
std::optional<PlainCredentials> parse_plain(std::string_view response);
std::string plain_response(const PlainCredentials& credentials);

}  // namespace doppel::amqp
