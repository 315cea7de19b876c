// The files of a data directory beside the store: master key, certificates, CLI profile.
#pragma once

#include <optional>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "cli/profile.h"
#include "net/certificates.h"
#include "security/secrets.h"
#include "server/options.h"

namespace doppel::server {

struct ServerIdentity {
  std::vector<net::CertifiedKey> identities;
  std::string ca_file;
  std::string ca_pem;  // empty: the operator brought certificates of their own
  net::NewCa new_ca = net::NewCa::no;
};

// Makes the directory if it is missing. A new or empty one becomes private (0700); the mode of one
// that holds something is left alone.
Status ensure_directory(const std::string& path);
std::string store_directory(const std::string& data_dir);
// The key that seals the secrets. Makes one where there is no store yet, so call it before the
// store is opened; beside a store a missing key is an error, and nothing is written.
Result<security::MasterKey> read_master_key(const ServeOptions& options, Random& random);
Result<ServerIdentity> read_identity(const ServeOptions& options, const Clock& clock,
                                     Random& random);
// The CAs of --trusted-ca as PEM, empty without. Errors: not one certificate in it.
Result<std::string> read_trusted_cas(const ServeOptions& options);

}  // namespace doppel::server
