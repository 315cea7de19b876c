// A TCP connection, with or without TLS, as a Stream: handshake, reading into the loop's shared
// buffer, coalesced writes, time limits, an orderly end. Costs an idle connection no buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/socket_address.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/wheel.h"

namespace doppel::net {

struct StreamLimits {
  // From accept (or connect) to a finished TLS handshake.
  Duration handshake = std::chrono::seconds(10);
  // A peer that takes none of the bytes that wait for it.
  Duration write_stall = std::chrono::seconds(30);
  // For the peer to take our last bytes and close its side.
  Duration linger = std::chrono::seconds(2);
};

class SocketStream;

// Keeps streams alive; told when one is over.
class StreamOwner {
 public:
  virtual void on_gone(SocketStream& stream) = 0;

 protected:
  ~StreamOwner() = default;
};

class SocketStream final : public Stream,
                           public std::enable_shared_from_this<SocketStream>,
                           private Flushable,
                           private Ready,
                           private WheelTimer {
 public:
  // `fd` is accepted, connected or connecting, non-blocking, and owned from here on. `tls` null:
  // plain TCP. `limits` and `owner` outlive the stream. Call start() once a receiver is set.
  SocketStream(Loop& loop, int fd, const SocketAddress& peer, const StreamLimits& limits,
               StreamOwner& owner);
  ~SocketStream() override;

  void start_server(const TlsContext* tls);
  // Waits for the connection to be made first. `host`: see TlsContext::connect.
  void start_client(const TlsContext* tls, const std::string& host);

  void set_receiver(std::shared_ptr<StreamReceiver> receiver) override;
  std::string& out() override { return out_; }
  void send() override;
  std::size_t backlog() const override { return out_.size() - sent_; }
  void pause() override { is_paused_ = true; }
  void resume() override;
  void limit_quiet(Duration limit) override;
  void touch() override;
  void close(std::string_view reason) override;
  void abort(std::string_view reason) override;
  Loop& loop() override { return loop_; }
  const PeerInfo& peer() const override { return peer_; }

  // The server stops: tells the receiver, or ends a handshake.
  void stop();

 private:
  enum class State : std::uint8_t { connecting, handshaking, open, closing, lingering, closed };
  enum class Got : std::uint8_t { bytes, nothing, end, failure };

  // Limits that do not belong to the receiver: handshake, stalled writes, lingering.
  struct PhaseTimer final : WheelTimer {
    explicit PhaseTimer(SocketStream& owner) : stream(owner) {}
    void on_timer() override { stream.on_phase_limit(); }
    SocketStream& stream;
  };

  void flush() override;
  void on_readable() override;
  void on_writable() override;
  void on_timer() override;
  void on_phase_limit();

  void continue_connect();
  void continue_handshake();
  void opened();
  void read_some();
  Got read_into(std::span<char> buffer, std::size_t& size);
  void deliver(std::span<char> fresh);
  std::size_t offer(StreamReceiver& receiver, std::span<char> bytes);
  bool takes_input() const;
  // True when all is written.
  bool write_out();
  void compact();
  void begin_linger();
  void drain_input();
  void tell_closed(std::string_view reason);
  void destroy();

  Loop& loop_;
  const StreamLimits& limits_;
  StreamOwner& owner_;
  std::unique_ptr<Watch> watch_;
  SslPointer ssl_;
  std::shared_ptr<StreamReceiver> receiver_;
  std::string in_;   // read, not yet taken
  std::string out_;  // not yet written, from sent_ on
  std::size_t sent_ = 0;
  PhaseTimer phase_timer_{*this};
  Duration quiet_limit_{0};
  SteadyTime touched_{};
  PeerInfo peer_;
  State state_ = State::handshaking;
  bool is_client_ = false;
  bool is_paused_ = false;
  bool is_resuming_ = false;
  bool is_delivering_ = false;
  bool is_ended_ = false;   // the peer sends no more
  bool is_broken_ = false;  // TLS failed: no goodbye may be sent
  bool is_read_blocked_on_write_ = false;
};

}  // namespace doppel::net
