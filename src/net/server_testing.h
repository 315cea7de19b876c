// What the tests of the server share: a server with three listeners on loopback, a few routes, and
// an MQTT service that notes what it sees.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/blocking_client.h"
#include "net/server.h"
#include "net/tls_testing.h"
#include "protocol/mqtt/packet_writer.h"

namespace doppel::net::testing {

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
    return changed.wait_for(lock, std::chrono::seconds(kBlockingWaitMaxS), condition);
  }

  std::mutex mutex;
  std::condition_variable changed;
  Seen seen;
  bool holds_acks = false;
  std::uint32_t keep_alive_cap_s = 0;
  std::vector<std::pair<std::shared_ptr<mqtt::Connection>, std::uint16_t>> held;
};

inline Task<http::Response> hello(http::Request request) {
  co_return http::Response::text(200, "hello " + request.body);
}

inline Task<http::Response> throws(http::Request) {
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

}  // namespace doppel::net::testing
