// The phases of a stream in which nothing is exchanged yet or any more: connecting, the TLS
// handshake, closing, lingering. The work in between: socket_stream.cc.
#include <cerrno>
#include <cstring>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/metrics.h"
#include "net/socket_stream.h"

namespace doppel::net {
namespace {

// Input thrown away while waiting for the peer to close, before we close hard.
constexpr std::size_t kLingerBytesMax = 1024 * 1024;

metrics::Counter& handshakes_failed() {
  static metrics::Counter& counter =
      metrics::counter("doppel_net_handshakes_failed_total", "TLS handshakes that did not finish");
  return counter;
}

}  // namespace

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
