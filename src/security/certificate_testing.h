// Certificates made on the spot, for tests. Not part of the product.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/clock.h"
#include "security/certificate.h"

namespace doppel::security::testing {

struct CertificateSpec {
  std::vector<std::string> common_names{"device"};
  std::string organization{};
  bool is_ca = false;
  std::int64_t not_before_s = 946'684'800;   // 2000
  std::int64_t not_after_s = 4'102'444'800;  // 2100
  const char* curve = "P-256";               // null: RSA
  unsigned rsa_bits = 2048;
  const char* digest = "SHA256";
  std::vector<std::pair<int, std::string>> extensions{};  // NID and value, as openssl.cnf has them
};

inline CertificateSpec ca(std::string name) {
  CertificateSpec spec;
  spec.common_names = {std::move(name)};
  spec.is_ca = true;
  return spec;
}
inline CertificateSpec leaf(std::string name) {
  CertificateSpec spec;
  spec.common_names = {std::move(name)};
  return spec;
}

struct Issued {
  Certificate certificate;
  std::shared_ptr<EVP_PKEY> key;

  std::string key_pem() const {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
};

inline std::shared_ptr<EVP_PKEY> make_key(const CertificateSpec& spec) {
  EVP_PKEY* key = nullptr;
  if (spec.curve == nullptr) {
    key = EVP_RSA_gen(spec.rsa_bits);
  } else if (std::string_view(spec.curve) == "ED25519") {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  } else {
    key = EVP_EC_gen(spec.curve);
  }
  check(key != nullptr, "OpenSSL makes a key");
  return {key, EVP_PKEY_free};
}

inline void add_text(X509_NAME* name, int nid, const std::string& text) {
  X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()), -1, 0);
}

// `issuer` null: self-signed. `key` null: a new one.
inline Issued issue(const CertificateSpec& spec, const Issued* issuer = nullptr,
                    std::shared_ptr<EVP_PKEY> key = nullptr) {
  static std::int64_t serial = 0x1000;
  if (!key) key = make_key(spec);
  const std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(made.get()), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(made.get()), spec.not_before_s);
  ASN1_TIME_set(X509_getm_notAfter(made.get()), spec.not_after_s);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  if (!spec.organization.empty()) add_text(subject, NID_organizationName, spec.organization);
  for (const auto& name : spec.common_names) add_text(subject, NID_commonName, name);
  X509* const above = issuer != nullptr ? issuer->certificate.get() : made.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(above));
  X509_set_pubkey(made.get(), key.get());
  auto extensions = spec.extensions;
  if (spec.is_ca) {
    extensions.emplace_back(NID_basic_constraints, "critical,CA:TRUE");
    extensions.emplace_back(NID_subject_key_identifier, "hash");
  }
  X509V3_CTX context;
  X509V3_set_ctx(&context, above, made.get(), nullptr, nullptr, 0);
  for (const auto& [nid, value] : extensions) {
    X509_EXTENSION* one = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    check(one != nullptr, "OpenSSL knows the extension");
    X509_add_ext(made.get(), one, -1);
    X509_EXTENSION_free(one);
  }
  EVP_PKEY* const signer = issuer != nullptr ? issuer->key.get() : key.get();
  const bool has_own_digest = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
  const EVP_MD* digest = has_own_digest ? nullptr : EVP_get_digestbyname(spec.digest);
  check(X509_sign(made.get(), signer, digest) > 0, "OpenSSL signs");
  return {.certificate = Certificate::share(made.get()), .key = std::move(key)};
}

inline std::shared_ptr<const PresentedChain> shown(const Certificate& leaf,
                                                   std::vector<Certificate> others = {}) {
  return std::make_shared<const PresentedChain>(
      PresentedChain{.leaf = leaf, .others = std::move(others)});
}

}  // namespace doppel::security::testing
