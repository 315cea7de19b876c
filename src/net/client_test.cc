// The clients against the server, over real loopback sockets.
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/worker.h"
#include "net/blocking_client.h"
#include "net/dial.h"
#include "net/http_client.h"
#include "net/mqtt_client.h"
#include "net/server.h"
#include "net/tls_testing.h"

namespace doppel::net {
namespace {

using ::testing::HasSubstr;

// Accepts one connection after the other and treats each as a script says; plain TCP, so that odd
// servers are easy to play.
class ScriptedServer {
 public:
  using Script = std::function<void(int fd)>;
  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = *SocketAddress::parse("127.0.0.1", 0);
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    ::listen(fd_, 16);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
    port_ = address.port();
    thread_ = std::thread([this] {
      for (;;) {
        const int peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (peer < 0) return;
        script_(peer);
        ::close(peer);
      }
    });
  }
  ~ScriptedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/x"; }

  // Reads until a blank line; false at the end.
  static bool read_request(int fd) {
    std::string text;
    char byte = 0;
    while (!text.ends_with("\r\n\r\n")) {
      if (::recv(fd, &byte, 1, 0) <= 0) return false;
      text += byte;
    }
    return true;
  }
  static void write(int fd, std::string_view text) {
    ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  }

 private:
  Script script_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

Task<http::Response> echo(http::Request request) {
  auto response = http::Response::text(200, request.method + ' ' + request.body);
  response.headers.set("X-Query", request.query_value("q").value_or("none"));
  response.headers.set("X-Host", request.host());
  response.headers.set("X-Peer", request.peer->address);
  co_return response;
}

class Session final : public mqtt::Session {
 public:
  explicit Session(std::shared_ptr<mqtt::Connection> connection)
      : connection_(std::move(connection)) {}
  void on_publish(mqtt::Publish message) override {
    if (message.qos == 1) connection_->puback(message.packet_id);
    connection_->publish({.qos = 1, .topic = "back/" + message.topic, .payload = message.payload});
  }
  void on_puback(std::uint16_t) override {}
  void on_subscribe(mqtt::Subscribe subscribe) override {
    mqtt::Suback suback{.packet_id = subscribe.packet_id, .codes = {}};
    for (const auto& filter : subscribe.filters)
      suback.codes.push_back(filter.topic == "forbidden" ? mqtt::kSubscribeFailure : filter.qos);
    connection_->suback(std::move(suback));
  }
  void on_unsubscribe(mqtt::Unsubscribe unsubscribe) override {
    connection_->unsuback(unsubscribe.packet_id);
  }
  void on_closed(bool) override {}

 private:
  std::shared_ptr<mqtt::Connection> connection_;
};

class Service final : public mqtt::Service {
 public:
  void connect(mqtt::Connect connect, std::shared_ptr<mqtt::Connection> connection,
               Answer answer) override {
    if (connect.user_name == "nobody")
      return answer({.code = mqtt::ConnectReturn::not_authorized, .session = nullptr});
    mqtt::ConnectAnswer accepted{.code = mqtt::ConnectReturn::accepted, .session = nullptr};
    accepted.session = std::make_unique<Session>(connection);
    answer(std::move(accepted));
  }
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    prepare_process();
    ca_pem = testing::certificates().ca_pem;
    router.add("GET", "/echo", echo);
    router.add("POST", "/echo", echo);
    ServerConfig config;
    config.stream.linger = std::chrono::milliseconds(50);
    config.identities = testing::certificates().identities;
    config.listeners = {{.name = "https", .protocol = Protocol::http},
                        {.name = "mqtts", .protocol = Protocol::mqtt}};
    server = std::make_unique<Server>(loops, config, router,
                                      [this](const mqtt::Connect&) { return &service; });
    const auto started = server->start();
    EXPECT_TRUE(started.has_value());
    client = std::make_unique<HttpClient>(loops);
    options.tls.ca_pem = ca_pem;
  }
  ~ClientTest() override {
    client.reset();
    server->stop(std::chrono::seconds(2));
    loops.stop();
  }

  // Runs a task on a worker of its own, as services do, and waits for it.
  template <class T>
  T wait(Task<T> task) {
    std::promise<T> value;
    worker.post(
        [&] { spawn(std::move(task), [&](T result) { value.set_value(std::move(result)); }); });
    auto future = value.get_future();
    if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
      throw std::runtime_error("the task did not end");
    return future.get();
  }

  Result<http::Response> get(const std::string& url) {
    return wait(client->send("GET", url, {}, {}, options));
  }
  std::string base() const { return "https://localhost:" + std::to_string(server->port("https")); }

  std::shared_ptr<MqttClient> mqtt_client(MqttClient::Handlers handlers = {},
                                          const std::string& user = "device",
                                          std::uint16_t keep_alive_s = 60) {
    auto tls = TlsContext::client({.ca_pem = ca_pem});
    MqttClientOptions wanted;
    wanted.host = "localhost";
    wanted.addresses = {*SocketAddress::parse("127.0.0.1", server->port("mqtts"))};
    wanted.tls = *tls;
    wanted.connect.client_id = "d";
    wanted.connect.user_name = user;
    wanted.connect.keep_alive_s = keep_alive_s;
    return MqttClient::create(loops.next(), std::move(wanted), std::move(handlers));
  }

  Loops loops{2, std::chrono::milliseconds(10)};
  Worker worker{"test"};
  http::Router router;
  Service service;
  std::string ca_pem;
  std::unique_ptr<Server> server;
  std::unique_ptr<HttpClient> client;
  HttpCallOptions options;
};

TEST_F(ClientTest, SendsARequestAndKeepsTheConnectionForTheNext) {
  http::Headers headers;
  headers.set("Content-Type", "text/plain");
  const auto first = wait(client->send("POST", base() + "/echo?q=a%20b", headers, "body", options));
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, "POST body");
  EXPECT_EQ(first->headers.find("X-Query"), "a b");
  EXPECT_EQ(first->headers.find("X-Host"), "localhost");
  const auto second = get(base() + "/echo");
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->headers.find("X-Peer"), first->headers.find("X-Peer"));
}

TEST_F(ClientTest, RunsManyCallsAtOnceOverABoundedNumberOfConnections) {
  constexpr int kCalls = 200;
  std::promise<int> all;
  int done = 0;
  int good = 0;
  worker.post([&] {
    for (int i = 0; i < kCalls; ++i) {
      spawn(client->send("POST", base() + "/echo", {}, std::to_string(i), options),
            [&, i](Result<http::Response> answer) {
              if (answer && answer->body == "POST " + std::to_string(i)) ++good;
              if (++done == kCalls) all.set_value(good);
            });
    }
  });
  EXPECT_EQ(all.get_future().get(), kCalls);
  EXPECT_LE(server->connections(), kConnectionsPerOriginMax);
}

TEST_F(ClientTest, RefusesAServerItHasNoReasonToTrust) {
  options.tls.ca_pem.clear();  // the system's store does not have our CA
  const auto answer = get(base() + "/echo");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("certificate"));
  options.tls.is_verified = false;
  EXPECT_TRUE(get(base() + "/echo").has_value());
}

TEST_F(ClientTest, RefusesACertificateOfAnotherName) {
  auto tls = TlsContext::client({.ca_pem = ca_pem});
  testing::BlockingClient right(server->port("https"));
  EXPECT_TRUE(right.handshake(**tls, "127.0.0.1"));
  testing::BlockingClient wrong(server->port("https"));
  EXPECT_FALSE(wrong.handshake(**tls, "example.org"));
}

TEST_F(ClientTest, SaysWhatIsWrongWithAUrl) {
  for (const auto* url : {"ftp://x/", "https://", "https://u:p@x/", "https://x:0/", "https://x:y/",
                          "https://[::1", "https://x/a b", "https://x:99999/", "x"}) {
    const auto answer = get(url);
    ASSERT_FALSE(answer.has_value()) << url;
    EXPECT_EQ(answer.error().code, Code::invalid_argument) << url;
  }
}

TEST_F(ClientTest, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    const ScriptedServer gone([](int) {});
    port = static_cast<std::uint16_t>(std::stoi(gone.url().substr(17)));
  }
  const auto answer = get("http://localhost:" + std::to_string(port) + "/");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("not sent"));
}

TEST_F(ClientTest, GivesUpAServerThatDoesNotAnswer) {
  const ScriptedServer silent([](int fd) {
    ScriptedServer::read_request(fd);
    ScriptedServer::read_request(fd);  // until the client is gone
  });
  options.total_timeout = std::chrono::milliseconds(50);
  const auto answer = get(silent.url());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::timeout);
}

TEST_F(ClientTest, StopsWhenTold) {
  std::stop_source stop;
  const ScriptedServer silent([&](int fd) {
    ScriptedServer::read_request(fd);
    stop.request_stop();
    ScriptedServer::read_request(fd);
  });
  const auto answer = wait(client->send("GET", silent.url(), {}, {}, options, stop.get_token()));
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::cancelled);
}

TEST_F(ClientTest, BoundsTheAnswer) {
  options.response_bytes_max = 100;
  const ScriptedServer large([](int fd) {
    ScriptedServer::read_request(fd);
    ScriptedServer::write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n");
    ScriptedServer::read_request(fd);
  });
  const auto answer = get(large.url());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::too_large);
}

TEST_F(ClientTest, RefusesWhatIsNotHttp) {
  const ScriptedServer odd([](int fd) {
    ScriptedServer::read_request(fd);
    ScriptedServer::write(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
  });
  const auto answer = get(odd.url());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::bad_gateway);
}

TEST_F(ClientTest, TakesAnAnswerThatEndsWithTheConnection) {
  const ScriptedServer old([](int fd) {
    ScriptedServer::read_request(fd);
    ScriptedServer::write(fd, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
  });
  const auto answer = get(old.url());
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->body, "until the end");
}

TEST_F(ClientTest, SaysThatTheConnectionEndedBeforeTheAnswer) {
  const ScriptedServer broken([](int fd) {
    ScriptedServer::read_request(fd);
    ScriptedServer::write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  const auto answer = get(broken.url());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::unavailable);
}

// A kept connection that the server closed just then is no reason to fail a GET.
TEST_F(ClientTest, RepeatsAGetWhoseKeptConnectionIsGone) {
  const ScriptedServer once([](int fd) {
    if (!ScriptedServer::read_request(fd)) return;
    ScriptedServer::write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ScriptedServer::read_request(fd);  // takes the second request on this connection and closes
  });
  ASSERT_TRUE(get(once.url()).has_value());
  const auto second = get(once.url());
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(second->body, "ok");
  client.reset();  // or the scripted server would wait for the kept connection to end
}

TEST_F(ClientTest, FailsCallsUnderWayWhenDestroyed) {
  std::promise<void> asked;
  const ScriptedServer silent([&](int fd) {
    ScriptedServer::read_request(fd);
    asked.set_value();
    ScriptedServer::read_request(fd);
  });
  std::promise<Code> code;
  worker.post([&] {
    spawn(client->send("GET", silent.url(), {}, {}, options),
          [&](Result<http::Response> answer) { code.set_value(answer.error().code); });
  });
  asked.get_future().wait();
  client.reset();
  EXPECT_EQ(code.get_future().get(), Code::cancelled);
}

TEST_F(ClientTest, ConnectsPublishesSubscribesAndReceives) {
  std::promise<std::string> message;
  std::promise<std::string> closed;
  auto device = mqtt_client(
      {.on_message = [&](const mqtt::PublishView& m) { message.set_value(std::string(m.topic)); },
       .on_puback = {},
       .on_closed = [&](std::string_view reason) { closed.set_value(std::string(reason)); }});
  const auto connack = wait(device->connect());
  ASSERT_TRUE(connack.has_value()) << connack.error().message;
  EXPECT_EQ(connack->code, mqtt::ConnectReturn::accepted);
  EXPECT_TRUE(wait(device->subscribe({{.topic = "back/#", .qos = 1}})).has_value());
  const auto refused = wait(device->subscribe({{.topic = "forbidden", .qos = 1}}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::forbidden);
  mqtt::Publish publish{.qos = 1, .topic = "t", .payload = "x"};
  EXPECT_TRUE(wait(device->publish(publish)).has_value());
  EXPECT_EQ(message.get_future().get(), "back/t");
  device->disconnect();
  EXPECT_EQ(closed.get_future().get(), "disconnected");
  const auto late = wait(device->publish(publish));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::unavailable);
}

TEST_F(ClientTest, TellsARefusedConnectFromABrokenOne) {
  auto refused = mqtt_client({}, "nobody");
  const auto connack = wait(refused->connect());
  ASSERT_TRUE(connack.has_value());
  EXPECT_EQ(connack->code, mqtt::ConnectReturn::not_authorized);
  MqttClientOptions wanted;
  wanted.addresses = {*SocketAddress::parse("127.0.0.1", 1)};
  auto nowhere = MqttClient::create(loops.next(), std::move(wanted));
  const auto answer = wait(nowhere->connect());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::unavailable);
}

TEST_F(ClientTest, TriesTheNextAddressOfAServer) {
  auto tls = TlsContext::client({.ca_pem = ca_pem});
  MqttClientOptions wanted;
  wanted.host = "localhost";
  wanted.addresses = {*SocketAddress::parse("127.0.0.1", 1),
                      *SocketAddress::parse("127.0.0.1", server->port("mqtts"))};
  wanted.tls = *tls;
  wanted.connect.client_id = "d";
  auto device = MqttClient::create(loops.next(), std::move(wanted));
  const auto connack = wait(device->connect());
  ASSERT_TRUE(connack.has_value()) << connack.error().message;
  device->abort();
}

// With one second the client has to ping, or the server would close after one and a half.
TEST_F(ClientTest, KeepsAnIdleConnectionAlive) {
  std::promise<void> closed;
  auto device = mqtt_client({.on_message = {},
                             .on_puback = {},
                             .on_closed = [&](std::string_view) { closed.set_value(); }},
                            "device", 1);
  ASSERT_TRUE(wait(device->connect()).has_value());
  auto future = closed.get_future();
  EXPECT_EQ(future.wait_for(std::chrono::milliseconds(2500)), std::future_status::timeout);
  device->disconnect();
  future.wait();
}

}  // namespace
}  // namespace doppel::net
