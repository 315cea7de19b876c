// The calibration of connect benchmarks: TLS 1.3 handshakes over sockets and nothing else, with the
// server's own TLS settings (key, ciphers, tickets).
//
//   bare_handshake serve PORT CERTIFICATE KEY [ask]       until it is killed; ask: for a client
//                                                         certificate, as the device ports do
//   bare_handshake dial PORT CA COUNT [CERTIFICATE KEY]   COUNT handshakes, one after the other;
//                                                         with a client certificate

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"

namespace {

using namespace doppel;

constexpr int kBacklog = 1024;

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

sockaddr_in loopback(const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int refuse(std::string_view what) {
  std::cerr << "bare_handshake: " << what << "\n";
  return 1;
}

// One after the other: what is measured is processor time, so nothing is gained by overlapping.
int serve(const char* port, const char* certificate, const char* key, bool asks) {
  net::TlsConfig config;
  config.identities.push_back({.chain_pem = read_text(certificate), .key_pem = read_text(key)});
  config.requests_client_certificate = asks;
  const auto context = net::TlsContext::server(config);
  if (!context) return refuse(context.error().message);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = loopback(port);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, kBacklog) != 0)
    return refuse("the port cannot be listened on");
  std::cout << "ready" << std::endl;
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return refuse("accept failed");
    {
      const auto ssl = (*context)->accept(fd);
      char byte = 0;
      // The read sees the client's close.
      if (SSL_accept(ssl.get()) == 1) SSL_read(ssl.get(), &byte, 1);
    }
    ::close(fd);
  }
}

int dial(const char* port, const char* ca, int count, const net::CertifiedKey& identity) {
  const auto context = net::TlsContext::client({.ca_pem = read_text(ca), .identity = identity});
  if (!context) return refuse(context.error().message);
  const auto address = loopback(port);
  for (int i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return refuse("nothing listens");
    {
      const auto ssl = (*context)->connect(fd, "localhost");
      if (SSL_connect(ssl.get()) != 1)
        return refuse("a handshake failed: " + net::tls_error_text());
      if (i == 0)
        std::cout << SSL_get_version(ssl.get()) << " " << SSL_get_cipher_name(ssl.get())
                  << std::endl;
      SSL_shutdown(ssl.get());
    }
    ::close(fd);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "serve" && (argc == 5 || argc == 6))
    return serve(argv[2], argv[3], argv[4], argc == 6);
  if (what == "dial" && argc == 5) return dial(argv[2], argv[3], std::atoi(argv[4]), {});
  if (what == "dial" && argc == 7)
    return dial(argv[2], argv[3], std::atoi(argv[4]),
                {.chain_pem = read_text(argv[5]), .key_pem = read_text(argv[6])});
  return refuse("serve PORT CERTIFICATE KEY [ask] | dial PORT CA COUNT [CERTIFICATE KEY]");
}
