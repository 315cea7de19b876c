#include "net/tls.h"

#include <array>
#include <memory>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls_testing.h"
#include "security/certificate_testing.h"

namespace doppel::net {
namespace {

using security::testing::Issued;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;

// A device's side, with OpenSSL alone: it keeps its session, as firmware does.
class Device {
 public:
  Device(int version, const Issued* leaf, const security::Certificate* link)
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_max_proto_version(context_.get(), version);
    if (leaf == nullptr) return;
    SSL_CTX_use_certificate(context_.get(), leaf->certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), leaf->key.get());
    if (link != nullptr) SSL_CTX_add1_chain_cert(context_.get(), link->get());
  }
  SSL_CTX* context() const { return context_.get(); }
  Session session;

 private:
  std::unique_ptr<SSL_CTX, Free> context_;
};

struct Seen {
  bool is_done = false;
  bool is_resumed = false;
  bool has_leaf = false;
  int links = 0;
};

Seen connect(const TlsContext& server, Device& device) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  const SslPointer ours = server.accept(ends[0]);
  const SslPointer theirs(SSL_new(device.context()));
  SSL_set_fd(theirs.get(), ends[1]);
  SSL_set_connect_state(theirs.get());
  if (device.session) SSL_set_session(theirs.get(), device.session.get());
  bool is_done = false;
  constexpr int kFlightsMax = 20;
  for (int i = 0; i < kFlightsMax && !is_done; ++i) {
    const bool client_done = SSL_do_handshake(theirs.get()) == 1;
    is_done = SSL_do_handshake(ours.get()) == 1 && client_done;
  }
  char byte = 0;
  SSL_read(theirs.get(), &byte, 1);  // TLS 1.3 sends tickets after the handshake
  Seen seen{.is_done = is_done,
            .is_resumed = SSL_session_reused(ours.get()) == 1,
            .has_leaf = SSL_get0_peer_certificate(ours.get()) != nullptr,
            .links = std::max(sk_X509_num(SSL_get_peer_cert_chain(ours.get())), 0)};
  device.session.reset(SSL_get1_session(theirs.get()));
  SSL_shutdown(theirs.get());
  SSL_shutdown(ours.get());
  ::close(ends[0]);
  ::close(ends[1]);
  return seen;
}

class TlsTest : public ::testing::TestWithParam<int> {
 protected:
  std::shared_ptr<const TlsContext> server =
      TlsContext::server({.identities = testing::certificates().identities}).value();
  Issued root = security::testing::issue(security::testing::ca("Root"));
  Issued device = security::testing::issue(security::testing::leaf("dev-1"), &root);
};

TEST_P(TlsTest, TakesClientsWithoutACertificate) {
  Device plain(GetParam(), nullptr, nullptr);
  const Seen first = connect(*server, plain);
  EXPECT_TRUE(first.is_done);
  EXPECT_FALSE(first.has_leaf);
  EXPECT_TRUE(connect(*server, plain).is_resumed);
}

TEST_P(TlsTest, SeesAClientsCertificateAgainWhenItResumes) {
  Device single(GetParam(), &device, nullptr);
  const Seen first = connect(*server, single);
  EXPECT_TRUE(first.is_done && first.has_leaf);
  EXPECT_EQ(first.links, 0);
  const Seen again = connect(*server, single);
  EXPECT_TRUE(again.is_done && again.is_resumed && again.has_leaf);
}

// A ticket does not hold the intermediates; without them the device could not be judged.
TEST_P(TlsTest, LetsNobodyResumeWhoSentIntermediates) {
  Device chained(GetParam(), &device, &root.certificate);
  for (int i = 0; i < 3; ++i) {
    const Seen seen = connect(*server, chained);
    EXPECT_TRUE(seen.is_done && seen.has_leaf);
    EXPECT_FALSE(seen.is_resumed);
    EXPECT_EQ(seen.links, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

}  // namespace
}  // namespace doppel::net
