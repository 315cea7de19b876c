#include "net/dial.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/encoding.h"

namespace doppel::net {
namespace {

bool is_local_name(const std::string& host) {
  const auto name = to_lower(host);
  return name == "localhost" || name.ends_with(".localhost");
}

Result<std::vector<SocketAddress>> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return fail(Code::not_found, host + ": " + ::gai_strerror(error));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = found; at != nullptr && addresses.size() < kAddressesMax;
       at = at->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
    address.set_port(port);
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return fail(Code::not_found, host + ": no address");
  return addresses;
}

}  // namespace

Task<Result<std::vector<SocketAddress>>> Resolver::find(std::string host, std::uint16_t port) {
  using Found = Result<std::vector<SocketAddress>>;
  if (const auto address = SocketAddress::parse(host, port)) co_return std::vector{*address};
  if (is_local_name(host)) {
    co_return std::vector{*SocketAddress::parse("127.0.0.1", port),
                          *SocketAddress::parse("::1", port)};
  }
  std::move_only_function<void(std::move_only_function<void(Found)>)> start =
      [&](std::move_only_function<void(Found)> done) {
        worker_.post([host, port, done = std::move(done)]() mutable { done(look_up(host, port)); });
      };
  co_return co_await from_callback<Found>(std::move(start));
}

Result<int> start_connect(const SocketAddress& to, const std::optional<SocketAddress>& from) {
  const int fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto failed = [&] {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return fail(Code::unavailable, to.text() + ": " + std::strerror(error));
  };
  if (fd < 0) return failed();
  if (from && ::bind(fd, reinterpret_cast<const sockaddr*>(&from->storage), from->size) != 0)
    return failed();
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0 &&
      errno != EINPROGRESS)
    return failed();
  return fd;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  if (starts_with_ignoring_case(text, "https://")) {
    text.remove_prefix(8);
  } else if (starts_with_ignoring_case(text, "http://")) {
    text.remove_prefix(7);
    url.is_tls = false;
    url.port = 80;
  } else {
    return fail(Code::invalid_argument, "the address must begin with https:// or http://");
  }
  const auto path = std::min(text.find_first_of("/?#"), text.size());
  const auto authority = text.substr(0, path);
  auto target = text.substr(path);
  target = target.substr(0, target.find('#'));
  if (authority.find('@') != std::string_view::npos)
    return fail(Code::invalid_argument, "no user name or password may stand in the address");
  const auto bad = [](char c) { return c <= ' ' || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), bad))
    return fail(Code::invalid_argument, "blanks or control characters in the address");

  auto host = authority;
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return fail(Code::invalid_argument, "a ']' is missing");
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (!port.empty()) {
    const char* const end = port.data() + port.size();
    const auto [at, error] = std::from_chars(port.data() + 1, end, url.port);
    if (port.front() != ':' || error != std::errc{} || at != end || url.port == 0)
      return fail(Code::invalid_argument, "a port is a number from 1 to 65535");
  }
  if (host.empty()) return fail(Code::invalid_argument, "the host name is missing");
  url.host = host;
  url.authority = authority;
  url.target = target.starts_with('/') ? std::string(target) : '/' + std::string(target);
  return url;
}

}  // namespace doppel::net
