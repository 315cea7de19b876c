// One AMQP 1.0 connection without its socket: bytes in, calls to services, bytes out. Keeps the
// rules of the protocol (headers, SASL, open and close, frame sizes, channels, idle time-outs,
// limits) and the sessions; sessions keep their windows and links. The same engine is the server of
// our ports and the client of our commands and tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "protocol/amqp/conditions.h"
#include "protocol/amqp/frame.h"
#include "protocol/amqp/performative.h"
#include "protocol/amqp/sasl.h"
#include "protocol/amqp/sasl_frame.h"
#include "protocol/amqp/service.h"

namespace doppel::amqp {

class LinkEndpoint;
class Session;

// Names of links and the addresses of their termini; longer ones are refused. An event hub's
// address with its consumer group has less than 400, and clients add a UUID for a name.
inline constexpr std::size_t kLinkNameBytesMax = 1024;

// Every bound of a connection. Figures that clients see are those of the real service
// (event-hubs.md, section 3).
struct EngineLimits {
  std::uint32_t frame_bytes_max = 65536;
  std::uint16_t channel_max = 4999;
  std::uint32_t handle_max = 255;
  std::uint32_t incoming_window = 5000;  // transfers, each session
  std::uint32_t outgoing_window = 5000;
  Duration idle_timeout = std::chrono::seconds(240);
  // From the first byte to the peer's open and the verdict on it.
  Duration handshake = std::chrono::seconds(30);
  // For the peer to answer our close.
  Duration closing = std::chrono::seconds(5);

  std::size_t sessions_max = 256;  // more: closed with amqp:resource-limit-exceeded
  std::size_t links_max = 5000;    // of all sessions; a session that asks for more is ended
  // Messages that come in several frames, all links together; above: the link is detached.
  std::size_t assembly_bytes_max = std::size_t{8} * 1024 * 1024;
  // Messages the services have not judged; above either the peer is not read.
  std::size_t unjudged_bytes_max = std::size_t{4} * 1024 * 1024;
  std::size_t unjudged_span_max = 16384;  // deliveries, from the oldest on, each session
  // Our messages without a verdict, each session; above: no can_send().
  std::size_t unsettled_max = 4096;
  // Outgoing bytes the peer has not taken; above: no can_send().
  std::size_t backlog_bytes_max = std::size_t{128} * 1024;
  // Of our messages that wait in the middle for a session's window, all sessions together; above:
  // no can_send().
  std::size_t remainder_bytes_max = std::size_t{8} * 1024 * 1024;
};

// The stream below, as the engine needs it.
class Transport {
 public:
  virtual std::string& out() = 0;
  // Asks for ConnectionEngine::flush when the current event is over; then out() is to be sent.
  virtual void flush_soon() = 0;
  virtual std::size_t backlog() const = 0;  // bytes of out() and below that the peer has not taken
  // Bytes that on_bytes() left are to be offered again.
  virtual void resume() = 0;
  // Sends what is in out(), then ends the stream. ConnectionEngine::on_transport_closed follows, at
  // once or later.
  virtual void close(std::string_view reason) = 0;
  virtual Executor& executor() = 0;
  virtual const PeerInfo& peer() const = 0;

 protected:
  ~Transport() = default;
};

// What an engine is told to be.
struct EngineOptions {
  EngineLimits limits{};
  std::string container_id{};  // of our open
  // Client role only.
  std::string hostname{};
  std::string sasl_mechanism{};  // empty: no SASL layer; ANONYMOUS, PLAIN, EXTERNAL, MSSBCBS
  PlainCredentials credentials{};
};

// Client role: who is told what becomes of the connection.
class ClientObserver {
 public:
  virtual ~ClientObserver() = default;
  virtual void on_open(const Open& open) = 0;
  // Once, also when it was never open. Links were told before. Null: an orderly close.
  virtual void on_closed(const Condition* why) = 0;
};

class ConnectionEngine final : public Connection,
                               public std::enable_shared_from_this<ConnectionEngine> {
 public:
  // `transport` lives until on_transport_closed, `container` longer than the engine.
  static std::shared_ptr<ConnectionEngine> server(Transport& transport, Container& container,
                                                  EngineOptions options);
  static std::shared_ptr<ConnectionEngine> client(Transport& transport, ClientObserver& observer,
                                                  EngineOptions options);
  ~ConnectionEngine() override;

  // Client role: sends the first header. Once.
  void start();
  // Client role, once open: a session, then links on it.
  std::shared_ptr<Session> begin_session();

  // Takes whole frames from the front and says how many bytes that were; the rest is to be offered
  // again with what follows it. Takes nothing while is_paused().
  std::size_t on_bytes(std::string_view bytes);
  bool is_paused() const;
  // Appends what is due: verdicts, flows, messages of links that can send. Once each event.
  void flush();
  // The backlog has become small.
  void on_drained();
  // Time passes: signs of life, idle time-out. When to call again at the latest.
  SteadyTime tick(SteadyTime now);
  // The server stops: takes nothing more, waits for the verdicts that services owe, then closes
  // with amqp:connection:forced.
  void stop();
  // The stream is gone (or was closed as we asked). The engine calls it no more.
  void on_transport_closed();

  std::shared_ptr<Connection> share() override { return shared_from_this(); }
  Executor& executor() override { return *executor_; }
  const PeerInfo& peer() const override;
  const SaslIdentity& sasl() const override { return sasl_identity_; }
  std::string_view hostname() const override { return hostname_; }
  std::string_view container_id() const override { return container_id_; }
  bool is_open() const override { return state_ == State::open; }
  Claims& claims() override { return claims_; }
  std::shared_ptr<void>& slot(const void* owner) override;
  void close(std::optional<Condition> why) override;

 private:
  friend class Session;
  friend class LinkEndpoint;
  enum class State : std::uint8_t {
    header,       // waiting for the first protocol header
    sasl,         // SASL frames
    amqp_header,  // after SASL
    opening,      // waiting for open
    judging,      // the container has the peer's open
    open,
    closing,  // our close is sent, waiting for the peer's
    closed,   // the stream below is closed, or told to be
  };
  struct Channel {
    std::uint16_t peer = 0;
    std::shared_ptr<Session> session{};
  };

  ConnectionEngine(Transport& transport, Container* container, ClientObserver* observer,
                   EngineOptions options);

  // For sessions and links.
  const EngineLimits& limits() const { return options_.limits; }
  std::string& out() { return transport_->out(); }
  template <class Performative>
  void write(std::uint16_t channel, const Performative& performative);
  std::uint32_t peer_frame_bytes() const { return peer_frame_bytes_; }
  bool has_room() const;
  // Closes with an error of the peer's, once the frame at hand is dealt with.
  void fail(Condition why);
  // Something was put into out(): it shall leave soon.
  void wrote() {
    has_sent_ = true;
    transport_->flush_soon();
  }
  void want_pump();
  void add_dirty(std::shared_ptr<Session> session);
  void offer(const std::shared_ptr<LinkEndpoint>& link);
  void count_link(int change) { link_count_ += static_cast<std::size_t>(change); }
  void count_subscription(int change) { subscription_count_ += static_cast<std::size_t>(change); }
  void count_unjudged(std::uint32_t bytes) {
    unjudged_bytes_ += bytes;
    ++unjudged_;
  }
  void uncount_unjudged(std::uint32_t bytes);
  bool reserve_assembly(std::size_t bytes);
  void release_assembly(std::size_t bytes) { assembly_bytes_ -= bytes; }
  void count_remainder(std::size_t bytes) { remainder_bytes_ += bytes; }
  void uncount_remainder(std::size_t bytes) { remainder_bytes_ -= bytes; }

  // Headers and frames (connection_frames.cc).
  std::size_t take_header(std::string_view bytes);
  std::size_t take_frame(std::string_view bytes);
  void on_header(bool is_sasl);
  void refuse_header();
  std::size_t fail_framing(std::string_view reason);
  void on_frame(const FrameHeader& header, std::string_view body);
  void dispatch(std::uint16_t channel, Performative&& performative, std::string_view payload);
  void on_open(const Open& open);
  void on_open_verdict(const std::optional<Condition>& why);
  void on_begin(std::uint16_t channel, const Begin& begin);
  void on_close(const Close& close);
  Session* find_session(std::uint16_t channel);
  std::optional<std::uint16_t> free_channel() const;
  void forget_channel(std::uint16_t channel);

  // SASL (connection_sasl.cc).
  void send_mechanisms();
  void on_sasl(const SaslFrame& frame);
  void on_sasl_init(const SaslInit& init);
  void on_sasl_response(const SaslResponse& response);
  void on_sasl_mechanisms(const SaslMechanisms& mechanisms);
  void on_sasl_outcome(const SaslOutcome& outcome);
  void ask_exchange(std::string response);
  void on_sasl_answer(const SaslAnswer& answer);
  void send_outcome(SaslCode code);
  template <class Frame>
  void write_sasl(const Frame& frame);

  // After the handlers were told: what stands in the slots is theirs. It may hold links, and so us;
  // therefore the slots are cleared even when the executor ends before it comes to that job.
  struct SlotsCleared {
    explicit SlotsCleared(std::shared_ptr<ConnectionEngine> of) : engine(std::move(of)) {}
    SlotsCleared(SlotsCleared&&) = default;
    ~SlotsCleared() {
      if (engine) engine->slots_.clear();
    }
    std::shared_ptr<ConnectionEngine> engine;
  };

  void send_open(const std::optional<Condition>& error);
  void resume_if_paused();
  void pump();
  void drop_sessions(const Condition* why);
  void end_stream(std::string_view reason);
  // `job` on our executor: at once if we are on it.
  void on_executor(Job job);

  Transport* transport_;  // null once it is gone
  Executor* executor_;
  Container* container_;
  ClientObserver* observer_;
  EngineOptions options_;
  State state_ = State::header;
  bool is_waiting_ = false;  // for an answer to SASL or open; the peer is not read
  bool is_full_ = false;     // the services have enough; the peer is not read
  bool is_stopping_ = false;
  bool is_open_sent_ = false;
  bool wants_pump_ = false;
  std::optional<Condition> failure_{};
  std::optional<Condition> close_reason_{};

  SaslIdentity sasl_identity_;
  std::unique_ptr<SaslExchange> exchange_;
  int sasl_rounds_ = 0;

  std::string hostname_;
  std::string container_id_;
  std::uint32_t peer_frame_bytes_ = kFrameBytesMin;
  std::uint16_t peer_channel_max_ = 0xffff;
  std::uint32_t peer_idle_ms_ = 0;
  Claims claims_;
  std::vector<std::pair<const void*, std::shared_ptr<void>>> slots_;

  std::vector<std::shared_ptr<Session>> sessions_;  // by our channel; gaps are null
  std::vector<Channel> channels_;                   // those the peer has begun
  std::vector<std::shared_ptr<Session>> dirty_;
  std::vector<std::shared_ptr<Session>> flushing_;
  std::size_t next_pumped_ = 0;
  std::size_t link_count_ = 0;
  std::size_t subscription_count_ = 0;
  std::size_t unjudged_ = 0;
  std::size_t unjudged_bytes_ = 0;
  std::size_t assembly_bytes_ = 0;
  std::size_t remainder_bytes_ = 0;

  bool has_heard_ = false;  // since the last tick
  bool has_sent_ = false;
  std::optional<SteadyTime> last_tick_{};
  Duration silent_for_{0};
  Duration unsaid_for_{0};
  Duration state_for_{0};  // in a state that must not last
};

template <class Performative>
void ConnectionEngine::write(std::uint16_t channel, const Performative& performative) {
  if (transport_ == nullptr || state_ == State::closed || state_ == State::closing) return;
  std::string& to = transport_->out();
  const auto start = begin_frame(to, FrameType::amqp, channel);
  append(to, performative);
  if (to.size() - start > peer_frame_bytes_) {
    to.resize(start);
    return fail({.condition = std::string(condition::kFrameSizeTooSmall),
                 .description = "An answer does not fit the peer's max-frame-size."});
  }
  end_frame(to, start);
  wrote();
}

}  // namespace doppel::amqp
