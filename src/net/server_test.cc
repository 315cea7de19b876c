// The whole network side over real loopback sockets.
#include "net/server.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>

#include <gmock/gmock.h>
#include <openssl/x509.h>

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

}  // namespace
}  // namespace doppel::net
