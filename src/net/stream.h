// A two-way flow of bytes with a peer, and who takes what arrives. The socket (plain or TLS) is a
// Stream; a WebSocket over it is another; MQTT, AMQP and HTTP connections are receivers and cannot
// tell the difference. Everything here is for the loop's own thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/loop.h"
#include "protocol/http/message.h"

namespace doppel::net {

using PeerInfo = http::PeerInfo;

// Above this many unsent bytes a stream stops reading from its peer: who does not take answers gets
// no more questions in.
inline constexpr std::size_t kBacklogPauseBytes = 256 * 1024;
// When no more than this many are left of more, the receiver may send again.
inline constexpr std::size_t kBacklogDrainedBytes = 64 * 1024;

class StreamReceiver {
 public:
  virtual ~StreamReceiver() = default;

  // The stream can be used: TLS is up.
  virtual void on_open() {}
  // Takes bytes from the front of `bytes` (which it may change) and says how many. The rest comes
  // again, in front of what arrives later; so a receiver that waits returns 0 and asks to go on
  // with Stream::resume().
  virtual std::size_t on_data(std::span<char> bytes) = 0;
  // The peer has taken what waited for it, but for kBacklogDrainedBytes at most.
  virtual void on_drained() {}
  // The peer will send no more. What was queued can still be sent.
  virtual void on_end() = 0;
  // The limit set by Stream::limit_quiet has passed.
  virtual void on_quiet() = 0;
  // The server stops: finish what was accepted, then close the stream.
  virtual void on_stop() = 0;
  // The last call; the stream must not be used any more. `reason` is for the log.
  virtual void on_closed(std::string_view reason) = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Who takes what comes next, and bytes that were left over. The stream keeps it until closed.
  virtual void set_receiver(std::shared_ptr<StreamReceiver> receiver) = 0;

  // Append to out(), then call send(): the bytes leave when the current event or batch of jobs is
  // over, in one write.
  virtual std::string& out() = 0;
  virtual void send() = 0;
  virtual std::size_t backlog() const = 0;  // bytes not yet taken by the kernel

  // Stops delivering; unread bytes stay with the kernel, but for what was already read.
  virtual void pause() = 0;
  // Delivers left-over bytes again and goes on reading, soon.
  virtual void resume() = 0;

  // Calls on_quiet when touch() was not called for `limit` (rounded up by the wheel's tick). Zero:
  // no limit.
  virtual void limit_quiet(Duration limit) = 0;
  virtual void touch() = 0;

  // Sends what is queued, then ends the connection. on_closed is called before this returns.
  virtual void close(std::string_view reason) = 0;
  // Ends it at once. on_closed is called before this returns.
  virtual void abort(std::string_view reason) = 0;

  virtual Loop& loop() = 0;
  virtual const PeerInfo& peer() const = 0;
};

}  // namespace doppel::net
