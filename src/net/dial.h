// Making connections: finding a host's addresses and starting to connect.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/worker.h"
#include "net/socket_address.h"

namespace doppel::net {

// Addresses of one host that are tried in turn.
inline constexpr std::size_t kAddressesMax = 8;

// Looks names up on a thread of its own, because the system's resolver blocks. IP addresses and
// "localhost" (with all names below it, which stock systems do not resolve) need no look-up.
class Resolver {
 public:
  Resolver() : worker_("resolver") {}

  // At least one address. Errors: not_found. Resumes on the executor that awaits it.
  Task<Result<std::vector<SocketAddress>>> find(std::string host, std::uint16_t port);

 private:
  Worker worker_;
};

// Starts connecting a non-blocking socket; give it to a SocketStream and start_client. `from`: the
// local address to use. Errors: unavailable.
Result<int> start_connect(const SocketAddress& to, const std::optional<SocketAddress>& from = {});

// "https://host:8443/path?query" taken apart.
struct Url {
  bool is_tls = true;
  std::string host;       // without brackets
  std::string authority;  // as a Host header has it
  std::uint16_t port = 443;
  std::string target;  // "/path?query"
};
// http and https only; no user, no fragment. Errors: invalid_argument.
Result<Url> parse_url(std::string_view text);

}  // namespace doppel::net
