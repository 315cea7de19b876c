#include "net/amqp_connection.h"

#include <chrono>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"

namespace doppel::net {
namespace {

constexpr std::size_t kContainerIdBytes = 16;

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

metrics::Gauge& open_connections() {
  static metrics::Gauge& gauge =
      metrics::gauge("doppel_amqp_connections", "AMQP connections of the server's ports");
  return gauge;
}

}  // namespace

std::string new_amqp_container_id() {
  SystemRandom random;
  return hex_encode(random.bytes(kContainerIdBytes)) + "_G0";
}

AmqpConnection::AmqpConnection(std::shared_ptr<Stream> stream, const AmqpContext& context)
    : stream_(std::move(stream)),
      engine_(amqp::ConnectionEngine::server(
          *this, context.container,
          {.limits = context.limits, .container_id = context.container_id})),
      is_client_(false) {}

AmqpConnection::AmqpConnection(std::shared_ptr<Stream> stream, amqp::ClientObserver& observer,
                               amqp::EngineOptions options)
    : stream_(std::move(stream)),
      engine_(amqp::ConnectionEngine::client(*this, observer, std::move(options))),
      is_client_(true) {}

AmqpConnection::~AmqpConnection() { engine_->on_transport_closed(); }

void AmqpConnection::on_open() {
  if (is_client_) {
    engine_->start();
  } else {
    open_connections().add(1);
    is_counted_ = true;
  }
  on_timer();
}

std::size_t AmqpConnection::on_data(std::span<char> bytes) {
  const auto taken = engine_->on_bytes({bytes.data(), bytes.size()});
  if (engine_->is_paused()) stream_->pause();
  return taken;
}

void AmqpConnection::flush_soon() {
  stream_->loop().flush_soon(
      std::shared_ptr<Flushable>(shared_from_this(), static_cast<Flushable*>(this)));
}

void AmqpConnection::flush() {
  engine_->flush();
  if (!stream_->out().empty()) stream_->send();
}

void AmqpConnection::on_drained() { engine_->on_drained(); }

void AmqpConnection::on_end() { stream_->close("the peer closed the connection"); }

void AmqpConnection::on_stop() { engine_->stop(); }

void AmqpConnection::on_timer() {
  // The engine may end the stream within its tick, and the stream is what keeps us.
  const auto keep_alive = shared_from_this();
  const auto now = steady_now();
  const auto next = engine_->tick(now);
  if (!is_over_) stream_->loop().set_timer(*this, next - now);
}

void AmqpConnection::on_closed(std::string_view reason) {
  is_over_ = true;
  stream_->loop().clear_timer(*this);
  if (std::exchange(is_counted_, false)) open_connections().add(-1);
  // Clients are our commands: whoever runs one is told by the command.
  if (!is_client_)
    log::info("amqp.closed", {{"peer", peer().address},
                              {"container_id", engine_->container_id()},
                              {"user", engine_->sasl().user},
                              {"reason", reason}});
  engine_->on_transport_closed();
}

}  // namespace doppel::net
