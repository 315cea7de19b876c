// X.509 certificates: read from text or taken from a TLS handshake, and what the rest of the server
// wants to know of one. Whether to believe one is certificate_path.h's business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

// OpenSSL's certificate and list of them, opaque here.
struct x509_st;
struct stack_st_X509;

namespace doppel::security {

inline constexpr std::size_t kCertificateSizeMax =
    16 * 1024;                                    // bytes of DER; ours, common: 1-2 KiB
inline constexpr std::size_t kPresentedMax = 10;  // certificates beside the leaf; ours, common: 1-3
inline constexpr std::size_t kPresentedBytesMax = 64 * 1024;  // of DER, all of them; ours

enum class KeyKind : std::uint8_t { rsa, ec, ed25519, ed448, other };

// A certificate that can be read. Never changes; cheap to copy, any thread may use copies.
class Certificate {
 public:
  // PEM text with exactly one certificate, the bare base64 of its DER, or base64 of the PEM text
  // (as `az iot dps certificate create` sends it). Errors: invalid_argument, with what is wrong in
  // words for whoever wrote it.
  static Result<Certificate> parse(std::string_view text);
  // PEM text with one certificate after the other, at most `most`. Errors: as parse.
  static Result<std::vector<Certificate>> parse_chain(std::string_view text, std::size_t most);
  // Exactly the bytes of one certificate. Errors: as parse.
  static Result<Certificate> from_der(std::string_view der);
  // Another owner of a certificate that OpenSSL has read, e.g. in a handshake; not null.
  static Certificate share(x509_st* certificate);

  x509_st* get() const;  // for OpenSSL's functions that do not change it
  const std::string& der() const;
  const std::string& sha256() const;  // of the DER, 64 hex digits in lower case
  std::string sha1() const;           // 40
  std::string pem() const;

  // The subject's only common name; nothing when it has none or several.
  std::optional<std::string> common_name() const;
  std::string subject() const;  // "CN=device-1, O=Contoso", as .NET writes names
  std::string issuer() const;
  // Names that RFC 5280 takes for equal have the same; others nearly never.
  std::uint32_t subject_hash() const;
  std::uint32_t issuer_hash() const;
  std::string serial_number() const;  // hex, upper case
  int version() const;                // 1 to 3

  // Seconds since 1970; certificates may end long after what a TimePoint can hold.
  std::int64_t not_before_s() const;
  std::int64_t not_after_s() const;
  std::string not_before() const;  // "2026-11-24T22:33:28Z"
  std::string not_after() const;

  bool may_sign_certificates() const;  // a CA by its own words
  bool is_self_issued() const;         // subject and issuer are the same
  KeyKind key_kind() const;
  int key_bits() const;

  bool operator==(const Certificate& other) const { return der() == other.der(); }

 private:
  struct Data;
  explicit Certificate(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

// What a peer showed in its handshake, unverified but for the leaf's key.
struct PresentedChain {
  Certificate leaf;
  std::vector<Certificate> others{};  // in the order they came
  bool is_cut = false;                // there were more than our limits allow; `others` is empty
};

// Shares what OpenSSL holds of a connection; null when `leaf` is. `chain` may be null, and may
// begin with the leaf.
std::shared_ptr<const PresentedChain> presented(x509_st* leaf, stack_st_X509* chain);

}  // namespace doppel::security
