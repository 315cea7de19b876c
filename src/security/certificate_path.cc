#include "security/certificate_path.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/time_text.h"

namespace doppel::security {
namespace {

using Kind = PathProblem::Kind;

// OpenSSL's name for keys and signatures of at least 112 bits of security: no RSA below 2048 bits,
// no SHA-1, no MD5.
constexpr int kSecurityLevel = 2;

struct Free {
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }  // not what is in it
};
using Context = std::unique_ptr<X509_STORE_CTX, Free>;
using Stack = std::unique_ptr<STACK_OF(X509), Free>;

Stack stack_of(std::span<const Certificate> certificates) {
  Stack stack(sk_X509_new_reserve(nullptr, static_cast<int>(certificates.size())));
  check(stack != nullptr, "OpenSSL makes a list");
  for (const Certificate& one : certificates) sk_X509_push(stack.get(), one.get());
  return stack;
}

PathProblem problem(Kind kind, const Certificate& certificate, std::string_view what) {
  constexpr std::size_t kShown = 16;  // digits of a thumbprint; enough to find the one meant
  std::string subject = certificate.subject();
  std::string text = fmt::format("certificate '{}' (SHA-256 {}...): {}", subject,
                                 certificate.sha256().substr(0, kShown), what);
  return {.kind = kind, .subject = std::move(subject), .text = std::move(text)};
}

std::optional<PathProblem> check_key(const Certificate& certificate) {
  const int bits = certificate.key_bits();
  switch (certificate.key_kind()) {
    case KeyKind::rsa:
      if (bits >= kRsaBitsMin) return std::nullopt;
      return problem(
          Kind::weak_key, certificate,
          fmt::format("its RSA key has {} bits, at least {} are needed", bits, kRsaBitsMin));
    case KeyKind::ec:
      if (bits >= kEcBitsMin) return std::nullopt;
      return problem(Kind::weak_key, certificate,
                     fmt::format("its elliptic curve key has {} bits, at least {} are needed", bits,
                                 kEcBitsMin));
    case KeyKind::ed25519:
    case KeyKind::ed448:
      return std::nullopt;
    case KeyKind::other:
      return problem(Kind::weak_key, certificate, "its key is of a kind that is not accepted");
  }
  return std::nullopt;
}

PathProblem expired(const Certificate& certificate) {
  return problem(Kind::expired, certificate, "expired at " + certificate.not_after());
}
PathProblem not_yet_valid(const Certificate& certificate) {
  return problem(Kind::not_yet_valid, certificate, "not valid before " + certificate.not_before());
}

Kind kind_of(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
      return Kind::expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
      return Kind::not_yet_valid;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      return Kind::weak_key;
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return Kind::weak_signature;
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    case X509_V_ERR_INVALID_NON_CA:
      return Kind::not_a_ca;
    case X509_V_ERR_INVALID_PURPOSE:
      return Kind::wrong_purpose;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
      return Kind::name_constraint;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return Kind::too_long;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
    case X509_V_ERR_AKID_SKID_MISMATCH:
    // A signature that is not the issuer's: that issuer is no step of a path.
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
      return Kind::no_path;
    default:
      return Kind::other;
  }
}

PathProblem problem_of(X509_STORE_CTX* context, const Certificate& leaf) {
  const int error = X509_STORE_CTX_get_error(context);
  X509* const current = X509_STORE_CTX_get_current_cert(context);
  const Certificate wrong = current != nullptr ? Certificate::share(current) : leaf;
  const Kind kind = kind_of(error);
  if (kind == Kind::expired) return expired(wrong);
  if (kind == Kind::not_yet_valid) return not_yet_valid(wrong);
  if (kind == Kind::weak_key) {
    if (auto weak = check_key(wrong)) return *std::move(weak);
  }
  if (kind == Kind::no_path && error != X509_V_ERR_CERT_SIGNATURE_FAILURE) {
    return problem(kind, wrong,
                   fmt::format("its issuer '{}' is neither trusted nor among the certificates that "
                               "lead to one that is",
                               wrong.issuer()));
  }
  return problem(kind, wrong, X509_verify_cert_error_string(error));
}

std::int64_t seconds(TimePoint time) { return to_unix_seconds(time); }

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::no_path:
      return "noPath";
    case Kind::expired:
      return "expired";
    case Kind::not_yet_valid:
      return "notYetValid";
    case Kind::weak_key:
      return "weakKey";
    case Kind::weak_signature:
      return "weakSignature";
    case Kind::not_a_ca:
      return "notACa";
    case Kind::wrong_purpose:
      return "wrongPurpose";
    case Kind::name_constraint:
      return "nameConstraint";
    case Kind::too_long:
      return "pathTooLong";
    case Kind::other:
      return "invalid";
  }
  return "";
}

std::optional<PathProblem> check_alone(const Certificate& certificate, TimePoint now) {
  if (seconds(now) < certificate.not_before_s()) return not_yet_valid(certificate);
  if (seconds(now) > certificate.not_after_s()) return expired(certificate);
  return check_key(certificate);
}

std::expected<std::vector<Certificate>, PathProblem> verify_path(
    const Certificate& leaf, std::span<const Certificate> links,
    std::span<const Certificate> anchors, TimePoint now) {
  ERR_clear_error();
  const Stack untrusted = stack_of(links);
  const Stack trusted = stack_of(anchors);
  const Context context(X509_STORE_CTX_new());
  check(context != nullptr &&
            X509_STORE_CTX_init(context.get(), nullptr, leaf.get(), untrusted.get()) == 1,
        "OpenSSL prepares a check");
  X509_STORE_CTX_set0_trusted_stack(context.get(), trusted.get());
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  X509_VERIFY_PARAM_set_time(rules, seconds(now));
  X509_VERIFY_PARAM_set_depth(rules, static_cast<int>(kPathMax));
  X509_VERIFY_PARAM_set_auth_level(rules, kSecurityLevel);
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_CLIENT);
  const bool is_good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!is_good) return std::unexpected(problem_of(context.get(), leaf));

  std::vector<Certificate> path;
  STACK_OF(X509)* const found = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(found); ++i) {
    path.push_back(Certificate::share(sk_X509_value(found, i)));
    // OpenSSL's level takes curves of 224 bits.
    if (auto weak = check_key(path.back())) return std::unexpected(*std::move(weak));
  }
  return path;
}

bool claims_issuer(const Certificate& subject, const Certificate& issuer) {
  const int said = X509_check_issued(issuer.get(), subject.get());
  ERR_clear_error();
  // A CA without the right to sign is named as such later, when its path is checked.
  return said == X509_V_OK || said == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

bool is_signed_by(const Certificate& certificate, const Certificate& issuer) {
  EVP_PKEY* const key = X509_get0_pubkey(issuer.get());
  const bool is_signed = key != nullptr && X509_verify(certificate.get(), key) == 1;
  ERR_clear_error();
  return is_signed;
}

}  // namespace doppel::security
