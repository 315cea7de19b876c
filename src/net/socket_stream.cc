// A stream at work: reading, handing on, writing. How it begins and ends: socket_stream_phases.cc.
#include "net/socket_stream.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/buffers.h"

namespace doppel::net {
namespace {

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

int clamp_to_int(std::size_t size) {
  constexpr std::size_t kMost = 1U << 30;
  return static_cast<int>(std::min(size, kMost));
}

}  // namespace

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
  if (in_.empty()) empty_buffer(in_);
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
    empty_buffer(out_);
    sent_ = 0;
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

}  // namespace doppel::net
