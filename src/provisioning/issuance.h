// Operational certificates: a device that registers with a signing request is given a certificate
// by which its hub will know it (dps.md section 9). A certificate of the provisioning service that
// comes with its private key is an issuer; enrollments name one as their credential policy. The
// issuer "default" is made by the service itself when it is first needed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "base/task.h"
#include "json/value.h"
#include "resources/catalog.h"
#include "security/certificate_authority.h"

namespace doppel::provisioning {

class Issuance {
 public:
  using CatalogSource = std::function<std::shared_ptr<const resources::Catalog>()>;
  // Makes the issuer "default" of a provisioning service, once; the catalog has it afterwards.
  using EnsureIssuer = std::function<Task<Status>(std::string dps)>;

  Issuance(CatalogSource catalog, EnsureIssuer ensure, const Clock& clock, Random& random)
      : catalog_(std::move(catalog)), ensure_(std::move(ensure)), clock_(clock), random_(random) {}

  // An issuer with what devices get of it beside their own certificates.
  struct Issuer {
    security::CertificateAuthority authority;
    std::vector<security::Certificate> above;  // of the issuer's own certificate, nearest first
    Duration lifetime;
  };
  // Any thread. Errors: NoIssuer, with what is missing.
  Task<Result<Issuer>> find(std::string dps, std::string policy) const;

  // issuedCertificateChain: base64 of DER, the leaf first, then the issuer and what is above it.
  json::Array issue(const Issuer& issuer, const security::CertificateRequest& request,
                    std::string_view common_name) const;

 private:
  CatalogSource catalog_;
  EnsureIssuer ensure_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace doppel::provisioning
