#include "net/listener.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

namespace doppel::net {
namespace {

// Out of descriptors or memory: look again after this long rather than spin.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
// Connections accepted before others on this loop get their turn.
constexpr int kAcceptBurst = 64;
// Tries to find a port that is free on every address.
constexpr int kPortTries = 16;

Code code_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return Code::forbidden;
    case EADDRINUSE:
      return Code::already_exists;
    default:
      return Code::unavailable;
  }
}

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<OwnedFd> bind_one(SocketAddress& address) {
  OwnedFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto failed = [&] {
    const int error = errno;
    return fail(code_of(error), address.text() + ": " + std::strerror(error));
  };
  if (fd.get() < 0) return failed();
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6)
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0)
    return failed();
  if (::listen(fd.get(), kListenBacklog) != 0) return failed();
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  return fd;
}

}  // namespace

class Listener::Acceptor final : private Ready {
 public:
  Acceptor(Loop& loop, int fd) : loop_(loop), watch_(loop, fd, static_cast<Ready&>(*this)) {}

  void start(Accepted accepted) {
    accepted_ = std::move(accepted);
    watch_.wait_readable();
  }

 private:
  // Waits on the wheel after accept ran out of descriptors.
  struct Pause final : WheelTimer {
    explicit Pause(Acceptor& owner) : acceptor(owner) {}
    void on_timer() override { acceptor.watch_.wait_readable(); }
    Acceptor& acceptor;
  };

  void on_readable() override {
    for (int i = 0; i < kAcceptBurst; ++i) {
      SocketAddress peer;
      peer.size = sizeof peer.storage;
      const int fd = ::accept4(watch_.fd(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        accepted_(fd, peer);
        continue;
      }
      if (errno == EAGAIN) break;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      log::warn("net.accept_failed", {{"reason", std::strerror(errno)}});
      return loop_.set_timer(pause_, kAcceptPause);
    }
    watch_.wait_readable();
  }
  void on_writable() override {}

  Loop& loop_;
  Watch watch_;
  Pause pause_{*this};
  Accepted accepted_;
};

Listener::Listener() = default;
Listener::~Listener() = default;

Result<std::unique_ptr<Listener>> Listener::bind(Loop& loop, const std::string& name,
                                                 const std::vector<std::string>& addresses,
                                                 std::uint16_t port) {
  for (int attempt = 1;; ++attempt) {
    std::unique_ptr<Listener> listener(new Listener());
    listener->port_ = port;
    bool is_port_lost = false;
    for (const auto& ip : addresses) {
      auto address = SocketAddress::parse(ip, listener->port_);
      if (!address) return fail(Code::invalid_argument, "not an IP address: " + ip);
      auto fd = bind_one(*address);
      const bool is_first = listener->acceptors_.empty();
      if (!fd && !is_first && port == 0 && fd.error().code == Code::already_exists &&
          attempt < kPortTries) {
        is_port_lost = true;
        break;
      }
      if (!fd && (is_first || fd.error().code == Code::already_exists))
        return fail(fd.error().code, name + ": " + fd.error().message);
      if (!fd) {
        log::warn("net.address_missing", {{"listener", name}, {"reason", fd.error().message}});
        continue;
      }
      listener->port_ = address->port();
      listener->bound_.push_back(address->text());
      listener->acceptors_.push_back(std::make_unique<Acceptor>(loop, fd->release()));
    }
    if (is_port_lost) continue;
    if (listener->acceptors_.empty())
      return fail(Code::invalid_argument, name + ": no address to listen on");
    return listener;
  }
}

void Listener::start(Accepted accepted) {
  for (auto& acceptor : acceptors_) acceptor->start(accepted);
}

}  // namespace doppel::net
