// The whole network side over real loopback sockets.
#include "net/server.h"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/random.h"
#include "net/blocking_client.h"
#include "net/certificates.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_writer.h"
#include "protocol/websocket/frame.h"

namespace doppel::net {
namespace {

using testing::BlockingClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Made once: an RSA key takes a while.
const Certificates& certificates() {
  static const Certificates made = [] {
    const auto directory =
        std::filesystem::temp_directory_path() / ("doppel-net-test-" + std::to_string(::getpid()));
    SystemRandom random;
    auto result = ensure_certificates(directory, {}, SystemClock().now(), random);
    EXPECT_TRUE(result.has_value());
    std::filesystem::remove_all(directory);
    return std::move(*result);
  }();
  return made;
}

std::shared_ptr<const TlsContext> client_context(CertifiedKey identity = {}) {
  auto context = TlsContext::client(
      {.ca_pem = certificates().ca_pem, .is_verified = true, .identity = std::move(identity)});
  EXPECT_TRUE(context.has_value());
  return *context;
}

// A service whose sessions acknowledge when told to.
class EchoService final : public mqtt::Service {
 public:
  struct Seen {
    std::vector<mqtt::Publish> publishes;
    std::vector<std::uint16_t> pubacks;
    std::optional<bool> closed_orderly;
    std::string server_name;
    bool had_certificate = false;
  };

  class EchoSession final : public mqtt::Session {
   public:
    EchoSession(EchoService& service, std::shared_ptr<mqtt::Connection> connection)
        : service_(service), connection_(std::move(connection)) {}
    void on_publish(mqtt::Publish message) override {
      const auto id = message.packet_id;
      const auto qos = message.qos;
      const std::lock_guard lock(service_.mutex);
      service_.seen.publishes.push_back(message);
      if (service_.holds_acks) {
        service_.held.emplace_back(connection_, id);
        service_.changed.notify_all();
        return;
      }
      if (qos == 1) connection_->puback(id);
      if (message.topic == "echo")
        connection_->publish({.qos = 1, .topic = "back", .payload = message.payload});
      if (message.topic == "close") connection_->close("asked to");
      if (message.topic == "throw") throw std::runtime_error("broken on purpose");
      if (message.topic == "flood") {
        for (int i = 0; i < 10'000; ++i)
          connection_->publish({.topic = "wave", .payload = std::string(10'000, 'x')});
      }
    }
    void on_puback(std::uint16_t packet_id) override {
      const std::lock_guard lock(service_.mutex);
      service_.seen.pubacks.push_back(packet_id);
      service_.changed.notify_all();
    }
    void on_subscribe(mqtt::Subscribe subscribe) override {
      mqtt::Suback suback{.packet_id = subscribe.packet_id, .codes = {}};
      for (const auto& filter : subscribe.filters) suback.codes.push_back(filter.qos);
      connection_->suback(std::move(suback));
    }
    void on_unsubscribe(mqtt::Unsubscribe unsubscribe) override {
      connection_->unsuback(unsubscribe.packet_id);
    }
    void on_closed(bool orderly) override {
      const std::lock_guard lock(service_.mutex);
      service_.seen.closed_orderly = orderly;
      service_.changed.notify_all();
    }

   private:
    EchoService& service_;
    std::shared_ptr<mqtt::Connection> connection_;
  };

  void connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
               Answer answer) override {
    {
      const std::lock_guard lock(mutex);
      seen.server_name = connection->peer().server_name;
      seen.had_certificate = connection->peer().client_certificate != nullptr;
    }
    if (connect.user_name == "nobody")
      return answer({.code = mqtt::ConnectReturn::not_authorized, .session = nullptr});
    mqtt::ConnectAnswer accepted{.code = mqtt::ConnectReturn::accepted, .session = nullptr};
    accepted.keep_alive_cap_s = keep_alive_cap_s;
    accepted.session = std::make_unique<EchoSession>(*this, connection);
    if (connect.user_name != "late") return answer(std::move(accepted));
    auto& executor = connection->executor();
    executor.post([answer = std::move(answer), accepted = std::move(accepted)]() mutable {
      answer(std::move(accepted));
    });
  }

  template <class Condition>
  bool wait_for(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(testing::kBlockingWaitMaxS), condition);
  }

  std::mutex mutex;
  std::condition_variable changed;
  Seen seen;
  bool holds_acks = false;
  std::uint32_t keep_alive_cap_s = 0;
  std::vector<std::pair<std::shared_ptr<mqtt::Connection>, std::uint16_t>> held;
};

Task<http::Response> hello(http::Request request) {
  co_return http::Response::text(200, "hello " + request.body);
}

Task<http::Response> throws(http::Request) {
  throw std::runtime_error("broken on purpose");
  co_return http::Response::empty(200);
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    prepare_process();
    router.add("GET", "/hello", hello);
    router.add("POST", "/hello", hello);
    router.add("POST", "/large", hello);
    router.set_body_bytes_max("POST", "/large", 2000);
    router.add("GET", "/throws", throws);
  }
  ~ServerTest() override {
    if (server) server->stop(std::chrono::seconds(1));
    loops.stop();
  }

  void start() {
    config.listeners = {{.name = "https", .protocol = Protocol::http},
                        {.name = "mqtts", .protocol = Protocol::mqtt},
                        {.name = "http", .protocol = Protocol::http, .has_tls = false}};
    config.identities = certificates().identities;
    server = std::make_unique<Server>(loops, config, router,
                                      [this](const mqtt::Connect& connect) -> mqtt::Service* {
                                        return connect.user_name == "unknown" ? nullptr : &service;
                                      });
    const auto started = server->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }

  std::unique_ptr<BlockingClient> tls_client(const std::string& listener) {
    auto client = std::make_unique<BlockingClient>(server->port(listener));
    EXPECT_TRUE(client->handshake(*client_context()));
    return client;
  }

  static std::string connect_packet(const std::string& user = "device",
                                    std::uint16_t keep_alive_s = 60) {
    std::string bytes;
    mqtt::append(bytes, mqtt::Connect{.protocol_name = "MQTT",
                                      .keep_alive_s = keep_alive_s,
                                      .client_id = "d1",
                                      .will = {},
                                      .user_name = user,
                                      .password = {}});
    return bytes;
  }

  std::unique_ptr<BlockingClient> mqtt_client() {
    auto client = tls_client("mqtts");
    client->send(connect_packet());
    EXPECT_EQ(client->receive_exactly(4), std::string("\x20\x02\x00\x00", 4));
    return client;
  }

  Loops loops{2, std::chrono::milliseconds(10)};
  http::Router router;
  EchoService service;
  ServerConfig config;
  std::unique_ptr<Server> server;
};

TEST_F(ServerTest, AnswersHttpsWithDateAndTrackingIdAndKeepsTheConnection) {
  start();
  auto client = tls_client("https");
  for (int i = 0; i < 3; ++i) {
    client->send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const auto answer = client->receive_until("hello ");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nDate: "));
    EXPECT_THAT(answer, HasSubstr("\r\nx-ms-request-id: "));
  }
}

TEST_F(ServerTest, AcceptsAnMqttConnectionAndAcknowledges) {
  start();
  auto client = mqtt_client();
  std::string publish;
  mqtt::append(publish, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 7, .payload = "x"});
  client->send(publish);
  EXPECT_EQ(client->receive_exactly(4), std::string("\x40\x02\x00\x07", 4));
  client->send(std::string("\xc0\x00", 2));
  EXPECT_EQ(client->receive_exactly(2), std::string("\xd0\x00", 2));
}

// Answers.

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  auto client = tls_client("https");
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    const auto body = std::to_string(i) + ";";
    requests +=
        "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
  }
  requests += "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  client->send(requests);
  const auto answers = client->receive_all();
  EXPECT_TRUE(client->is_closed());
  std::size_t at = 0;
  for (int i = 0; i < 20; ++i) {
    at = answers.find("hello " + std::to_string(i) + ";", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_THAT(answers, HasSubstr("Connection: close"));
}

TEST_F(ServerTest, InvitesTheBodyOfAClientThatWaits) {
  start();
  auto client = tls_client("https");
  client->send(
      "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client->receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client->send("body");
  EXPECT_THAT(client->receive_until("hello body"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, TakesChunkedBodiesAndAnswersHeadWithoutABody) {
  router.add("HEAD", "/hello", hello);
  start();
  auto client = tls_client("https");
  client->send(
      "POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client->receive_until("hello abcde"), StartsWith("HTTP/1.1 200"));
  client->send("HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto answer = client->receive_all();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, AnswersAThrowingHandlerWith500) {
  start();
  auto client = tls_client("https");
  client->send("GET /throws HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 500"));
}

TEST_F(ServerTest, SpeaksPlainHttpWhereConfigured) {
  start();
  BlockingClient client(server->port("http"));
  client.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.receive_all(), EndsWith("hello "));
}

TEST_F(ServerTest, ListensOnBothLoopbackAddressesWithOnePort) {
  start();
  if (server->addresses("https").size() < 2) GTEST_SKIP() << "this machine has no ::1";
  BlockingClient client(server->port("https"), "::1");
  EXPECT_TRUE(client.handshake(*client_context(), "::1"));
}

Task<http::Response> late_echo(http::Request request) {
  auto waited = sleep_for(std::chrono::milliseconds(1));
  co_await std::move(waited);
  co_return http::Response::text(200, "late " + request.body);
}

// Answers that come later than the requests behind them keep the order and lose nothing, even when
// more is pipelined than is read ahead.
TEST_F(ServerTest, AnswersPipelinedRequestsInOrderWhenHandlersWait) {
  config.http.pipelined_bytes_max = 1000;
  router.add("POST", "/late", late_echo);
  start();
  auto client = tls_client("https");
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    const auto body = std::to_string(i) + ';' + std::string(200, 'b');
    requests += "POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
                (i == 49 ? "\r\nConnection: close" : "") + "\r\n\r\n" + body;
  }
  client->send(requests);
  const auto answers = client->receive_all();
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("late " + std::to_string(i) + ";", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

std::promise<bool>* waited_out = nullptr;

Task<http::Response> waits_for_stop(http::Request request) {
  auto waiting = sleep_for(std::chrono::hours(1), request.stop);
  const bool slept = co_await std::move(waiting);
  waited_out->set_value(slept);
  co_return http::Response::text(503, "stopped");
}

TEST_F(ServerTest, TellsAHandlerWhenItsClientIsGoneAndWhenTheServerStops) {
  config.stream.linger = std::chrono::milliseconds(50);
  router.add("GET", "/wait", waits_for_stop);
  start();
  std::promise<bool> first;
  waited_out = &first;
  {
    auto client = tls_client("https");
    client->send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  EXPECT_FALSE(first.get_future().get());

  std::promise<bool> second;
  waited_out = &second;
  auto idle = tls_client("https");
  auto client = tls_client("https");
  client->send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  // An answer on another connection of the same loop shows that the request has arrived: with two
  // loops every second connection shares one.
  for (int i = 0; i < 2; ++i) {
    auto other = tls_client("https");
    other->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    other->receive_until("hello ");
  }
  server->stop(std::chrono::seconds(5));
  EXPECT_FALSE(second.get_future().get());
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 503"));
}

// Refusals.

TEST_F(ServerTest, RefusesABodyThatIsTooLargeBeforeItArrives) {
  config.http.parser.body_bytes_max = 1000;
  start();
  auto client = tls_client("https");
  client->send("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 413"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, ARouteMayTakeLargerBodiesThanOthers) {
  config.http.parser.body_bytes_max = 1000;
  start();
  auto client = tls_client("https");
  client->send("POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 1500\r\n\r\n" +
               std::string(1500, 'x'));
  client->send("POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 2001\r\n\r\n");
  const auto answers = client->receive_all();
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answers, HasSubstr("HTTP/1.1 413"));
}

TEST_F(ServerTest, RefusesHeadersThatAreTooLarge) {
  config.http.parser.header_bytes_max = 2000;
  start();
  auto client = tls_client("https");
  client->try_send("GET /hello HTTP/1.1\r\nHost: h\r\nX: " + std::string(4000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, AnswersGarbageWith400AndCloses) {
  start();
  auto client = tls_client("https");
  client->send("\x16\x03 this is not HTTP\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, ClosesAConnectionThatIsNoTls) {
  start();
  BlockingClient client(server->port("https"));
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.receive_all();
  EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerTest, CutsOffAClientThatNeverShakesHands) {
  config.stream.handshake = std::chrono::milliseconds(50);
  start();
  BlockingClient client(server->port("https"));
  EXPECT_EQ(client.receive(), "");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerTest, CutsOffAClientThatSendsHeadersTooSlowly) {
  config.http.headers = std::chrono::milliseconds(80);
  start();
  auto client = tls_client("https");
  client->send("GET /hello HTTP/1.1\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, CutsOffAClientThatStopsInTheMiddleOfABody) {
  config.http.body_quiet = std::chrono::milliseconds(80);
  start();
  auto client = tls_client("https");
  client->send("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, ClosesAnIdleConnection) {
  config.http.idle = std::chrono::milliseconds(80);
  start();
  auto client = tls_client("https");
  client->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client->receive_all(), EndsWith("hello "));
  EXPECT_TRUE(client->is_closed());
}

Task<http::Response> large(http::Request) {
  co_return http::Response::text(200, std::string(32 * 1024 * 1024, 'x'));
}

TEST_F(ServerTest, CutsOffAClientThatDoesNotReadItsAnswer) {
  config.stream.write_stall = std::chrono::milliseconds(100);
  router.add("GET", "/large", large);
  start();
  auto client = tls_client("https");
  client->send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client->receive(), StartsWith("HTTP/1.1 200"));
  // Nothing more is read; the connection is gone long before the stop would cut it off.
  const auto began = std::chrono::steady_clock::now();
  server->stop(std::chrono::seconds(testing::kBlockingWaitMaxS));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST_F(ServerTest, ClosesConnectionsBeyondTheLimitAtOnce) {
  config.connections_max = 1;
  start();
  auto first = tls_client("https");
  BlockingClient second(server->port("https"));
  EXPECT_EQ(second.receive(), "");
  EXPECT_TRUE(second.is_closed());
  first->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(first->receive_until("hello "), StartsWith("HTTP/1.1 200"));
}

// Certificates.

TEST_F(ServerTest, ShowsTheServiceTheClientsCertificateWithoutJudgingIt) {
  start();
  // Any certificate will do, trusted or not: a device's is its own.
  BlockingClient client(server->port("mqtts"));
  ASSERT_TRUE(client.handshake(*client_context(certificates().identities.front())));
  client.send(connect_packet());
  EXPECT_EQ(client.receive_exactly(4), std::string("\x20\x02\x00\x00", 4));
  const std::lock_guard lock(service.mutex);
  EXPECT_TRUE(service.seen.had_certificate);
  EXPECT_EQ(service.seen.server_name, "localhost");
}

// MQTT.

TEST_F(ServerTest, RefusesMqttUserNamesOfNobodyAndOfTheService) {
  start();
  for (const auto* user : {"unknown", "nobody"}) {
    auto client = tls_client("mqtts");
    client->send(connect_packet(user));
    EXPECT_EQ(client->receive_all(), std::string("\x20\x02\x00\x05", 4)) << user;
    EXPECT_TRUE(client->is_closed());
  }
}

TEST_F(ServerTest, KeepsPacketsThatFollowConnectUntilTheVerdict) {
  start();
  auto client = tls_client("mqtts");
  std::string bytes = connect_packet("late");
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 9, .payload = "x"});
  client->send(bytes);
  EXPECT_EQ(client->receive_exactly(8), std::string("\x20\x02\x00\x00\x40\x02\x00\x09", 8));
}

TEST_F(ServerTest, SendsQos1MessagesAndPassesTheirAcknowledgementsOn) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.topic = "echo", .payload = "hi"});
  client->send(bytes);
  std::string expected;
  mqtt::append(expected, mqtt::Publish{.qos = 1, .topic = "back", .packet_id = 1, .payload = "hi"});
  EXPECT_EQ(client->receive_exactly(expected.size()), expected);
  client->send(std::string("\x40\x02\x00\x01", 4));
  EXPECT_TRUE(service.wait_for([&] { return service.seen.pubacks.size() == 1; }));
}

TEST_F(ServerTest, TakesPacketsInPiecesOfOneByte) {
  start();
  auto client = tls_client("mqtts");
  std::string bytes = connect_packet();
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 3, .payload = "abc"});
  for (const char byte : bytes) client->send({&byte, 1});
  EXPECT_EQ(client->receive_exactly(8), std::string("\x20\x02\x00\x00\x40\x02\x00\x03", 8));
}

TEST_F(ServerTest, TakesALargeMessageInManyReads) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(
      bytes, mqtt::Publish{
                 .qos = 1, .topic = "t", .packet_id = 4, .payload = std::string(256 * 1024, 'p')});
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "u", .packet_id = 5, .payload = "end"});
  client->send(bytes);
  EXPECT_EQ(client->receive_exactly(8), std::string("\x40\x02\x00\x04\x40\x02\x00\x05", 8));
  const std::lock_guard lock(service.mutex);
  ASSERT_EQ(service.seen.publishes.size(), 2u);
  EXPECT_EQ(service.seen.publishes[0].payload.size(), 256u * 1024);
}

TEST_F(ServerTest, ClosesOnViolationsOfTheProtocol) {
  start();
  std::string qos2;
  mqtt::append(qos2, mqtt::Publish{.qos = 2, .topic = "t", .packet_id = 1, .payload = "x"});
  const std::vector<std::string> violations = {
      qos2, connect_packet(), std::string("\x20\x02\x00\x00", 4), std::string("\xf0\x00", 2),
      std::string("\x30\xff\xff\xff\xff\x7f", 6)};
  for (const auto& violation : violations) {
    auto client = mqtt_client();
    client->send(violation);
    EXPECT_EQ(client->receive_all(), "");
    EXPECT_TRUE(client->is_closed());
  }
  auto client = tls_client("mqtts");
  client->send(std::string("\xc0\x00", 2));  // PINGREQ before CONNECT
  EXPECT_EQ(client->receive_all(), "");
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, TellsOrderlyEndsFromOthers) {
  start();
  {
    auto client = mqtt_client();
    client->send(std::string("\xe0\x00", 2));
    EXPECT_TRUE(service.wait_for([&] { return service.seen.closed_orderly.has_value(); }));
    EXPECT_TRUE(*service.seen.closed_orderly);
    service.seen.closed_orderly.reset();
  }
  {
    auto client = mqtt_client();
  }
  EXPECT_TRUE(service.wait_for([&] { return service.seen.closed_orderly.has_value(); }));
  EXPECT_FALSE(*service.seen.closed_orderly);
}

TEST_F(ServerTest, LetsASessionCloseFromWithinItsOwnCall) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "close", .packet_id = 2, .payload = {}});
  client->send(bytes + bytes);
  EXPECT_EQ(client->receive_all(), std::string("\x40\x02\x00\x02", 4));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, LosesOnlyTheConnectionWhoseServiceThrows) {
  start();
  auto other = mqtt_client();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.topic = "throw", .payload = {}});
  client->send(bytes);
  EXPECT_EQ(client->receive_all(), "");
  EXPECT_TRUE(client->is_closed());
  other->send(std::string("\xc0\x00", 2));
  EXPECT_EQ(other->receive_exactly(2), std::string("\xd0\x00", 2));
}

TEST_F(ServerTest, ClosesAfterOneAndAHalfKeepAliveIntervals) {
  start();
  auto client = tls_client("mqtts");
  const auto began = std::chrono::steady_clock::now();
  client->send(connect_packet("device", 1));
  EXPECT_EQ(client->receive_all().size(), 4u);
  EXPECT_TRUE(client->is_closed());
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
}

TEST_F(ServerTest, ClosesAClientThatNeverConnects) {
  config.mqtt.connect = std::chrono::milliseconds(50);
  start();
  auto client = tls_client("mqtts");
  EXPECT_EQ(client->receive_all(), "");
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, ClosesAClientThatDoesNotReadWhatIsPublishedToIt) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.topic = "flood", .payload = {}});
  client->send(bytes);
  EXPECT_TRUE(service.wait_for([&] { return service.seen.closed_orderly.has_value(); }));
}

TEST_F(ServerTest, StopsReadingWhileTooMuchIsUnacknowledged) {
  config.mqtt.in_flight_max = 10;
  service.holds_acks = true;
  start();
  auto client = mqtt_client();
  std::string bytes;
  for (std::uint16_t id = 1; id <= 30; ++id)
    mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = id, .payload = "x"});
  client->send(bytes);
  ASSERT_TRUE(service.wait_for([&] { return service.held.size() == 10; }));
  std::string expected;
  for (std::uint16_t round = 0; round < 3; ++round) {
    std::unique_lock lock(service.mutex);
    EXPECT_EQ(service.seen.publishes.size(), 10u * (round + 1));
    auto held = std::exchange(service.held, {});
    lock.unlock();
    // As a store's completion batch releases them: one job, one write.
    auto& executor = held.front().first->executor();
    executor.post([held = std::move(held)] {
      for (const auto& [connection, id] : held) connection->puback(id);
    });
    for (std::uint16_t id = 1; id <= 10; ++id)
      mqtt::append(expected, mqtt::Puback{static_cast<std::uint16_t>(round * 10 + id)});
    if (round < 2) ASSERT_TRUE(service.wait_for([&] { return service.held.size() == 10; }));
  }
  EXPECT_EQ(client->receive_exactly(expected.size()), expected);
}

// One read's answers leave in one TLS record.
TEST_F(ServerTest, SendsAllAnswersToOneReadInOneWrite) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  for (std::uint16_t id = 1; id <= 16; ++id)
    mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = id, .payload = "x"});
  client->send(bytes);
  EXPECT_EQ(client->receive().size(), 16u * 4);
}

// WebSocket.

std::string upgrade_request(const std::string& path, const std::string& protocol) {
  return "GET " + path +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Protocol: " +
         protocol +
         "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
}

std::string masked_frame(std::string_view payload) {
  std::string frame;
  websocket::append_frame(frame, websocket::Opcode::binary, payload, 0x11223344U);
  return frame;
}

TEST_F(ServerTest, CarriesMqttOverAWebSocket) {
  start();
  for (const auto* path : {"/$iothub/websocket?iothub-no-client-cert=true", "/"}) {
    auto client = tls_client("https");
    // The first frame comes along with the request: it must not be lost at the hand-over.
    client->send(upgrade_request(path, "MQTT") + masked_frame(connect_packet()));
    std::string answer = client->receive_until("\x20\x02");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 101"));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Protocol: MQTT\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("permessage-deflate")));
    std::string publish;
    mqtt::append(publish, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 8, .payload = "x"});
    // Frame borders mean nothing.
    client->send(masked_frame(publish.substr(0, 3)) + masked_frame(publish.substr(3)));
    EXPECT_EQ(client->receive_exactly(6), std::string("\x82\x04\x40\x02\x00\x08", 6));
    std::string ping;
    websocket::append_frame(ping, websocket::Opcode::ping, "p", 1U);
    client->send(ping);
    EXPECT_EQ(client->receive_exactly(3), std::string("\x8a\x01p", 3));
    std::string close;
    websocket::append_close(close, websocket::CloseCode::normal, {}, 1U);
    client->send(close);
    EXPECT_EQ(client->receive_all(), std::string("\x88\x02\x03\xe8", 4));
    EXPECT_TRUE(client->is_closed());
  }
}

TEST_F(ServerTest, RefusesWebSocketsOfOtherProtocolsAndPaths) {
  start();
  auto client = tls_client("https");
  client->send(upgrade_request("/$iothub/websocket", "chat"));
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 400"));
  auto other = tls_client("https");
  other->send(upgrade_request("/somewhere", "mqtt"));
  EXPECT_THAT(other->receive_all(), StartsWith("HTTP/1.1 404"));
}

// Stop.

TEST_F(ServerTest, AnswersWhatItHasAcceptedBeforeItStops) {
  config.stream.linger = std::chrono::milliseconds(50);
  service.holds_acks = true;
  start();
  auto client = mqtt_client();
  auto idle = tls_client("https");
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 1, .payload = "x"});
  client->send(bytes);
  ASSERT_TRUE(service.wait_for([&] { return service.held.size() == 1; }));
  auto stopped = std::async(std::launch::async, [&] { server->stop(std::chrono::seconds(5)); });
  EXPECT_EQ(idle->receive_all(), "");  // closed at once, which shows that stopping has begun
  EXPECT_TRUE(idle->is_closed());
  const auto [connection, id] = service.held.front();
  service.held.clear();
  connection->executor().post([connection, id] { connection->puback(id); });
  EXPECT_EQ(client->receive_all(), std::string("\x40\x02\x00\x01", 4));
  EXPECT_TRUE(client->is_closed());
  stopped.wait();
  EXPECT_EQ(server->connections(), 0u);
  EXPECT_THROW(BlockingClient(1), std::runtime_error);
}

// The rest of a request may never come; the stop must not wait for it.
TEST_F(ServerTest, DoesNotWaitForTheRestOfARequestWhenItStops) {
  config.stream.linger = std::chrono::milliseconds(50);
  start();
  auto in_headers = tls_client("https");
  in_headers->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HT");
  in_headers->receive_until("hello ");
  auto in_body = tls_client("https");
  in_body->send(
      "POST /hello HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  in_body->receive_until("100 Continue\r\n\r\n");
  in_body->send("ab");

  // Longer than the clients wait.
  auto stopped = std::async(std::launch::async, [&] {
    server->stop(std::chrono::seconds(2 * testing::kBlockingWaitMaxS));
  });
  EXPECT_EQ(in_headers->receive_all(), "");
  EXPECT_TRUE(in_headers->is_closed());
  EXPECT_EQ(in_body->receive_all(), "");
  EXPECT_TRUE(in_body->is_closed());
  in_headers.reset();
  in_body.reset();
  stopped.wait();
}

TEST_F(ServerTest, SaysWhichPortIsTaken) {
  start();
  ServerConfig same = config;
  same.listeners = {{.name = "again", .port = server->port("https")}};
  Server second(loops, same, router, {});
  const auto started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::already_exists);
  EXPECT_THAT(started.error().message, HasSubstr("again: 127.0.0.1:"));
  same.listeners = {{.name = "bad", .addresses = {"localhost"}}};
  Server third(loops, same, router, {});
  EXPECT_EQ(third.start().error().code, Code::invalid_argument);
}

TEST_F(ServerTest, CutsOffWhatDoesNotFinishWithinTheLimit) {
  service.holds_acks = true;
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 1, .payload = "x"});
  client->send(bytes);
  ASSERT_TRUE(service.wait_for([&] { return service.held.size() == 1; }));
  server->stop(std::chrono::milliseconds(50));
  EXPECT_EQ(client->receive_all(), "");
  service.held.clear();
}

}  // namespace
}  // namespace doppel::net
