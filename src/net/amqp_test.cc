// AMQP over real loopback sockets: TLS, plain and WebSocket. The client is the engine over a
// blocking socket.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "net/blocking_client.h"
#include "net/server.h"
#include "net/tls_testing.h"
#include "protocol/amqp/engine_testing.h"
#include "protocol/websocket/frame.h"

namespace doppel::net {
namespace {

using amqp::testing::Endpoint;
using amqp::testing::TestHandler;
using testing::BlockingClient;

// `echo` sends back what comes to it, `sink` accepts, `flood` sends without end.
class EchoNodes final : public amqp::Container, public amqp::Service {
 public:
  amqp::Service* service_for(const amqp::LinkQuery& query) override {
    return query.address == "nobody" ? nullptr : this;
  }
  void on_attach(std::shared_ptr<amqp::Link> link) override {
    auto handler = std::make_shared<Handler>(*this, link);
    link->attach(std::move(handler), {});
  }
  std::atomic<std::size_t> flooded = 0;
  std::atomic<int> detached = 0;

 private:
  struct Handler final : amqp::LinkHandler {
    Handler(EchoNodes& nodes, std::shared_ptr<amqp::Link> opened)
        : owner(nodes), link(std::move(opened)) {}
    void on_message(const amqp::Delivery& delivery) override { link->accept(delivery.id); }
    void on_can_send() override {
      if (link->address() != "flood") return;
      while (link->can_send()) {
        link->send({&text_view, 1}, {});
        owner.flooded += text.size();
      }
    }
    void on_detached(const amqp::Condition*) override {
      ++owner.detached;
      link.reset();
    }
    EchoNodes& owner;
    std::shared_ptr<amqp::Link> link;
    std::string text = std::string(10'000, 'f');
    std::string_view text_view = text;
  };
};

class AmqpTest : public ::testing::Test {
 protected:
  explicit AmqpTest(const amqp::EngineLimits& limits = {}) {
    prepare_process();
    ServerConfig config;
    config.listeners = {{.name = "https", .protocol = Protocol::http},
                        {.name = "amqps", .protocol = Protocol::amqp},
                        {.name = "amqp", .protocol = Protocol::amqp, .has_tls = false}};
    config.amqp = limits;
    config.identities = testing::certificates().identities;
    server = std::make_unique<Server>(loops, std::move(config), router,
                                      [](const mqtt::Connect&) { return nullptr; });
    server->set_amqp(nodes);
    EXPECT_TRUE(server->start().has_value());
    end.engine = amqp::ConnectionEngine::client(
        end.transport, observer, {.hostname = "localhost", .sasl_mechanism = "ANONYMOUS"});
  }
  ~AmqpTest() override {
    server->stop(std::chrono::seconds(1));
    loops.stop();
  }

  void connect(const std::string& listener, bool has_tls) {
    socket = std::make_unique<BlockingClient>(server->port(listener));
    if (!has_tls) return;
    ASSERT_TRUE(socket->handshake(*testing::client_context()));
  }
  void upgrade() {
    socket->send(
        "GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n");
    const auto answer = socket->receive_until("\r\n\r\n");
    ASSERT_NE(answer.find("Sec-WebSocket-Protocol: AMQPWSB10\r\n"), std::string::npos) << answer;
    reader.emplace(websocket::Sender::server);
  }
  // Moves bytes until `is_done`; fails the test when the server closes or says nothing any more.
  void run_until(const std::function<bool()>& is_done) {
    for (;;) {
      while (executor.run_until_idle() || end.work()) {
      }
      if (const auto bytes = end.take(); !bytes.empty()) socket->send(framed(bytes));
      if (is_done()) return;
      const auto bytes = socket->receive();
      ASSERT_FALSE(bytes.empty()) << "the server closed or is silent";
      end.receive(reader ? unframed(bytes) : bytes);
    }
  }
  std::string framed(const std::string& bytes) const {
    if (!reader) return bytes;
    std::string frame;
    websocket::append_frame(frame, websocket::Opcode::binary, bytes, 0x11223344U);
    return frame;
  }
  std::string unframed(const std::string& bytes) {
    raw += bytes;
    std::string payload;
    for (;;) {
      const auto event = reader->next(std::span<char>(raw));
      if (event.kind == websocket::EventKind::needs_more) return payload;
      payload += event.payload;
      raw.erase(0, event.consumed);
    }
  }
  void open() {
    end.engine->start();
    run_until([&] { return end.engine->is_open(); });
    session = end.engine->begin_session();
  }
  // Sends messages of all sizes and waits for their verdicts.
  void send_and_wait() {
    const auto handler = std::make_shared<TestHandler>();
    const auto link = session->attach(amqp::testing::sender_to("sink"), handler);
    run_until([&] { return link->can_send(); });
    for (const std::size_t size : {1UL, 1000UL, 100'000UL}) {
      const std::string text(size, 'x');
      const std::string_view piece = text;
      link->send({&piece, 1}, {.is_settled = false});
      run_until([&] { return link->can_send(); });
    }
    run_until([&] { return handler->verdicts.size() == 3; });
    for (const auto& [id, verdict] : handler->verdicts)
      EXPECT_EQ(verdict.kind, amqp::Verdict::Kind::accepted) << id;
  }

  Loops loops{2, std::chrono::milliseconds(10)};
  http::Router router;
  EchoNodes nodes;
  std::unique_ptr<Server> server;
  std::unique_ptr<BlockingClient> socket;
  std::optional<websocket::FrameReader> reader;
  std::string raw;
  doppel::testing::ManualClock clock;
  doppel::testing::ManualExecutor executor{clock};
  amqp::testing::TestObserver observer;
  Endpoint end{executor};
  std::shared_ptr<amqp::Session> session;
};

TEST_F(AmqpTest, CarriesMessagesOverTls) {
  connect("amqps", true);
  open();
  send_and_wait();
  ASSERT_TRUE(observer.opened.has_value());
  EXPECT_THAT(observer.opened->container_id, ::testing::MatchesRegex("[0-9a-f]+_G0"));
}

TEST_F(AmqpTest, CarriesMessagesWithoutTls) {
  connect("amqp", false);
  open();
  send_and_wait();
}

TEST_F(AmqpTest, CarriesMessagesOverAWebSocket) {
  connect("https", true);
  upgrade();
  open();
  send_and_wait();
}

// A receiver that does not read holds little of the server's memory, and gets all when it does.
TEST_F(AmqpTest, StopsSendingToAPeerThatDoesNotReadAndGoesOn) {
  connect("amqps", true);
  open();
  const auto handler = std::make_shared<TestHandler>();
  auto options = amqp::testing::receiver_from("flood", 5000);
  session->attach(std::move(options), handler);
  run_until([&] { return handler->messages.size() >= 2000; });
  EXPECT_GE(nodes.flooded.load(), 20'000'000u);
}

TEST_F(AmqpTest, ClosesInOrderWhenTheServerStops) {
  connect("amqps", true);
  open();
  const auto handler = std::make_shared<TestHandler>();
  session->attach(amqp::testing::sender_to("sink"), handler);
  run_until([&] { return handler->attached.has_value(); });
  std::thread stopping([&] { server->stop(std::chrono::seconds(5)); });
  run_until([&] { return observer.closed_calls == 1 || handler->detached_calls == 1; });
  stopping.join();
  ASSERT_TRUE(handler->detached_why.has_value());
  EXPECT_EQ(handler->detached_why->condition, "amqp:connection:forced");
}

// Zombies keep the owner level of a partition: a connection that is cut detaches at once.
TEST_F(AmqpTest, DetachesLinksWhenTheSocketIsCut) {
  connect("amqps", true);
  open();
  const auto handler = std::make_shared<TestHandler>();
  session->attach(amqp::testing::sender_to("sink"), handler);
  run_until([&] { return handler->attached.has_value(); });
  socket.reset();
  server->stop(std::chrono::seconds(5));
  EXPECT_EQ(nodes.detached.load(), 1);
}

// A peer that has not come to its open within the limit is ended by a timer, out of which the
// stream and the connection that the timer belongs to go.
struct AmqpHalfOpenTest : AmqpTest {
  AmqpHalfOpenTest()
      : AmqpTest({.handshake = std::chrono::milliseconds(50),
                  .closing = std::chrono::milliseconds(50)}) {}

  // Everything the server says to a peer that sends `start` and no more, until it ends the stream.
  std::string answer_to(std::string_view start) {
    BlockingClient peer(server->port("amqp"));
    peer.send(start);
    auto answer = peer.receive_all();
    EXPECT_TRUE(peer.is_closed()) << "the server does not end it";
    return answer;
  }
};

TEST_F(AmqpHalfOpenTest, EndsPeersThatStopBeforeTheirOpenAndGoesOn) {
  using namespace std::string_view_literals;
  constexpr auto kSasl = "AMQP\x03\x01\x00\x00"sv;
  // sasl-init of ANONYMOUS, then the header of AMQP.
  constexpr auto kInit =
      "\x00\x00\x00\x1c\x02\x01\x00\x00\x00\x53\x41\xc0\x0f\x03\xa3\x09"
      "ANONYMOUS"
      "\xa0\x00\x40"sv;
  constexpr auto kAmqp = "AMQP\x00\x01\x00\x00"sv;
  EXPECT_EQ(answer_to(""), "");
  EXPECT_EQ(answer_to("AMQ"), "");
  EXPECT_TRUE(answer_to(kSasl).starts_with(kSasl));
  const auto after_sasl = std::string(kSasl).append(kInit);
  EXPECT_TRUE(answer_to(after_sasl).starts_with(kSasl));
  // It is told why as soon as it would understand.
  EXPECT_THAT(answer_to(std::string(after_sasl).append(kAmqp)),
              ::testing::HasSubstr("amqp:connection:forced"));
  EXPECT_THAT(answer_to(std::string(kAmqp).append("\x00\x00\x01"sv)),
              ::testing::HasSubstr("amqp:connection:forced"));
  connect("https", true);
}

TEST_F(AmqpHalfOpenTest, EndsManyOfThemAtOnce) {
  std::vector<std::unique_ptr<BlockingClient>> peers;
  for (int i = 0; i < 50; ++i)
    peers.push_back(std::make_unique<BlockingClient>(server->port("amqp")));
  for (const auto& peer : peers) {
    peer->receive_all();
    EXPECT_TRUE(peer->is_closed());
  }
  connect("https", true);
}

}  // namespace
}  // namespace doppel::net
