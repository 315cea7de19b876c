#include "security/certificate_authority.h"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "security/certificate_path.h"

namespace doppel::security {
namespace {

constexpr auto kBackdated = std::chrono::minutes(10);  // for devices whose clock is slow
constexpr int kSerialBytes = 16;                       // RFC 5280 allows 20

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Pointer = std::unique_ptr<T, Free>;

std::unexpected<Error> bad(std::string text) {
  return fail(Code::invalid_argument, std::move(text));
}

std::optional<std::string> only_common_name(const X509_NAME* subject) {
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return std::nullopt;
  unsigned char* bytes = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  ERR_clear_error();
  if (size < 0) return std::nullopt;
  std::string name(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return name;
}

Status check_key(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      if (bits >= kRsaBitsMin && bits <= 4 * kRsaBitsMin) return {};
      return bad(fmt::format("the request's RSA key has {} bits, {} to {} are taken", bits,
                             kRsaBitsMin, 4 * kRsaBitsMin));
    case EVP_PKEY_EC:
      if (bits >= kEcBitsMin) return {};
      return bad(fmt::format("the request's elliptic curve key has {} bits, at least {} are needed",
                             bits, kEcBitsMin));
    case EVP_PKEY_ED25519:
      return {};
    default:
      return bad("the request's key must be RSA, elliptic curve or Ed25519");
  }
}

// EVP signatures without a digest of the caller's choice.
const EVP_MD* digest_for(EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  return kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? nullptr : EVP_sha256();
}

void set_time(ASN1_TIME* time, std::int64_t seconds) {
  check(ASN1_TIME_set(time, static_cast<time_t>(seconds)) != nullptr, "OpenSSL writes a time");
}

void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Pointer<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (extension == nullptr && nid == NID_authority_key_identifier) {
    ERR_clear_error();  // an issuer without a key identifier of its own
    return;
  }
  check(extension != nullptr, "OpenSSL knows the extension");
  X509_add_ext(certificate, extension.get(), -1);
}

Pointer<X509> blank(std::string_view common_name, EVP_PKEY* key, std::int64_t first_s,
                    std::int64_t last_s, Random& random) {
  Pointer<X509> made(X509_new());
  check(made != nullptr, "OpenSSL makes a certificate");
  X509_set_version(made.get(), X509_VERSION_3);
  std::string serial = random.bytes(kSerialBytes);
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);  // positive, never short
  const Pointer<BIGNUM> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), kSerialBytes, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made.get()));
  set_time(X509_getm_notBefore(made.get()), first_s);
  set_time(X509_getm_notAfter(made.get()), last_s);
  const int added =
      X509_NAME_add_entry_by_NID(X509_get_subject_name(made.get()), NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0);
  check(added == 1, "the common name has 1 to 64 characters");
  X509_set_pubkey(made.get(), key);
  return made;
}

}  // namespace

Result<CertificateRequest> CertificateRequest::parse(std::string_view base64) {
  if (base64.size() > 2 * kRequestSizeMax) {
    return bad(fmt::format("a signing request has at most {} bytes", kRequestSizeMax));
  }
  const auto der = base64_decode(base64);
  if (!der || der->empty()) return bad("the signing request is not base64 of its DER");
  return from_der(*der);
}

Result<CertificateRequest> CertificateRequest::from_der(std::string_view der) {
  if (der.size() > kRequestSizeMax) {
    return bad(fmt::format("a signing request has at most {} bytes", kRequestSizeMax));
  }
  ERR_clear_error();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  Pointer<X509_REQ> read(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  const auto used = reinterpret_cast<const char*>(at) - der.data();
  EVP_PKEY* const key = read ? X509_REQ_get0_pubkey(read.get()) : nullptr;
  ERR_clear_error();
  if (!read) return bad("the bytes are not a signing request");
  if (static_cast<std::size_t>(used) != der.size()) {
    return bad("there are bytes behind the signing request");
  }
  if (key == nullptr) return bad("the signing request's key cannot be read");
  // Before the signature: checking one with a monstrous key takes long.
  if (auto strong = check_key(key); !strong) return fail(std::move(strong.error()));
  const bool is_own = X509_REQ_verify(read.get(), key) == 1;
  ERR_clear_error();
  if (!is_own) return bad("the signing request is not signed by its own key");
  return CertificateRequest(std::shared_ptr<X509_REQ>(read.release(), X509_REQ_free));
}

evp_pkey_st* CertificateRequest::key() const {
  return X509_REQ_get0_pubkey(static_cast<X509_REQ*>(request_.get()));
}

std::string CertificateRequest::der() const {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_REQ(static_cast<X509_REQ*>(request_.get()), &bytes);
  check(size > 0, "OpenSSL writes a request it has read");
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

std::optional<std::string> CertificateRequest::common_name() const {
  return only_common_name(X509_REQ_get_subject_name(static_cast<X509_REQ*>(request_.get())));
}

bool CertificateRequest::has_key_of(const Certificate& certificate) const {
  const bool is_same = EVP_PKEY_eq(key(), X509_get0_pubkey(certificate.get())) == 1;
  ERR_clear_error();
  return is_same;
}

CertificateAuthority CertificateAuthority::make(std::string_view common_name, TimePoint now,
                                                Duration lifetime, Random& random) {
  std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  check(key != nullptr, "OpenSSL makes a key");
  const Pointer<X509> made = blank(common_name, key.get(), to_unix_seconds(now - kBackdated),
                                   to_unix_seconds(now + lifetime), random);
  X509_set_issuer_name(made.get(), X509_get_subject_name(made.get()));
  add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash");
  check(X509_sign(made.get(), key.get(), EVP_sha256()) > 0, "OpenSSL signs");
  return {Certificate::share(made.get()), std::move(key)};
}

Result<CertificateAuthority> CertificateAuthority::load(Certificate certificate,
                                                        std::string_view key_pem) {
  ERR_clear_error();
  const Pointer<BIO> bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  // An empty pass phrase: nobody is here to be asked for one.
  char no_phrase[] = "";
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, no_phrase),
                                EVP_PKEY_free);
  ERR_clear_error();
  if (!key) return bad("the private key cannot be read; it must be PEM text without a pass phrase");
  const bool belongs = EVP_PKEY_eq(key.get(), X509_get0_pubkey(certificate.get())) == 1;
  ERR_clear_error();
  if (!belongs) return bad("the private key is not that of the certificate");
  if (!certificate.may_sign_certificates()) return bad("the certificate is not one of a CA");
  return CertificateAuthority(std::move(certificate), std::move(key));
}

std::string CertificateAuthority::key_pem() const {
  const Pointer<BIO> bio(BIO_new(BIO_s_mem()));
  check(PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "OpenSSL writes a key");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Certificate CertificateAuthority::issue(const CertificateRequest& request,
                                        std::string_view common_name, TimePoint now,
                                        Duration lifetime, Random& random) const {
  const auto last_s = std::min(to_unix_seconds(now + lifetime), certificate_.not_after_s());
  const auto first_s = std::max(to_unix_seconds(now - kBackdated), certificate_.not_before_s());
  const Pointer<X509> made = blank(common_name, request.key(), first_s, last_s, random);
  X509* const issuer = certificate_.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
  add_extension(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(made.get(), issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(made.get(), issuer, NID_ext_key_usage, "clientAuth");
  add_extension(made.get(), issuer, NID_subject_key_identifier, "hash");
  add_extension(made.get(), issuer, NID_authority_key_identifier, "keyid");
  check(X509_sign(made.get(), key_.get(), digest_for(key_.get())) > 0, "OpenSSL signs");
  return Certificate::share(made.get());
}

}  // namespace doppel::security
