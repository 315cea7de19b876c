#include "net/connect_time.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace doppel::net {
namespace {

// Blocks for at most `limit`.
Result<Duration> connect_once(const SocketAddress& address, Duration limit) {
  const auto began = std::chrono::steady_clock::now();
  const auto fd = start_connect(address);
  if (!fd) return fail(fd.error());
  pollfd waiting{.fd = *fd, .events = POLLOUT, .revents = 0};
  const auto limit_ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  const int ready = ::poll(&waiting, 1, static_cast<int>(limit_ms));
  const auto took = std::chrono::steady_clock::now() - began;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &size);
  ::close(*fd);
  if (ready == 0) return fail(Code::timeout, "no connection within the time limit");
  if (ready < 0 || error != 0) return fail(Code::unavailable, "no connection");
  return Duration(took);
}

}  // namespace

Task<Result<Duration>> ConnectTimer::measure(std::string host, std::uint16_t port, Duration limit) {
  auto found = co_await resolver_.find(std::move(host), port);
  if (!found) co_return fail(std::move(found.error()));
  std::move_only_function<void(std::move_only_function<void(Result<Duration>)>)> start =
      [&](std::move_only_function<void(Result<Duration>)> done) {
        worker_.post([address = found->front(), limit, done = std::move(done)]() mutable {
          done(connect_once(address, limit));
        });
      };
  auto took = co_await from_callback<Result<Duration>>(std::move(start));
  co_return took;
}

}  // namespace doppel::net
