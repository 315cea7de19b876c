// Paths of certificates: from a device's leaf, over links that the device sent or that are stored,
// to a certificate that somebody decided to trust. The cryptography and the rules of RFC 5280 are
// OpenSSL's; here is what is asked of it, at whose clock, and a refusal in words.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "security/certificate.h"

namespace doppel::security {

inline constexpr std::size_t kPathMax = 10;  // certificates between leaf and anchor; ours
inline constexpr int kRsaBitsMin = 2048;     // NIST SP 800-57: 112 bits of security
inline constexpr int kEcBitsMin = 256;

// Why a certificate is not believed.
struct PathProblem {
  enum class Kind : std::uint8_t {
    no_path,  // nothing leads from the leaf to an anchor: all else is about a path that was found
    expired,
    not_yet_valid,
    weak_key,
    weak_signature,
    not_a_ca,
    wrong_purpose,
    name_constraint,
    too_long,
    other,
  };
  Kind kind = Kind::other;
  std::string subject;  // of the certificate that is wrong
  std::string text;     // a sentence that names the certificate and what is wrong with it
};
std::string_view to_string(PathProblem::Kind kind);  // "expired", ...: for info maps and counters

// Valid at `now`, with a key that is strong enough. All that is asked of a certificate that is
// known by itself.
std::optional<PathProblem> check_alone(const Certificate& certificate, TimePoint now);

// The path from `leaf` to one of `anchors` over certificates of `links`, leaf and anchor included.
// Asked of every certificate on it: signatures (no SHA-1 or MD5 below the anchor), validity at
// `now`, key sizes, the CA's rights, path lengths, name constraints, critical extensions; of the
// leaf also that it may serve a TLS client. The anchor needs no issuer. Cost: one signature check a
// step.
std::expected<std::vector<Certificate>, PathProblem> verify_path(
    const Certificate& leaf, std::span<const Certificate> links,
    std::span<const Certificate> anchors, TimePoint now);

// Whether names and key identifiers say that `issuer` signed `subject`; no signature is checked.
bool claims_issuer(const Certificate& subject, const Certificate& issuer);

// Whether `certificate` is signed by `issuer`'s key, whatever else they say.
bool is_signed_by(const Certificate& certificate, const Certificate& issuer);

}  // namespace doppel::security
