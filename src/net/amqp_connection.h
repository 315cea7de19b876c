// One AMQP connection: joins a stream with amqp::ConnectionEngine, which keeps the protocol's
// rules, and gives the engine time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/stream.h"
#include "net/wheel.h"
#include "protocol/amqp/connection.h"
#include "protocol/amqp/service.h"

namespace doppel::net {

// What all AMQP connections of a server share. `container` and this outlive them.
struct AmqpContext {
  amqp::Container& container;
  amqp::EngineLimits limits{};
  std::string container_id{};  // of our open: new_amqp_container_id()
};

// "<32 hex digits>_G0", as the real service names itself.
std::string new_amqp_container_id();

class AmqpConnection final : public StreamReceiver,
                             private amqp::Transport,
                             private Flushable,
                             private WheelTimer,
                             public std::enable_shared_from_this<AmqpConnection> {
 public:
  // The server's end. Set it as the stream's receiver.
  AmqpConnection(std::shared_ptr<Stream> stream, const AmqpContext& context);
  // The client's end; `observer` lives until its on_closed.
  AmqpConnection(std::shared_ptr<Stream> stream, amqp::ClientObserver& observer,
                 amqp::EngineOptions options);
  ~AmqpConnection() override;

  amqp::ConnectionEngine& engine() { return *engine_; }

  void on_open() override;
  std::size_t on_data(std::span<char> bytes) override;
  void on_drained() override;
  void on_end() override;
  void on_quiet() override {}  // the engine has limits of its own
  void on_stop() override;
  void on_closed(std::string_view reason) override;

 private:
  std::string& out() override { return stream_->out(); }
  void flush_soon() override;
  std::size_t backlog() const override { return stream_->backlog(); }
  void resume() override { stream_->resume(); }
  void close(std::string_view reason) override { stream_->close(reason); }
  Executor& executor() override { return stream_->loop(); }
  const PeerInfo& peer() const override { return stream_->peer(); }

  void flush() override;
  void on_timer() override;

  std::shared_ptr<Stream> stream_;
  std::shared_ptr<amqp::ConnectionEngine> engine_;
  const bool is_client_;
  bool is_counted_ = false;
  bool is_over_ = false;  // no timer any more
};

}  // namespace doppel::net
