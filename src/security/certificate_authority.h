// Making certificates for devices: a signing request (PKCS#10) is checked, a CA that we hold the
// key of signs an answer (dps.md section 9). Nothing of the request but its key enters the
// certificate.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "security/certificate.h"

struct evp_pkey_st;

namespace doppel::security {

inline constexpr std::size_t kCommonNameMax = 64;         // characters; RFC 5280, ub-common-name
inline constexpr std::size_t kRequestSizeMax = 8 * 1024;  // bytes of DER; ours, common: 0.3-1 KiB

// A signing request whose sender holds its key. Never changes; cheap to copy.
class CertificateRequest {
 public:
  // base64 of DER without PEM lines, as the SDKs send it. Errors: invalid_argument, in words for
  // the sender: size, form, signature, a weak key.
  static Result<CertificateRequest> parse(std::string_view base64);
  static Result<CertificateRequest> from_der(std::string_view der);

  // The subject's only common name; nothing when it has none or several.
  std::optional<std::string> common_name() const;
  // Whether `certificate` is for this request's key.
  bool has_key_of(const Certificate& certificate) const;
  evp_pkey_st* key() const;
  std::string der() const;

 private:
  explicit CertificateRequest(std::shared_ptr<void> request) : request_(std::move(request)) {}
  std::shared_ptr<void> request_;
};

// A CA certificate with its private key. Any thread.
class CertificateAuthority {
 public:
  // A new one with a P-256 key, self-signed, for leaves alone.
  static CertificateAuthority make(std::string_view common_name, TimePoint now, Duration lifetime,
                                   Random& random);
  // Errors: invalid_argument (the key cannot be read or is another certificate's, or the
  // certificate is no CA).
  static Result<CertificateAuthority> load(Certificate certificate, std::string_view key_pem);

  const Certificate& certificate() const { return certificate_; }
  std::string key_pem() const;  // secret

  // A certificate with which a TLS client may show that it is `common_name` (1 to kCommonNameMax
  // characters), from a little before
  // `now` on, never longer than the CA's own. Cost: one signature.
  Certificate issue(const CertificateRequest& request, std::string_view common_name, TimePoint now,
                    Duration lifetime, Random& random) const;

 private:
  CertificateAuthority(Certificate certificate, std::shared_ptr<evp_pkey_st> key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  Certificate certificate_;
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace doppel::security
