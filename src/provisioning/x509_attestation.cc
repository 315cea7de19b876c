#include "provisioning/x509_attestation.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/encoding.h"
#include "errors/dps.h"

namespace doppel::provisioning {
namespace {

using json::Object;
using json::Value;
using Form = X509Attestation::Form;

constexpr std::string_view kMembers[] = {"clientCertificates", "signingCertificates",
                                         "caReferences"};
constexpr std::string_view kHubAuthentication = "hubAuthentication";
constexpr std::size_t kReferenceSizeMax = 128;  // characters; Azure's for names of certificates

std::unexpected<Error> invalid(std::string text) {
  return fail(errors::dps::kInvalidEnrollment, "attestation.x509" + std::move(text));
}

std::string_view name_of(Form form) { return kMembers[static_cast<std::size_t>(form)]; }

// A member that is there and not null; many clients write null for what they do not set.
const Value* find_set(const Value& object, std::string_view name) {
  const Value* member = json::find(object, name);
  return member != nullptr && !member->is_null() ? member : nullptr;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  return text;
}

// Which of the stored certificates `info` describes. A client may also swap primary and secondary.
const security::Certificate* find_stored(const Value& info, std::string_view slot,
                                         const X509Attestation& stored) {
  const std::string sha256 = json::get_string_or(info, "sha256Thumbprint", "");
  const std::string sha1 = json::get_string_or(info, "sha1Thumbprint", "");
  for (const auto* one : {&stored.primary, &stored.secondary}) {
    if (!*one) continue;
    if (equal_ignoring_case((*one)->sha256(), sha256)) return &**one;
    if (sha256.empty() && equal_ignoring_case((*one)->sha1(), sha1)) return &**one;
  }
  if (!sha256.empty() || !sha1.empty()) return nullptr;
  const auto& same = slot == "primary" ? stored.primary : stored.secondary;
  return same ? &*same : nullptr;
}

Result<std::optional<security::Certificate>> read_certificate(const Value& holder, Form form,
                                                              std::string_view slot,
                                                              const X509Attestation* stored) {
  const auto where = fmt::format(".{}.{}", name_of(form), slot);
  const Value* member = find_set(holder, slot);
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return invalid(where + " must be an object");
  if (const Value* text = find_set(*member, "certificate")) {
    if (!json::is_string(*text)) return invalid(where + ".certificate must be a string");
    if (!text->get_string().empty()) {
      auto read = security::Certificate::parse(json::view(text->get_string()));
      if (!read) return invalid(fmt::format("{}.certificate: {}", where, read.error().message));
      return *std::move(read);
    }
  }
  const Value* info = find_set(*member, "info");
  if (info == nullptr) return std::nullopt;
  if (!info->is_object()) return invalid(where + ".info must be an object");
  const auto* kept =
      stored != nullptr && stored->form == form ? find_stored(*info, slot, *stored) : nullptr;
  if (kept == nullptr) {
    return invalid(where + " holds no certificate, and its info is not that of a stored one");
  }
  return *kept;
}

Result<std::string> read_reference(const Value& holder, std::string_view slot) {
  const Value* member = find_set(holder, slot);
  if (member == nullptr) return std::string();
  if (!json::is_string(*member) || member->get_string().size() > kReferenceSizeMax) {
    return invalid(fmt::format(".caReferences.{} must be the name of a certificate", slot));
  }
  return std::string(json::view(member->get_string()));
}

Status read_form(const Value& holder, X509Attestation& made, const X509Attestation* stored) {
  if (!holder.is_object()) return invalid(fmt::format(".{} must be an object", name_of(made.form)));
  if (made.form == Form::ca_references) {
    auto primary = read_reference(holder, "primary");
    auto secondary = read_reference(holder, "secondary");
    if (!primary) return fail(std::move(primary.error()));
    if (!secondary) return fail(std::move(secondary.error()));
    made.primary_reference = *std::move(primary);
    made.secondary_reference = *std::move(secondary);
    if (made.references().empty()) return invalid(".caReferences names no certificate");
    return {};
  }
  auto primary = read_certificate(holder, made.form, "primary", stored);
  if (!primary) return fail(std::move(primary.error()));
  auto secondary = read_certificate(holder, made.form, "secondary", stored);
  if (!secondary) return fail(std::move(secondary.error()));
  made.primary = *std::move(primary);
  made.secondary = *std::move(secondary);
  if (made.certificates().empty()) {
    return invalid(fmt::format(".{} holds no certificate", name_of(made.form)));
  }
  return {};
}

// What a client that does not know this member left out stays as it is.
Status read_hub_authentication(const Value& member, bool is_group, const X509Attestation* stored,
                               X509Attestation& made) {
  const Value* wanted = find_set(member, kHubAuthentication);
  if (wanted == nullptr) {
    made.by_authority_in_hub = stored != nullptr && stored->by_authority_in_hub;
    return {};
  }
  const std::string text = json::get_string_or(member, kHubAuthentication, "");
  made.by_authority_in_hub = equal_ignoring_case(text, "certificateAuthority");
  if (!made.by_authority_in_hub && !equal_ignoring_case(text, "selfSigned")) {
    return invalid(".hubAuthentication must be selfSigned or certificateAuthority");
  }
  if (made.by_authority_in_hub && !is_group) {
    return invalid(".hubAuthentication certificateAuthority is for groups alone");
  }
  return {};
}

}  // namespace

std::vector<security::Certificate> X509Attestation::certificates() const {
  std::vector<security::Certificate> all;
  for (const auto* one : {&primary, &secondary}) {
    if (*one) all.push_back(**one);
  }
  return all;
}

std::vector<std::string> X509Attestation::references() const {
  std::vector<std::string> all;
  for (const auto* one : {&primary_reference, &secondary_reference}) {
    if (!one->empty()) all.push_back(*one);
  }
  return all;
}

bool X509Attestation::holds(const security::Certificate& certificate) const {
  return primary == certificate || secondary == certificate;
}

Result<X509Attestation> read_x509(const Value& member, bool is_group,
                                  const X509Attestation* stored) {
  if (!member.is_object()) return invalid(" must be an object when the type is x509");
  X509Attestation made;
  const Value* holder = nullptr;
  for (const auto form :
       {Form::client_certificates, Form::signing_certificates, Form::ca_references}) {
    const Value* found = find_set(member, name_of(form));
    if (found == nullptr) continue;
    if (holder != nullptr) {
      return invalid(fmt::format(" has both {} and {}; one of them decides", name_of(made.form),
                                 name_of(form)));
    }
    holder = found;
    made.form = form;
  }
  if (holder == nullptr) {
    if (stored == nullptr) return invalid(" holds no certificate");
    made = *stored;
  } else {
    const bool is_of_group = made.form != Form::client_certificates;
    if (is_of_group != is_group) {
      return invalid(is_group ? ".clientCertificates is for individual enrollments; a group has "
                                "signingCertificates or caReferences"
                              : fmt::format(".{} is for groups; an individual enrollment has "
                                            "clientCertificates",
                                            name_of(made.form)));
    }
    if (auto read = read_form(*holder, made, stored); !read) return fail(std::move(read.error()));
  }
  if (auto read = read_hub_authentication(member, is_group, stored, made); !read) {
    return fail(std::move(read.error()));
  }
  return made;
}

json::Object x509_json(const X509Attestation& attestation, bool shows_certificates) {
  Object slots;
  if (attestation.form == Form::ca_references) {
    if (!attestation.primary_reference.empty()) slots["primary"] = attestation.primary_reference;
    if (!attestation.secondary_reference.empty()) {
      slots["secondary"] = attestation.secondary_reference;
    }
  }
  const auto add = [&](std::string_view slot, const std::optional<security::Certificate>& one) {
    if (!one) return;
    Object shown;
    if (shows_certificates) shown["certificate"] = one->pem();
    shown["info"] = certificate_info(*one);
    slots[slot] = std::move(shown);
  };
  add("primary", attestation.primary);
  add("secondary", attestation.secondary);
  Object out;
  out[name_of(attestation.form)] = std::move(slots);
  if (attestation.by_authority_in_hub) out[kHubAuthentication] = "certificateAuthority";
  return out;
}

json::Object certificate_info(const security::Certificate& certificate) {
  return {{"subjectName", certificate.subject()},
          {"sha1Thumbprint", upper(certificate.sha1())},
          {"sha256Thumbprint", upper(certificate.sha256())},
          {"issuerName", certificate.issuer()},
          {"notBeforeUtc", certificate.not_before()},
          {"notAfterUtc", certificate.not_after()},
          {"serialNumber", certificate.serial_number()},
          {"version", certificate.version()}};
}

}  // namespace doppel::provisioning
