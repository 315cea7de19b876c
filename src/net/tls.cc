#include "net/tls.h"

#include <array>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"

namespace doppel::net {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct X509Deleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct PkeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using BioPointer = std::unique_ptr<BIO, BioDeleter>;
using X509Pointer = std::unique_ptr<X509, X509Deleter>;
using PkeyPointer = std::unique_ptr<EVP_PKEY, PkeyDeleter>;

constexpr std::string_view kSessionContext = "doppel";

BioPointer memory_bio(std::string_view text) {
  return BioPointer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<X509Pointer> read_certificates(std::string_view pem) {
  std::vector<X509Pointer> certificates;
  const auto bio = memory_bio(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(one);
  ERR_clear_error();  // the end of the text counts as an error
  return certificates;
}

Status use_identity(SSL_CTX* context, const CertifiedKey& identity) {
  auto certificates = read_certificates(identity.chain_pem);
  if (certificates.empty()) return fail(Code::invalid_argument, "no certificate in the PEM text");
  const auto bio = memory_bio(identity.key_pem);
  const PkeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key)
    return fail(Code::invalid_argument, "the private key cannot be read: " + tls_error_text());

  STACK_OF(X509)* chain = sk_X509_new_null();
  for (std::size_t i = 1; i < certificates.size(); ++i) sk_X509_push(chain, certificates[i].get());
  const int used =
      SSL_CTX_use_cert_and_key(context, certificates.front().get(), key.get(), chain, 1);
  sk_X509_free(chain);
  if (used != 1) {
    return fail(Code::invalid_argument,
                "certificate and key cannot be used together: " + tls_error_text());
  }
  return {};
}

void set_common(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // RELEASE_BUFFERS: 14 KiB an idle connection instead of 26. NO_AUTO_CHAIN: without it every
  // handshake builds and verifies our own chain again.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                                SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // One read call takes every record that has arrived.
  SSL_CTX_set_read_ahead(context, 1);
}

// Any chain is accepted here, unread: self-signed device certificates are normal, and who needs
// proof (provisioning, the hub) judges the chain against its own records. That the peer holds the
// leaf's key is proven all the same.
int accept_any(X509_STORE_CTX* context, void* /*argument*/) {
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

// A session ticket keeps the peer's leaf, but not what else it sent. A device that sent more must
// do so again, or its path would end at the leaf: its ticket is marked, and not taken.
constexpr std::string_view kSentChain = "chain";

int mark_ticket(SSL* ssl, void* /*argument*/) {
  if (sk_X509_num(SSL_get_peer_cert_chain(ssl)) <= 0) return 1;
  SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), kSentChain.data(), kSentChain.size());
  return 1;
}

SSL_TICKET_RETURN judge_ticket(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/,
                               std::size_t /*name_size*/, SSL_TICKET_STATUS status,
                               void* /*argument*/) {
  void* data = nullptr;
  std::size_t size = 0;
  switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW:
      if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size > 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
      return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    default:
      return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
}

bool is_ip_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace

void SslDeleter::operator()(ssl_st* ssl) const { SSL_free(ssl); }
void TlsContext::ContextDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

TlsContext::TlsContext(ContextPointer context, bool is_verified)
    : context_(std::move(context)), is_verified_(is_verified) {}

std::string tls_error_text() {
  std::array<char, 256> text{};
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsConfig& config) {
  ERR_clear_error();
  ContextPointer context(SSL_CTX_new(TLS_server_method()));
  check(context != nullptr, "OpenSSL makes a context");
  set_common(context.get());
  // One ticket a connection: two cost more and gain nothing; a context id, or resuming with a
  // client certificate fails.
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_session_id_context(context.get(),
                                 reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 kSessionContext.size());
  // Device firmware often closes TCP without a close_notify; MQTT and HTTP know their ends without.
  SSL_CTX_set_options(context.get(),
                      SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (config.requests_client_certificate) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), accept_any, nullptr);
    SSL_CTX_set_session_ticket_cb(context.get(), mark_ticket, judge_ticket, nullptr);
  }
  if (config.identities.empty()) return fail(Code::invalid_argument, "no server certificate");
  for (const auto& identity : config.identities) {
    if (auto used = use_identity(context.get(), identity); !used) return fail(used.error());
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context), false));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientConfig& config) {
  ERR_clear_error();
  ContextPointer context(SSL_CTX_new(TLS_client_method()));
  check(context != nullptr, "OpenSSL makes a context");
  set_common(context.get());
  if (config.is_verified) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (config.ca_pem.empty()) SSL_CTX_set_default_verify_paths(context.get());
    const std::string& given = config.ca_pem.empty() ? config.more_ca_pem : config.ca_pem;
    if (!given.empty()) {
      const auto certificates = read_certificates(given);
      if (certificates.empty()) return fail(Code::invalid_argument, "no CA certificate in the PEM");
      for (const auto& one : certificates)
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), one.get());
      // A trusted intermediate is enough, as with curl and Node.
      X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
    }
  }
  if (!config.identity.chain_pem.empty()) {
    if (auto used = use_identity(context.get(), config.identity); !used) return fail(used.error());
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context), config.is_verified));
}

SslPointer TlsContext::accept(int fd) const {
  SslPointer ssl(SSL_new(context_.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
  SSL_set_accept_state(ssl.get());
  return ssl;
}

SslPointer TlsContext::connect(int fd, const std::string& host) const {
  SslPointer ssl(SSL_new(context_.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
  const bool is_ip = is_ip_address(host);
  if (!is_ip) SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  if (is_verified_) {
    auto* const wanted = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str())
                          : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
    if (set != 1) return nullptr;
  }
  SSL_set_connect_state(ssl.get());
  return ssl;
}

}  // namespace doppel::net
