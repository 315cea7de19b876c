#include "net/socket_stream.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"

namespace doppel::net {
namespace {

// An outbox this small stays allocated between answers; a larger one is given back.
constexpr std::size_t kOutboxKeptBytes = 512;
// Input thrown away while waiting for the peer to close, before we close hard.
constexpr std::size_t kLingerBytesMax = 1024 * 1024;

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

metrics::Counter& handshakes_failed() {
  static metrics::Counter& counter =
      metrics::counter("doppel_net_handshakes_failed_total", "TLS handshakes that did not finish");
  return counter;
}

int clamp_to_int(std::size_t size) {
  constexpr std::size_t kMost = 1U << 30;
  return static_cast<int>(std::min(size, kMost));
}

}  // namespace

std::string SocketAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> ip{};
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, ip.data(), ip.size());
    return '[' + std::string(ip.data()) + "]:" + std::to_string(port());
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
  ::inet_ntop(AF_INET, &v4.sin_addr, ip.data(), ip.size());
  return std::string(ip.data()) + ':' + std::to_string(port());
}

bool SocketAddress::is_loopback() const {
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return v6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  return (ntohl(reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr) >> 24) == 127;
}

std::uint16_t SocketAddress::port() const {
  return ntohs(storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

void SocketAddress::set_port(std::uint16_t port) {
  if (storage.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

std::optional<SocketAddress> SocketAddress::parse(const std::string& ip, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
    address.storage.ss_family = AF_INET;
    address.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) {
    address.storage.ss_family = AF_INET6;
    address.size = sizeof v6;
  } else {
    return std::nullopt;
  }
  address.set_port(port);
  return address;
}

SocketStream::SocketStream(Loop& loop, int fd, const SocketAddress& peer,
                           const StreamLimits& limits, StreamOwner& owner)
    : loop_(loop),
      limits_(limits),
      owner_(owner),
      watch_(std::make_unique<Watch>(loop, fd, static_cast<Ready&>(*this))) {
  const int on = 1;
  // Answers are coalesced here already; waiting for more in the kernel would only delay them.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  peer_.address = peer.text();
  peer_.is_loopback = peer.is_loopback();
}

SocketStream::~SocketStream() = default;

void SocketStream::start_server(const TlsContext* tls) {
  if (tls == nullptr) {
    opened();
    return;
  }
  ssl_ = tls->accept(watch_->fd());
  if (!ssl_) return abort("no memory for TLS");
  loop_.set_timer(phase_timer_, limits_.handshake);
  continue_handshake();
}

void SocketStream::start_client(const TlsContext* tls, const std::string& host) {
  is_client_ = true;
  state_ = State::connecting;
  if (tls != nullptr) {
    ssl_ = tls->connect(watch_->fd(), host);
    if (!ssl_) return abort("no TLS connection can be made for this host name");
  }
  loop_.set_timer(phase_timer_, limits_.handshake);
  watch_->wait_writable();
}

void SocketStream::continue_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(watch_->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return abort(std::strerror(error));
  if (!ssl_) return opened();
  state_ = State::handshaking;
  continue_handshake();
}

void SocketStream::continue_handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) return opened();
  switch (SSL_get_error(ssl_.get(), done)) {
    case SSL_ERROR_WANT_READ:
      watch_->wait_readable();
      return;
    case SSL_ERROR_WANT_WRITE:
      watch_->wait_writable();
      return;
    default: {
      is_broken_ = true;
      handshakes_failed().add();
      std::string reason = "TLS handshake failed: ";
      const long verified = SSL_get_verify_result(ssl_.get());
      if (is_client_ && verified != X509_V_OK) {
        reason += X509_verify_cert_error_string(verified);
        ERR_clear_error();
      } else {
        reason += tls_error_text();
      }
      abort(reason);
    }
  }
}

void SocketStream::opened() {
  loop_.clear_timer(phase_timer_);
  state_ = State::open;
  if (ssl_) {
    if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name))
      peer_.server_name = name;
    peer_.client_certificate = SSL_get0_peer_certificate(ssl_.get());
    peer_.client_chain = SSL_get_peer_cert_chain(ssl_.get());
  }
  touch();
  const auto receiver = receiver_;
  if (receiver) receiver->on_open();
  if (state_ == State::open) read_some();
}

void SocketStream::set_receiver(std::shared_ptr<StreamReceiver> receiver) {
  receiver_ = std::move(receiver);
}

bool SocketStream::takes_input() const {
  return state_ == State::open && !is_paused_ && !is_ended_ && backlog() <= kBacklogPauseBytes;
}

SocketStream::Got SocketStream::read_into(std::span<char> buffer, std::size_t& size) {
  if (!ssl_) {
    const auto got = ::recv(watch_->fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      size = static_cast<std::size_t>(got);
      return Got::bytes;
    }
    if (got == 0) return Got::end;
    return errno == EAGAIN || errno == EINTR ? Got::nothing : Got::failure;
  }
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), buffer.data(), clamp_to_int(buffer.size()));
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return Got::bytes;
  }
  switch (SSL_get_error(ssl_.get(), got)) {
    case SSL_ERROR_WANT_READ:
      return Got::nothing;
    case SSL_ERROR_WANT_WRITE:  // a key update wants out first
      is_read_blocked_on_write_ = true;
      return Got::nothing;
    case SSL_ERROR_ZERO_RETURN:
      return Got::end;
    default:
      is_broken_ = true;
      return Got::failure;
  }
}

void SocketStream::read_some() {
  const auto keep_alive = shared_from_this();
  while (takes_input()) {
    // As many records as there are, so that their answers leave together.
    const auto buffer = loop_.read_buffer();
    std::size_t filled = 0;
    Got got = Got::bytes;
    while (filled < buffer.size()) {
      std::size_t size = 0;
      got = read_into(buffer.subspan(filled), size);
      if (got != Got::bytes) break;
      filled += size;
      if (ssl_ && SSL_has_pending(ssl_.get()) == 0) break;
      if (!ssl_) break;
    }
    if (filled > 0) deliver(buffer.first(filled));
    if (state_ != State::open) return;
    if (got == Got::end) {
      is_ended_ = true;
      const auto receiver = receiver_;
      if (receiver) receiver->on_end();
      return;
    }
    if (got == Got::failure) return abort(ssl_ ? "TLS failed" : "the connection was reset");
    if (got == Got::bytes && filled == buffer.size()) {
      resume();  // others first; OpenSSL may hold bytes that epoll does not know of
      return;
    }
    if (std::exchange(is_read_blocked_on_write_, false)) watch_->wait_writable();
    break;
  }
  if (takes_input()) watch_->wait_readable();
}

// The top of a connection's work: what escapes it costs the connection, not the process.
std::size_t SocketStream::offer(StreamReceiver& receiver, std::span<char> bytes) {
  std::string reason;
  try {
    return receiver.on_data(bytes);
  } catch (const std::exception& error) {
    reason = error.what();
  }
  log::error("net.connection_failed", {{"peer", peer_.address}, {"reason", reason}});
  abort("internal error");
  return 0;
}

// Gives the receiver left-over and fresh bytes until it takes no more. A receiver that hands the
// stream over (upgrade to WebSocket) leaves the rest to its successor.
void SocketStream::deliver(std::span<char> fresh) {
  is_delivering_ = true;
  if (!in_.empty()) {
    in_.append(fresh.data(), fresh.size());
    fresh = {};
  }
  while (state_ == State::open && !is_paused_) {
    const std::span<char> bytes = in_.empty() ? fresh : std::span<char>(in_);
    if (bytes.empty()) break;
    const auto receiver = receiver_;
    if (!receiver) break;
    const std::size_t taken = offer(*receiver, bytes);
    if (in_.empty())
      fresh = fresh.subspan(std::min(taken, fresh.size()));
    else
      in_.erase(0, taken);
    if (receiver == receiver_) break;
  }
  is_delivering_ = false;
  if (state_ == State::closed) in_.clear();
  if (in_.empty() && !fresh.empty() && state_ == State::open)
    in_.assign(fresh.data(), fresh.size());
  if (in_.empty() && in_.capacity() > kOutboxKeptBytes) in_ = std::string();
}

void SocketStream::resume() {
  is_paused_ = false;
  if (std::exchange(is_resuming_, true)) return;
  loop_.post([self = shared_from_this()] {
    self->is_resuming_ = false;
    if (!self->in_.empty() && self->state_ == State::open && !self->is_paused_) self->deliver({});
    if (self->state_ == State::open) self->read_some();
  });
}

void SocketStream::send() {
  if (state_ != State::open) return;
  loop_.flush_soon(std::shared_ptr<Flushable>(shared_from_this(), static_cast<Flushable*>(this)));
}

bool SocketStream::write_out() {
  while (sent_ < out_.size()) {
    const char* const from = out_.data() + sent_;
    const std::size_t left = out_.size() - sent_;
    if (!ssl_) {
      const auto wrote = ::send(watch_->fd(), from, left, MSG_NOSIGNAL);
      if (wrote > 0) {
        sent_ += static_cast<std::size_t>(wrote);
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) is_broken_ = true;
      return false;
    }
    ERR_clear_error();
    const int wrote = SSL_write(ssl_.get(), from, clamp_to_int(left));
    if (wrote > 0) {
      sent_ += static_cast<std::size_t>(wrote);
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), wrote);
    if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) is_broken_ = true;
    return false;
  }
  return true;
}

void SocketStream::compact() {
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
    if (out_.capacity() > kOutboxKeptBytes) out_ = std::string();
  } else if (sent_ > kReadBufferBytes) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
}

void SocketStream::flush() {
  if (state_ != State::open && state_ != State::closing) return;
  const auto before = backlog();
  const bool is_done = write_out();
  if (is_broken_) return abort("the peer is gone");
  const bool has_moved = backlog() < before;
  const bool was_full = before > kBacklogPauseBytes;
  compact();
  if (is_done) {
    if (state_ == State::closing) return begin_linger();
    loop_.clear_timer(phase_timer_);
  } else {
    if (has_moved || !phase_timer_.is_set()) loop_.set_timer(phase_timer_, limits_.write_stall);
    watch_->wait_writable();
  }
  if (was_full && takes_input()) resume();
  if (before > kBacklogDrainedBytes && backlog() <= kBacklogDrainedBytes && state_ == State::open) {
    if (const auto receiver = receiver_) receiver->on_drained();
  }
}

void SocketStream::on_readable() {
  const auto keep_alive = shared_from_this();
  switch (state_) {
    case State::handshaking:
      return continue_handshake();
    case State::open:
      return read_some();
    case State::lingering:
      return drain_input();
    case State::connecting:
    case State::closing:
    case State::closed:
      return;
  }
}

void SocketStream::on_writable() {
  const auto keep_alive = shared_from_this();
  switch (state_) {
    case State::connecting:
      return continue_connect();
    case State::handshaking:
      return continue_handshake();
    case State::open:
      flush();
      if (state_ == State::open && backlog() == 0) read_some();
      return;
    case State::closing:
      return flush();
    case State::lingering:
    case State::closed:
      return;
  }
}

void SocketStream::limit_quiet(Duration limit) {
  quiet_limit_ = limit;
  touch();
  if (limit > Duration::zero())
    loop_.set_timer(*this, limit);
  else
    loop_.clear_timer(*this);
}

void SocketStream::touch() { touched_ = steady_now(); }

void SocketStream::on_timer() {
  const auto keep_alive = shared_from_this();
  if (state_ != State::open || quiet_limit_ == Duration::zero()) return;
  // Setting the wheel on each packet would cost more than looking once when it fires.
  const auto quiet = steady_now() - touched_;
  if (quiet < quiet_limit_) return loop_.set_timer(*this, quiet_limit_ - quiet);
  const auto receiver = receiver_;
  if (receiver) receiver->on_quiet();
}

void SocketStream::on_phase_limit() {
  const auto keep_alive = shared_from_this();
  switch (state_) {
    case State::connecting:
      return abort("no connection within the time limit");
    case State::handshaking:
      handshakes_failed().add();
      return abort("no TLS handshake within the time limit");
    case State::open:
    case State::closing:
      return abort("the peer does not read");
    case State::lingering:
      return destroy();
    case State::closed:
      return;
  }
}

void SocketStream::stop() {
  const auto keep_alive = shared_from_this();
  if (state_ == State::connecting || state_ == State::handshaking) return abort("server stops");
  const auto receiver = receiver_;
  if (state_ == State::open && receiver) receiver->on_stop();
}

void SocketStream::tell_closed(std::string_view reason) {
  loop_.clear_timer(*this);
  quiet_limit_ = Duration::zero();
  const auto receiver = std::exchange(receiver_, nullptr);
  if (receiver) receiver->on_closed(reason);
}

void SocketStream::close(std::string_view reason) {
  if (state_ == State::connecting || state_ == State::handshaking) return abort(reason);
  if (state_ != State::open) return;
  const auto keep_alive = shared_from_this();
  state_ = State::closing;
  tell_closed(reason);
  loop_.set_timer(phase_timer_, limits_.write_stall);
  loop_.flush_soon(std::shared_ptr<Flushable>(keep_alive, static_cast<Flushable*>(this)));
}

void SocketStream::begin_linger() {
  state_ = State::lingering;
  if (ssl_ && !is_broken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // says goodbye; the peer's own goodbye is not waited for
  }
  ::shutdown(watch_->fd(), SHUT_WR);
  if (is_ended_) return destroy();
  // Closing with unread input would reset the connection and could take our last answer from the
  // peer: so read on, for a while.
  loop_.set_timer(phase_timer_, limits_.linger);
  drain_input();
}

void SocketStream::drain_input() {
  const auto buffer = loop_.read_buffer();
  for (std::size_t drained = 0; drained < kLingerBytesMax;) {
    const auto got = ::recv(watch_->fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      drained += static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return watch_->wait_readable();
    break;
  }
  destroy();
}

void SocketStream::abort(std::string_view reason) {
  if (state_ == State::closed) return;
  const auto keep_alive = shared_from_this();
  if (state_ == State::lingering || state_ == State::closing) return destroy();
  state_ = State::closing;
  tell_closed(reason);
  destroy();
}

void SocketStream::destroy() {
  if (state_ == State::closed) return;
  const auto keep_alive = shared_from_this();
  state_ = State::closed;
  loop_.clear_timer(phase_timer_);
  loop_.clear_timer(*this);
  // The receiver may still be looking at peer() further up the stack, so what it points to goes
  // only with the stream; the descriptor is freed now.
  watch_.reset();
  if (!is_delivering_) in_ = std::string();  // else the receiver still looks at it
  out_ = std::string();
  sent_ = 0;
  owner_.on_gone(*this);
}

}  // namespace doppel::net
