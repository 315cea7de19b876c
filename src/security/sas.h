// Shared access signatures: the tokens that devices, services and Event Hubs clients prove a key
// with. Pure checks. The rules and who uses which key: reference table "SAS tokens" in
// docs/wire/sas.md.
//
//   SharedAccessSignature sr={resource}&sig={signature}&se={unix seconds}[&skn={key name}]
//
// Fields come in any order. What is signed is the *literal* text of `sr` as it stands in the token,
// a line feed and the text of `se`: encoders differ (%2F, %2f, raw), so re-encoding would break
// good tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace doppel::security {

inline constexpr std::size_t kSasTokenSizeMax = 4096;  // bytes; real ones have 150 to 300
inline constexpr Duration kSasSkew =
    std::chrono::minutes(5);  // grace after `se`, for clocks that differ
inline constexpr std::string_view kSasScheme = "SharedAccessSignature ";

// A token taken apart, nothing proven yet.
struct SasToken {
  std::string signed_text;     // literal sr + '\n' + literal se
  std::string resource;        // sr, percent-decoded
  std::string signature;       // raw bytes
  std::int64_t expires_s = 0;  // Unix seconds
  std::string key_name;        // skn, decoded; empty when absent or empty

  // Far-off times are cut to what a TimePoint can hold (year 2255).
  TimePoint expires() const {
    constexpr std::int64_t kMax = 9'000'000'000;
    return TimePoint(std::chrono::seconds(expires_s < kMax ? expires_s : kMax));
  }
};

// How a key's text becomes the HMAC key: IoT Hub and DPS keys are base64, Event Hubs takes the text
// itself.
enum class KeyForm : std::uint8_t { base64, text };

// Errors: unauthenticated, with the reason for the log.
Result<SasToken> parse_sas(std::string_view text);

// Whether `token` was signed with `key` and is not expired at `now` (`skew` later is still fine).
// Constant time in the key and signature. An empty key or one that is not base64 (KeyForm::base64)
// never verifies. Errors: unauthenticated. Cost: about 1 us.
Status verify_sas(const SasToken& token, std::string_view key, KeyForm form, TimePoint now,
                  Duration skew = kSasSkew);
// The same for a primary and a secondary key, either of which may be empty.
Status verify_sas(const SasToken& token, std::string_view primary, std::string_view secondary,
                  KeyForm form, TimePoint now, Duration skew = kSasSkew);

// What a token is for: `sr` without scheme ("sb://", "https://", "amqps://") and port.
struct SasResource {
  std::string host;                   // lower case
  std::vector<std::string> segments;  // of the path, case as sent; no empty ones
};
// `decoded` is SasToken::resource. Never fails: odd texts give a resource that covers nothing real.
SasResource sas_resource(std::string_view decoded);

// Whether a token for `granted` opens `path` (segments, compared with case) on a host that the
// caller has already matched: `granted`'s path is a prefix of it, whole segments only. One trailing
// segment "api-version=..." of the token is ignored (an old VS Code tool made such tokens).
bool covers(const SasResource& granted, const std::vector<std::string_view>& path);

// Makes a token, as clients do. `resource` is not encoded yet; `key_name` may be empty (then left
// out).
Result<std::string> make_sas(std::string_view resource, std::string_view key, KeyForm form,
                             std::string_view key_name, TimePoint expires);

// The key of one device of an enrollment group: base64(HMAC-SHA256(base64-decoded group key,
// registration id)). Errors: invalid_argument when the group key is not base64.
Result<std::string> derive_device_key(std::string_view group_key, std::string_view registration_id);

// 32 raw bytes. A per-thread MAC context makes it cheap (0.8 us). Any thread.
std::string hmac_sha256(std::string_view key, std::string_view text);

}  // namespace doppel::security
