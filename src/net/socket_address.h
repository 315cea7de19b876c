// An IP address and port as the kernel takes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/socket.h>

namespace doppel::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  std::string text() const;  // "127.0.0.1:51234", "[::1]:51234"
  bool is_loopback() const;
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  // An IPv4 or IPv6 address; nothing is looked up.
  static std::optional<SocketAddress> parse(const std::string& ip, std::uint16_t port);
};

}  // namespace doppel::net
