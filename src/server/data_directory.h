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
  bool is_ca_new = false;
};

// Makes the directory if it is missing. A new or empty one becomes private (0700); the mode of one
// that holds something is left alone.
Status ensure_directory(const std::string& path);
Result<security::MasterKey> read_master_key(const ServeOptions& options, Random& random);
Result<ServerIdentity> read_identity(const ServeOptions& options, const Clock& clock,
                                     Random& random);

}  // namespace doppel::server
