#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "event_client.h"
#include "net/amqp_connection.h"
#include "net/dial.h"
#include "protocol/amqp/session.h"

namespace doppel::bench {
namespace {

constexpr std::uint32_t kReaderCredit = 1000;

class AmqpClient final : public EventClient,
                         public amqp::ClientObserver,
                         public net::StreamOwner,
                         public std::enable_shared_from_this<AmqpClient> {
 public:
  AmqpClient(net::Loop& loop, EventSink& sink, EventClientOptions options)
      : loop_(loop), sink_(sink), options_(std::move(options)) {}

  void connect() override {
    const auto fd = net::start_connect(options_.address);
    if (!fd) return sink_.on_failure(fd.error().message);
    stream_ = std::make_shared<net::SocketStream>(loop_, *fd, options_.address, limits_, *this);
    auto connection = std::make_shared<net::AmqpConnection>(
        stream_, *this,
        amqp::EngineOptions{.container_id = net::new_amqp_container_id(),
                            .hostname = "localhost",
                            .sasl_mechanism = "PLAIN",
                            .credentials = {.user = options_.user, .password = options_.password}});
    engine_ = connection->engine().shared_from_this();
    stream_->set_receiver(std::move(connection));
    stream_->start_client(nullptr, "localhost");
  }

  void open_writer() override {
    amqp::LinkOptions link{.name = fmt::format("writer-{}", options_.index), .is_sender = true};
    link.snd_settle_mode = amqp::SenderSettleMode::unsettled;
    link.source.emplace().address = link.name;
    link.target.emplace().address = options_.write_to;
    writer_ = session_->attach(std::move(link), std::make_shared<Writer>(*this));
    if (!writer_) sink_.on_failure("no link to write on");
  }

  void open_reader() override {
    amqp::LinkOptions link{.name = fmt::format("reader-{}", options_.index),
                           .credit = kReaderCredit};
    auto& source = link.source.emplace();
    source.address = options_.read_from;
    if (!options_.filter_name.empty()) {
      source.filter.emplace().add_symbol(
          options_.filter_name,
          amqp::Value(amqp::Described{.descriptor = amqp::Value(amqp::Symbol(options_.filter_name)),
                                      .value = amqp::Value(options_.filter_value)}));
    }
    link.target.emplace().address = link.name;
    reader_ = session_->attach(std::move(link), std::make_shared<Reader>(*this));
    if (!reader_) sink_.on_failure("no link to read on");
  }

  bool send() override {
    if (!writer_ || !writer_->can_send()) return false;
    const std::string_view pieces[] = {options_.message};
    writer_->send(pieces, {.message_format = options_.message_format, .is_settled = false});
    return true;
  }

  void close() override {
    is_closing_ = true;
    if (engine_) engine_->close(std::nullopt);
  }

  void on_open(const amqp::Open&) override {
    session_ = engine_->begin_session();
    sink_.on_ready(options_.index);
  }
  void on_closed(const amqp::Condition* why) override {
    writer_.reset();
    reader_.reset();
    session_.reset();
    report("the connection ended", why);
  }
  void on_gone(net::SocketStream&) override { stream_.reset(); }

 private:
  class Writer final : public amqp::LinkHandler {
   public:
    explicit Writer(AmqpClient& client) : client_(client) {}
    void on_can_send() override {
      if (!std::exchange(is_ready_, true)) client_.sink_.on_ready(client_.options_.index);
      client_.sink_.on_can_send(client_.options_.index);
    }
    void on_verdict(std::uint32_t, const amqp::Verdict& verdict) override {
      if (verdict.kind == amqp::Verdict::Kind::accepted)
        client_.sink_.on_ack(client_.options_.index);
      else
        client_.report("an event was refused", &verdict.error);
    }
    void on_detached(const amqp::Condition* why) override { client_.report("detached", why); }

   private:
    AmqpClient& client_;
    bool is_ready_ = false;
  };

  class Reader final : public amqp::LinkHandler {
   public:
    explicit Reader(AmqpClient& client) : client_(client) {}
    void on_attached(const amqp::Attach&) override {
      client_.sink_.on_ready(client_.options_.index);
    }
    void on_message(const amqp::Delivery& delivery) override {
      if (client_.reader_) client_.reader_->accept(delivery.id);
      client_.sink_.on_event(client_.options_.index);
    }
    void on_detached(const amqp::Condition* why) override { client_.report("detached", why); }

   private:
    AmqpClient& client_;
  };

  void report(std::string_view what, const amqp::Condition* why) {
    if (is_closing_) return;
    sink_.on_failure(why == nullptr
                         ? std::string(what)
                         : fmt::format("{}: {} {}", what, why->condition, why->description));
  }

  net::Loop& loop_;
  EventSink& sink_;
  EventClientOptions options_;
  net::StreamLimits limits_{};
  std::shared_ptr<net::SocketStream> stream_;
  std::shared_ptr<amqp::ConnectionEngine> engine_;
  std::shared_ptr<amqp::Session> session_;
  std::shared_ptr<amqp::Link> writer_;
  std::shared_ptr<amqp::Link> reader_;
  bool is_closing_ = false;
};

}  // namespace

std::shared_ptr<EventClient> make_amqp_client(net::Loop& loop, EventSink& sink,
                                              EventClientOptions options) {
  return std::make_shared<AmqpClient>(loop, sink, std::move(options));
}

}  // namespace doppel::bench
