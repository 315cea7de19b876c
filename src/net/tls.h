// TLS contexts for listeners and clients, with the settings that keep ten thousands of device
// connections cheap: buffers released while idle, no chain building per handshake, no session cache
// (reference: dependencies, section 4).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace doppel::net {

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
};
using SslPointer = std::unique_ptr<ssl_st, SslDeleter>;

// A certificate with its chain (leaf first) and its key, as PEM.
struct CertifiedKey {
  std::string chain_pem;
  std::string key_pem;
};

struct TlsConfig {
  // At most one of each key type; OpenSSL picks the one the client can verify (EC P-256 before
  // RSA).
  std::vector<CertifiedKey> identities;
  // Ask for a client certificate: never required, any chain accepted. Whoever needs proof judges
  // it later. Off for ports that people's browsers use.
  bool requests_client_certificate = true;
};

struct TlsClientConfig {
  std::string ca_pem;         // trusted besides nothing else; empty: the system's trust store
  std::string more_ca_pem{};  // trusted besides the system's trust store
  bool is_verified = true;    // false: any certificate (tests and `--insecure` only)
  CertifiedKey identity{};    // shown when the server asks; empty: none
};

// Shared by connections of any thread; constant once made.
class TlsContext {
 public:
  // Errors: invalid_argument, with OpenSSL's reason.
  static Result<std::shared_ptr<const TlsContext>> server(const TlsConfig& config);
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientConfig& config);

  // A new connection over `fd`, which stays the caller's. Null only without memory.
  SslPointer accept(int fd) const;
  // `host`: the name or IP address that the server's certificate must carry, and SNI for names.
  SslPointer connect(int fd, const std::string& host) const;

 private:
  struct ContextDeleter {
    void operator()(ssl_ctx_st* context) const;
  };
  using ContextPointer = std::unique_ptr<ssl_ctx_st, ContextDeleter>;
  TlsContext(ContextPointer context, bool is_verified);

  ContextPointer context_;
  bool is_verified_;
};

// What OpenSSL says went wrong last on this thread; clears its queue.
std::string tls_error_text();

}  // namespace doppel::net
