// Certificates of IoT hubs and provisioning services (dps.md section 7): CA certificates below
// which devices prove themselves.
#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/arm.h"
#include "resources/ca_certificate.h"
#include "resources/document.h"
#include "resources/types.h"
#include "security/certificate.h"
#include "security/certificate_authority.h"
#include "security/certificate_path.h"

namespace doppel::resources {
namespace {

constexpr std::size_t kCertificatesMax = 25;   // of one resource; Azure's limit
constexpr std::size_t kCodeBytes = 24;         // of a verification code, in hex twice as long
constexpr std::int64_t kIssuedDaysMax = 3650;  // of what an issuer signs
constexpr std::int64_t kIssuedDaysDefault = 30;
constexpr auto kIssuerLifetime = std::chrono::days(3650);  // of an issuer that is made here
constexpr std::int64_t kLatestShown_s = 9'000'000'000;     // a TimePoint ends in 2262

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  return text;
}

// The properties as given; before 2018 they stood in the body itself.
const json::Value* given_property(const PutContext& context, std::string_view name) {
  const auto* value = property(context.body, name);
  if (value == nullptr) value = context.body.if_contains(name);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

bool flag_property(const json::Object* document, std::string_view name) {
  const auto* value = property(document, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

struct Given {
  security::Certificate certificate;
  std::string private_key;  // of an issuer
  bool is_new = true;       // another certificate than the stored one
  std::string shown{};      // what a GET gives back; empty: base64 of DER
};

// What az uploads to a provisioning service is base64 of PEM text, and so it wants it back: it
// cannot print DER. (azure-cli 2.45: "contains invalid unicode characters; its body was omitted")
std::string shown_form(std::string_view text, const security::Certificate& certificate) {
  const auto bytes = base64_decode(text);
  const bool is_pem = bytes && bytes->contains("-----BEGIN ");
  return base64_encode(is_pem ? certificate.pem() : certificate.der());
}

// An issuer that the service makes itself. One that is there already stays: devices hold what it
// signed.
Result<Given> made_issuer(const PutContext& context) {
  const std::string stored = text_property(context.existing, "privateKey", "");
  if (!stored.empty()) {
    auto kept = security::Certificate::parse(text_property(context.existing, "certificate", ""));
    if (!kept) return fail(errors::arm::kInternalServerError);
    return Given{.certificate = *std::move(kept), .private_key = stored, .is_new = false};
  }
  const auto made = security::CertificateAuthority::make(
      "Issuer of " + context.id.parent().name(), context.now, kIssuerLifetime, context.random);
  return Given{.certificate = made.certificate(), .private_key = made.key_pem()};
}

Result<Given> given_certificate(const PutContext& context) {
  const bool is_of_dps = context.id.type() == kDpsCertificateType;
  if (const auto* generate = given_property(context, "generate");
      generate != nullptr && generate->is_bool() && generate->get_bool()) {
    if (!is_of_dps) return bad_parameter("Only a provisioning service can be an issuer.");
    return made_issuer(context);
  }
  const auto* text = given_property(context, "certificate");
  if (text == nullptr || !json::is_string(*text))
    return bad_parameter("'certificate' must be a certificate, in PEM or base64 of its DER.");
  auto certificate = security::Certificate::parse(json::view(text->get_string()));
  if (!certificate) return bad_parameter("'certificate': " + certificate.error().message + ".");
  Given given{.certificate = *std::move(certificate), .private_key = {}};
  given.shown = shown_form(json::view(text->get_string()), given.certificate);
  const auto before =
      security::Certificate::parse(text_property(context.existing, "certificate", ""));
  given.is_new = !before || *before != given.certificate;
  if (!given.is_new) given.private_key = text_property(context.existing, "privateKey", "");
  const auto* key = given_property(context, "privateKey");
  if (key == nullptr) return given;
  if (!is_of_dps) return bad_parameter("Only a provisioning service can be an issuer.");
  if (!json::is_string(*key)) return bad_parameter("'privateKey' must be PEM text.");
  given.private_key = json::view(key->get_string());
  auto issuer = security::CertificateAuthority::load(given.certificate, given.private_key);
  if (!issuer) return bad_parameter("'privateKey': " + issuer.error().message + ".");
  given.private_key = issuer->key_pem();
  return given;
}

// How many certificates the parent has beside this one.
std::size_t siblings(const PutContext& context) {
  const std::string prefix = context.id.parent().lower() + "/certificates/";
  const auto& documents = context.catalog.documents;
  std::size_t count = 0;
  for (auto at = documents.lower_bound(prefix);
       at != documents.end() && at->first.starts_with(prefix); ++at) {
    if (at->first != context.id.lower()) ++count;
  }
  return count;
}

}  // namespace

Result<PutPlan> plan_certificate(const PutContext& context) {
  if (siblings(context) >= kCertificatesMax) {
    return fail(errors::arm::kQuotaExceeded,
                "At most " + std::to_string(kCertificatesMax) + " certificates are possible.");
  }
  auto wanted = given_certificate(context);
  if (!wanted) return fail(std::move(wanted.error()));
  const bool is_issuer = !wanted->private_key.empty();

  // Whoever may write resources may also vouch for a certificate; a new one proves nothing yet.
  bool is_verified = is_issuer;  // its key is here
  if (const auto* given = given_property(context, "isVerified")) {
    if (!given->is_bool()) return bad_parameter("'isVerified' must be true or false.");
    is_verified = is_verified || given->get_bool();
  } else if (!wanted->is_new) {
    is_verified = is_verified || flag_property(context.existing, "isVerified");
  }
  const std::string now = to_http_date(context.now);
  if (wanted->shown.empty()) wanted->shown = base64_encode(wanted->certificate.der());
  json::Object properties{{"certificate", wanted->shown},
                          {"isVerified", is_verified},
                          {"created", text_property(context.existing, "created", now)},
                          {"updated", now}};
  if (const auto* code = given_property(context, "verificationCode");
      code != nullptr && json::is_string(*code) && code->get_string().size() <= 2 * kCodeBytes) {
    properties["verificationCode"] = *code;
  }
  if (is_issuer) {
    const json::Value empty = json::Object();
    const auto* given = context.body.if_contains("properties");
    const auto* before = property(context.existing, "issuedValidityInDays");
    auto days =
        integer_member(given != nullptr ? *given : empty, "issuedValidityInDays", 1, kIssuedDaysMax,
                       before != nullptr ? json::to_int64(*before).value_or(kIssuedDaysDefault)
                                         : kIssuedDaysDefault);
    if (!days) return fail(std::move(days.error()));
    properties["privateKey"] = wanted->private_key;
    properties["issuedValidityInDays"] = *days;
  }
  json::Object document = child_document(context);
  document["properties"] = std::move(properties);
  return PutPlan{.body = std::move(document), .children = {}};
}

void show_certificate(json::Object& properties) {
  properties.stable_erase("verificationCode");
  if (properties.contains("privateKey")) {
    properties.stable_erase("privateKey");
    properties["hasPrivateKey"] = true;
  }
  const json::Value shown = properties;
  const auto certificate =
      security::Certificate::parse(json::get_string_or(shown, "certificate", ""));
  if (!certificate) return;
  properties["subject"] = certificate->subject();
  properties["expiry"] =
      to_http_date(from_unix_seconds(std::min(certificate->not_after_s(), kLatestShown_s)));
  properties["thumbprint"] = upper(certificate->sha1());
}

json::Object with_verification_code(const json::Value& document, Random& random) {
  json::Object body = document.get_object();
  json::Object& properties = *properties_of(body);
  properties["verificationCode"] = upper(hex_encode(random.bytes(kCodeBytes)));
  return body;
}

Result<json::Object> verified(const json::Value& document, std::string_view proof, TimePoint now) {
  json::Object body = document.get_object();
  json::Object& properties = *properties_of(body);
  const std::string code = text_property(&body, "verificationCode", "");
  if (code.empty()) {
    return fail(errors::arm::kBadRequest,
                "The certificate has no verification code; generate one first.");
  }
  auto ca = security::Certificate::parse(text_property(&body, "certificate", ""));
  if (!ca) return fail(errors::arm::kInternalServerError);
  auto shown = security::Certificate::parse(proof);
  if (!shown) return bad_parameter("'certificate': " + shown.error().message + ".");
  if (!equal_ignoring_case(shown->common_name().value_or(""), code)) {
    return fail(errors::arm::kBadRequest,
                "The verification certificate's common name is not the verification code.");
  }
  if (auto problem = security::check_alone(*shown, now))
    return fail(errors::arm::kBadRequest, "The verification " + problem->text + ".");
  if (!security::is_signed_by(*shown, *ca)) {
    return fail(errors::arm::kBadRequest,
                "The verification certificate is not signed by the certificate's key.");
  }
  properties.stable_erase("verificationCode");
  properties["isVerified"] = true;
  return body;
}

std::optional<CaCertificate> certificate_of(const json::Value& document) {
  const json::Object& body = document.get_object();
  auto certificate = security::Certificate::parse(text_property(&body, "certificate", ""));
  if (!certificate) return std::nullopt;
  const auto* days = property(body, "issuedValidityInDays");
  return CaCertificate{.name = json::get_string_or(document, "name", ""),
                       .certificate = *std::move(certificate),
                       .is_verified = flag_property(&body, "isVerified"),
                       .private_key = text_property(&body, "privateKey", ""),
                       .issued_days = static_cast<std::int32_t>(
                           days != nullptr ? json::to_int64(*days).value_or(kIssuedDaysDefault)
                                           : kIssuedDaysDefault)};
}

}  // namespace doppel::resources
