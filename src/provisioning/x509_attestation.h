// The X.509 part of an enrollment: which certificates it names, and how it is written in JSON
// (dps.md sections 2.3 and 3).
//
//   {"clientCertificates":  {"primary": {"certificate": PEM, "info": {...}}, "secondary": ...}}
//   {"signingCertificates": {"primary": {"certificate": PEM, "info": {...}}, "secondary": ...}}
//   {"caReferences":        {"primary": NAME, "secondary": NAME}}
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "security/certificate.h"

namespace doppel::provisioning {

struct X509Attestation {
  enum class Form : std::uint8_t {
    client_certificates,   // of an individual enrollment: the device's leaf itself
    signing_certificates,  // of a group: a CA below which its devices are
    ca_references,         // of a group: names of certificates of the provisioning service
  };
  Form form = Form::client_certificates;
  std::optional<security::Certificate> primary{};  // at least one of the two, but for references
  std::optional<security::Certificate> secondary{};
  std::string primary_reference{};
  std::string secondary_reference{};
  // Ours: the hub knows the group's devices by the CA instead of by the thumbprint of the leaf that
  // they provisioned with. Written "hubAuthentication": "certificateAuthority" | "selfSigned".
  bool by_authority_in_hub = false;

  std::vector<security::Certificate> certificates() const;
  std::vector<std::string> references() const;
  bool holds(const security::Certificate& certificate) const;
};

// Reads the member "x509". A certificate that is given by its `info` alone is one of `stored`
// (null: none): readers get no certificates, and write back what they read. Errors:
// InvalidEnrollment with a text that names the member and the rule.
Result<X509Attestation> read_x509(const json::Value& member, bool is_group,
                                  const X509Attestation* stored);

// The member "x509", with or without the certificates themselves.
json::Object x509_json(const X509Attestation& attestation, bool shows_certificates);

// X509CertificateInfo: subjectName, thumbprints, dates, ...
json::Object certificate_info(const security::Certificate& certificate);

}  // namespace doppel::provisioning
