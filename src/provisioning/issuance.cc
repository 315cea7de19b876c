#include "provisioning/issuance.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "errors/dps.h"
#include "security/certificate_path.h"

namespace doppel::provisioning {
namespace {

const resources::CaCertificate* find_issuer(const resources::Catalog& catalog, std::string_view dps,
                                            std::string_view policy) {
  const resources::Dps* instance = catalog.find_dps(dps);
  const auto* found = instance == nullptr ? nullptr : instance->find_certificate(policy);
  return found != nullptr && !found->private_key.empty() ? found : nullptr;
}

// The certificates of the service that lead from `from` towards a root.
std::vector<security::Certificate> chain_above(const resources::Dps& instance,
                                               const security::Certificate& from) {
  std::vector<security::Certificate> above;
  const security::Certificate* at = &from;
  while (above.size() < security::kPathMax && !at->is_self_issued()) {
    const auto next = std::ranges::find_if(instance.certificates, [&](const auto& one) {
      return one.certificate != *at && security::claims_issuer(*at, one.certificate) &&
             security::is_signed_by(*at, one.certificate);
    });
    if (next == instance.certificates.end()) break;
    above.push_back(next->certificate);
    at = &next->certificate;
  }
  return above;
}

}  // namespace

Task<Result<Issuance::Issuer>> Issuance::find(std::string dps, std::string policy) const {
  auto catalog = catalog_();
  const auto* found = find_issuer(*catalog, dps, policy);
  if (found == nullptr && equal_ignoring_case(policy, resources::kDefaultIssuer)) {
    auto made = co_await ensure_(dps);
    if (!made) co_return fail(std::move(made.error()));
    catalog = catalog_();
    found = find_issuer(*catalog, dps, policy);
  }
  if (found == nullptr) {
    co_return fail(errors::dps::kNoIssuer,
                   fmt::format("the credential policy '{}' is no certificate of the provisioning "
                               "service with a private key",
                               policy));
  }
  const auto now_s = to_unix_seconds(clock_.now());
  if (now_s < found->certificate.not_before_s() || now_s > found->certificate.not_after_s()) {
    co_return fail(errors::dps::kNoIssuer,
                   fmt::format("the issuer '{}' is valid from {} to {}", policy,
                               found->certificate.not_before(), found->certificate.not_after()));
  }
  auto authority = security::CertificateAuthority::load(found->certificate, found->private_key);
  if (!authority) co_return fail(errors::dps::kNoIssuer, std::move(authority.error().message));
  co_return Issuer{.authority = *std::move(authority),
                   .above = chain_above(*catalog->find_dps(dps), found->certificate),
                   .lifetime = std::chrono::days(found->issued_days)};
}

json::Array Issuance::issue(const Issuer& issuer, const security::CertificateRequest& request,
                            std::string_view common_name) const {
  const auto leaf =
      issuer.authority.issue(request, common_name, clock_.now(), issuer.lifetime, random_);
  json::Array chain;
  chain.emplace_back(base64_encode(leaf.der()));
  chain.emplace_back(base64_encode(issuer.authority.certificate().der()));
  for (const auto& one : issuer.above) chain.emplace_back(base64_encode(one.der()));
  return chain;
}

}  // namespace doppel::provisioning
