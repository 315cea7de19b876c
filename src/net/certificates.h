// The certificates that Doppel makes for itself: a CA of its own, good for nothing but this
// machine's configured names, and server certificates below it.
//
// Files in the directory (docs/wire/certificate-directory.md): ca.pem, ca.key.pem (0600),
// server-ec.pem, server-ec.key.pem (0600), server-rsa.pem, server-rsa.key.pem (0600). Clients trust
// ca.pem alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "net/tls.h"

namespace doppel::net {

// The CA is trusted by hand on client machines, so it lasts; server certificates are renewed at a
// start that finds them near their end. 397 days is the most that some clients accept.
inline constexpr auto kCaLifetime = std::chrono::days(3650);
inline constexpr auto kServerLifetime = std::chrono::days(397);
inline constexpr auto kRenewBefore = std::chrono::days(30);
inline constexpr std::size_t kHostNamesMax = 256;

enum class NewCa : std::uint8_t { no, there_was_none, names_changed, near_its_end };

struct Certificates {
  std::filesystem::path ca_file;
  std::string ca_pem;
  std::vector<CertifiedKey> identities;  // EC P-256, RSA-2048
  NewCa new_ca = NewCa::no;              // else clients have to be told
  bool are_servers_new = false;
};

// Reads the certificates in `directory` or makes what is missing, near its end, or made for other
// names. `host_names`: DNS names (also "*.x") or IP addresses that clients use, beside localhost,
// *.localhost, 127.0.0.1, ::1 and the machine's name. OpenSSL and Node take no wildcard right below
// a top-level name, so "hub1.localhost" has to be named for them.
//
// The CA is name-constrained: it cannot vouch for any other name, so trusting it costs a client
// little. A new host name therefore makes a new CA, and clients need the new file.
//
// Errors: invalid_argument (a bad host name; files that are damaged or do not belong together),
// unavailable (the directory cannot be written). Blocks: call it before the loops matter. Cost: an
// RSA key, some 50 to 200 ms, once.
Result<Certificates> ensure_certificates(const std::filesystem::path& directory,
                                         const std::vector<std::string>& host_names, TimePoint now,
                                         Random& random);

}  // namespace doppel::net
