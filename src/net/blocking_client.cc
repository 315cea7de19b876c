#include "net/blocking_client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/socket_stream.h"

namespace doppel::net::testing {

BlockingClient::BlockingClient(std::uint16_t port, const std::string& ip) {
  const auto address = SocketAddress::parse(ip, port);
  if (!address) throw std::runtime_error("not an address: " + ip);
  fd_ = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval wait{.tv_sec = kBlockingWaitMaxS, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address->storage), address->size) != 0) {
    const std::string reason = std::strerror(errno);
    ::close(fd_);
    throw std::runtime_error("connect: " + reason);
  }
}

BlockingClient::~BlockingClient() {
  ssl_.reset();
  ::close(fd_);
}

bool BlockingClient::handshake(const TlsContext& context, const std::string& host) {
  ssl_ = context.connect(fd_, host);
  ERR_clear_error();
  return ssl_ && SSL_do_handshake(ssl_.get()) == 1;
}

bool BlockingClient::try_send(std::string_view bytes) {
  while (!bytes.empty()) {
    ERR_clear_error();
    const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void BlockingClient::send(std::string_view bytes) {
  if (!try_send(bytes)) throw std::runtime_error("the peer takes no bytes");
}

std::string BlockingClient::receive() {
  std::array<char, 16384> buffer{};
  ERR_clear_error();
  errno = 0;
  const auto got = ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))
                        : ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got > 0) return {buffer.data(), static_cast<std::size_t>(got)};
  is_closed_ = errno != EAGAIN;
  return {};
}

std::string BlockingClient::receive_exactly(std::size_t size) {
  std::string all;
  while (all.size() < size) {
    const auto more = receive();
    if (more.empty()) break;
    all += more;
  }
  return all;
}

std::string BlockingClient::receive_until(std::string_view text) {
  std::string all;
  while (all.find(text) == std::string::npos) {
    const auto more = receive();
    if (more.empty()) break;
    all += more;
  }
  return all;
}

std::string BlockingClient::receive_all() {
  std::string all;
  for (auto more = receive(); !more.empty(); more = receive()) all += more;
  return all;
}

std::string BlockingClient::cipher_key_type() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate == nullptr ? "" : EVP_PKEY_get0_type_name(X509_get0_pubkey(certificate));
}

void BlockingClient::close_writing() {
  if (ssl_) SSL_shutdown(ssl_.get());
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace doppel::net::testing
