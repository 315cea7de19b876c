// Certificate signing requests made on the spot, for tests. Not part of the product.
#pragma once

#include <string>
#include <vector>

#include "security/certificate_testing.h"

namespace doppel::security::testing {

struct RequestSpec {
  std::vector<std::string> common_names{"dev"};
  const char* curve = "P-256";  // null: RSA
  unsigned rsa_bits = 2048;
};

// DER of a request, as clients send it in base64.
inline std::string make_request(const RequestSpec& spec, std::shared_ptr<EVP_PKEY> key = nullptr) {
  if (!key) {
    CertificateSpec wanted;
    wanted.curve = spec.curve;
    wanted.rsa_bits = spec.rsa_bits;
    key = make_key(wanted);
  }
  const std::unique_ptr<X509_REQ, void (*)(X509_REQ*)> made(X509_REQ_new(), X509_REQ_free);
  X509_NAME* const subject = X509_REQ_get_subject_name(made.get());
  for (const auto& name : spec.common_names) add_text(subject, NID_commonName, name);
  X509_REQ_set_pubkey(made.get(), key.get());
  const bool has_own_digest = EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519;
  check(X509_REQ_sign(made.get(), key.get(), has_own_digest ? nullptr : EVP_sha256()) > 0,
        "OpenSSL signs");
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_REQ(made.get(), &bytes);
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace doppel::security::testing
