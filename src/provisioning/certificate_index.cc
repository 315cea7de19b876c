#include "provisioning/certificate_index.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "provisioning/keys.h"
#include "security/certificate_path.h"

namespace doppel::provisioning {
namespace {

using Form = X509Attestation::Form;

std::string hex(std::uint32_t hash) { return fmt::format("{:08x}", hash); }

std::set<std::string> keys_of(std::string_view instance, const Enrollment* entry) {
  std::set<std::string> keys;
  if (entry == nullptr || !entry->x509) return keys;
  for (const security::Certificate& one : entry->x509->certificates()) {
    keys.insert(naming_key(instance, one.sha256(), entry->kind, entry->id));
    if (entry->x509->form == Form::signing_certificates) {
      keys.insert(signer_key(instance, hex(one.subject_hash()), entry->id));
    }
  }
  for (const std::string& name : entry->x509->references()) {
    keys.insert(reference_key(instance, name, entry->id));
  }
  return keys;
}

// Index keys end with the ID, those of `naming` with the part before it.
std::optional<std::pair<EnrollmentKind, std::string>> entry_of(std::string_view key) {
  const auto parts = store::split_key(key);
  if (!parts || parts->size() < 2) return std::nullopt;
  const bool is_individual =
      (*parts)[parts->size() - 2] == part_of(EnrollmentKind::individual) && parts->size() > 5;
  return std::pair(is_individual ? EnrollmentKind::individual : EnrollmentKind::group,
                   std::string(parts->back()));
}

}  // namespace

void stage_certificates(store::Transaction& tx, std::string_view instance, const Enrollment* before,
                        const Enrollment* after) {
  const auto old_keys = keys_of(instance, before);
  const auto new_keys = keys_of(instance, after);
  for (const std::string& key : old_keys) {
    if (!new_keys.contains(key)) tx.erase(key);
  }
  for (const std::string& key : new_keys) {
    if (!old_keys.contains(key)) tx.put(key, std::string());
  }
}

Task<Result<std::vector<FoundEnrollment>>> CertificateIndex::read(std::string prefix) const {
  auto entries = co_await snapshot_->scan(prefix, store::after_prefix(prefix), kNamedAlikeMax);
  if (!entries) co_return fail(std::move(entries.error()));
  std::vector<FoundEnrollment> found;
  for (const store::Entry& entry : *entries) {
    const auto named = entry_of(entry.key);
    if (!named) continue;
    std::string key = enrollment_key(instance_, named->first, named->second);
    auto stored = co_await snapshot_->get(key);
    if (!stored) co_return fail(std::move(stored.error()));
    if (!*stored) continue;
    auto enrollment = codec_.decode(named->first, key, **stored);
    if (!enrollment) co_return fail(std::move(enrollment.error()));
    found.push_back({.key = std::move(key),
                     .stored = **std::move(stored),
                     .enrollment = *std::move(enrollment)});
  }
  co_return found;
}

Task<Result<std::vector<FoundEnrollment>>> CertificateIndex::naming(
    security::Certificate certificate) const {
  return read(naming_prefix(instance_, certificate.sha256()));
}

Task<Result<std::vector<FoundEnrollment>>> CertificateIndex::referring_to(std::string name) const {
  return read(references_prefix(instance_, name));
}

Task<Result<std::vector<security::Certificate>>> CertificateIndex::issuers_of(
    security::Certificate subject) const {
  auto groups = co_await read(signers_prefix(instance_, hex(subject.issuer_hash())));
  if (!groups) co_return fail(std::move(groups.error()));
  std::vector<security::Certificate> issuers;
  for (const FoundEnrollment& group : *groups) {
    for (const security::Certificate& one : group.enrollment->x509->certificates()) {
      if (!security::claims_issuer(subject, one)) continue;
      if (std::ranges::find(issuers, one) == issuers.end()) issuers.push_back(one);
    }
  }
  co_return issuers;
}

}  // namespace doppel::provisioning
