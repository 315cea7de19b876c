#include "security/certificate.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/encoding.h"

namespace doppel::security {
namespace {

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
using X509Pointer = std::unique_ptr<X509, Free>;

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kLabel = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
// Base64 with line ends, and notes that tools write above a certificate.
constexpr std::size_t kTextSizeMax = 2 * kCertificateSizeMax + 4096;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::unexpected<Error> bad(std::string text) {
  return fail(Code::invalid_argument, std::move(text));
}

std::string without_space(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return !is_space(c); });
  return out;
}

std::string digest_of(std::string_view der, const EVP_MD* kind) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  check(EVP_Digest(der.data(), der.size(), bytes.data(), &size, kind, nullptr) == 1,
        "OpenSSL makes a digest");
  return hex_encode({reinterpret_cast<const char*>(bytes.data()), size});
}

std::string der_of(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  check(size > 0, "OpenSSL writes a certificate that it has read");
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

std::string name_text(const X509_NAME* name) {
  // As RFC 2253 has it, with a blank after the comma and letters beyond ASCII as they are.
  constexpr unsigned long kForm =
      (XN_FLAG_RFC2253 & ~XN_FLAG_SEP_MASK & ~ASN1_STRFLGS_ESC_MSB) | XN_FLAG_SEP_CPLUS_SPC;
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  if (X509_NAME_print_ex(bio.get(), name, 0, kForm) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  std::string text(data, static_cast<std::size_t>(size));
  return is_valid_utf8(text) ? text : std::string("(not UTF-8)");
}

std::optional<std::tm> broken_down(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return parts;
}

std::int64_t seconds_of(const ASN1_TIME* time, std::int64_t otherwise) {
  auto parts = broken_down(time);
  return parts ? std::int64_t{::timegm(&*parts)} : otherwise;
}

std::string time_text(const ASN1_TIME* time) {
  const auto parts = broken_down(time);
  if (!parts) return "(unreadable)";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts->tm_year + 1900,
                     parts->tm_mon + 1, parts->tm_mday, parts->tm_hour, parts->tm_min,
                     parts->tm_sec);
}

// The next certificate of PEM text, which is taken off it; an empty string when only space is left.
Result<std::string> take_pem(std::string_view& text) {
  const auto begin = text.find(kBegin);
  if (begin == text.npos) {
    if (std::ranges::all_of(text, is_space)) return std::string();
    return bad("there is text behind the certificate");
  }
  if (!text.substr(begin).starts_with(kLabel)) {
    const auto label = text.substr(begin + kBegin.size(), 40);
    if (label.substr(0, label.find("-----")).ends_with("PRIVATE KEY"))
      return bad("this is a private key; give the certificate alone");
    return bad("the PEM text holds something else than a certificate");
  }
  const auto first = begin + kLabel.size();
  const auto end = text.find(kEnd, first);
  if (end == text.npos) return bad("the PEM text ends before the certificate does");
  const auto der = base64_decode(without_space(text.substr(first, end - first)));
  if (!der || der->empty()) return bad("the PEM text is not valid base64");
  text.remove_prefix(end + kEnd.size());
  return *der;
}

Result<Certificate> parse_pem(std::string_view text) {
  auto der = take_pem(text);
  if (!der) return fail(std::move(der.error()));
  auto more = take_pem(text);
  if (!more) return fail(std::move(more.error()));
  if (!more->empty()) return bad("the text holds more than one certificate; give exactly one");
  return Certificate::from_der(*der);
}

}  // namespace

struct Certificate::Data {
  X509Pointer certificate;
  std::string der;
  std::string sha256;
};

Result<Certificate> Certificate::from_der(std::string_view der) {
  if (der.size() > kCertificateSizeMax) {
    return bad(fmt::format("a certificate has at most {} bytes", kCertificateSizeMax));
  }
  ERR_clear_error();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509Pointer read(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  const auto used = reinterpret_cast<const char*>(at) - der.data();
  const bool has_key = read && X509_get0_pubkey(read.get()) != nullptr;
  ERR_clear_error();
  if (!read) return bad("the bytes are not a certificate");
  if (static_cast<std::size_t>(used) != der.size()) {
    return bad("there are bytes behind the certificate");
  }
  if (!has_key) return bad("the certificate's public key cannot be read");
  std::string own = der_of(read.get());
  // One form only, or the same certificate could have two thumbprints.
  if (own != der) return bad("the certificate is not in DER");
  auto data = std::make_shared<Data>();
  data->certificate = std::move(read);
  data->sha256 = digest_of(own, EVP_sha256());
  data->der = std::move(own);
  return Certificate(std::move(data));
}

Certificate Certificate::share(x509_st* certificate) {
  check(X509_up_ref(certificate) == 1, "OpenSSL shares a certificate");
  auto data = std::make_shared<Data>();
  data->certificate.reset(certificate);
  data->der = der_of(certificate);
  data->sha256 = digest_of(data->der, EVP_sha256());
  return Certificate(std::move(data));
}

Result<Certificate> Certificate::parse(std::string_view text) {
  if (text.size() > kTextSizeMax) return bad("the text is too long for a certificate");
  if (text.contains(kBegin)) return parse_pem(text);
  const auto bytes = base64_decode(without_space(text));
  if (!bytes || bytes->empty()) return bad("neither PEM text nor the base64 of a certificate");
  if (bytes->contains(kBegin)) return parse_pem(*bytes);
  return from_der(*bytes);
}

Result<std::vector<Certificate>> Certificate::parse_chain(std::string_view text, std::size_t most) {
  if (text.size() > most * kTextSizeMax) return bad("the text is too long");
  std::vector<Certificate> chain;
  while (true) {
    auto der = take_pem(text);
    if (!der) return fail(std::move(der.error()));
    if (der->empty()) break;
    if (chain.size() == most) return bad(fmt::format("at most {} certificates are taken", most));
    auto one = from_der(*der);
    if (!one) return fail(std::move(one.error()));
    chain.push_back(*std::move(one));
  }
  if (chain.empty()) return bad("the text holds no certificate");
  return chain;
}

x509_st* Certificate::get() const { return data_->certificate.get(); }
const std::string& Certificate::der() const { return data_->der; }
const std::string& Certificate::sha256() const { return data_->sha256; }
std::string Certificate::sha1() const { return digest_of(data_->der, EVP_sha1()); }

std::string Certificate::pem() const {
  const std::string text = base64_encode(der());
  constexpr std::size_t kLine = 64;  // RFC 7468
  std::string out(kLabel);
  for (std::size_t at = 0; at < text.size(); at += kLine) {
    out.append("\n").append(text, at, kLine);
  }
  return out.append("\n").append(kEnd).append("\n");
}

std::optional<std::string> Certificate::common_name() const {
  const X509_NAME* subject = X509_get_subject_name(get());
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return std::nullopt;
  unsigned char* bytes = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  std::string name(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return name;
}

std::string Certificate::subject() const { return name_text(X509_get_subject_name(get())); }
std::string Certificate::issuer() const { return name_text(X509_get_issuer_name(get())); }

std::uint32_t Certificate::subject_hash() const {
  return static_cast<std::uint32_t>(X509_subject_name_hash(get()));
}
std::uint32_t Certificate::issuer_hash() const {
  return static_cast<std::uint32_t>(X509_issuer_name_hash(get()));
}

std::string Certificate::serial_number() const {
  const std::unique_ptr<BIGNUM, Free> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(get()), nullptr));
  if (!number) return {};
  char* text = BN_bn2hex(number.get());
  if (text == nullptr) return {};
  std::string out(text);
  OPENSSL_free(text);
  return out;
}

int Certificate::version() const { return static_cast<int>(X509_get_version(get())) + 1; }

std::int64_t Certificate::not_before_s() const {
  return seconds_of(X509_get0_notBefore(get()), INT64_MAX);
}
std::int64_t Certificate::not_after_s() const {
  return seconds_of(X509_get0_notAfter(get()), INT64_MIN);
}
std::string Certificate::not_before() const { return time_text(X509_get0_notBefore(get())); }
std::string Certificate::not_after() const { return time_text(X509_get0_notAfter(get())); }

bool Certificate::may_sign_certificates() const { return X509_check_ca(get()) > 0; }

bool Certificate::is_self_issued() const {
  return X509_NAME_cmp(X509_get_subject_name(get()), X509_get_issuer_name(get())) == 0;
}

KeyKind Certificate::key_kind() const {
  switch (EVP_PKEY_get_base_id(X509_get0_pubkey(get()))) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
      return KeyKind::rsa;
    case EVP_PKEY_EC:
      return KeyKind::ec;
    case EVP_PKEY_ED25519:
      return KeyKind::ed25519;
    case EVP_PKEY_ED448:
      return KeyKind::ed448;
    default:
      return KeyKind::other;
  }
}

int Certificate::key_bits() const { return EVP_PKEY_get_bits(X509_get0_pubkey(get())); }

std::shared_ptr<const PresentedChain> presented(x509_st* leaf, stack_st_X509* chain) {
  if (leaf == nullptr) return nullptr;
  auto shown = std::make_shared<PresentedChain>(PresentedChain{.leaf = Certificate::share(leaf)});
  std::size_t bytes = shown->leaf.der().size();
  const int count = chain == nullptr ? 0 : sk_X509_num(chain);
  for (int i = 0; i < count; ++i) {
    X509* const one = sk_X509_value(chain, i);
    if (i == 0 && X509_cmp(one, leaf) == 0) continue;
    // Sizes are asked before anything is copied.
    bytes += static_cast<std::size_t>(std::max(i2d_X509(one, nullptr), 0));
    if (shown->others.size() == kPresentedMax || bytes > kPresentedBytesMax) {
      shown->others.clear();
      shown->is_cut = true;
      break;
    }
    shown->others.push_back(Certificate::share(one));
  }
  return shown;
}

}  // namespace doppel::security
