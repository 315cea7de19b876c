// Accepts connections on addresses and hands them to the loops in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/loop.h"
#include "net/socket_address.h"

namespace doppel::net {

// What the kernel queues of connections that are not accepted yet.
inline constexpr int kListenBacklog = 4096;

// One port, on one or more addresses. Lives on one loop.
class Listener {
 public:
  // Called on the listener's loop with each accepted, non-blocking socket, which it owns.
  using Accepted = std::function<void(int fd, const SocketAddress& peer)>;

  // Any thread. Binds at once, accepts after start(). Port 0 takes a free one, the same on every
  // address. The first address must bind; of the others a failure is a warning (many machines have
  // no ::1). Errors: invalid_argument (no IP address), forbidden (no right to the port),
  // already_exists (port in use), unavailable.
  static Result<std::unique_ptr<Listener>> bind(Loop& loop, const std::string& name,
                                                const std::vector<std::string>& addresses,
                                                std::uint16_t port);
  // On the loop, or after the loop has ended.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // On the loop.
  void start(Accepted accepted);

  std::uint16_t port() const { return port_; }
  const std::vector<std::string>& bound() const { return bound_; }  // "127.0.0.1:8883", ...

 private:
  class Acceptor;
  Listener();

  std::uint16_t port_ = 0;
  std::vector<std::string> bound_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
};

}  // namespace doppel::net
