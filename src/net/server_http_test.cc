// HTTP over real loopback sockets: answers, their order, and the ports they come from.
#include <chrono>
#include <future>
#include <string>

#include <gmock/gmock.h>

#include "net/server_testing.h"

namespace doppel::net {
namespace {

using testing::BlockingClient;
using testing::client_context;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using ServerHttpTest = testing::ServerTest;

TEST_F(ServerHttpTest, AnswersHttpsWithDateAndTrackingIdAndKeepsTheConnection) {
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

TEST_F(ServerHttpTest, AnswersPipelinedRequestsInOrder) {
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

TEST_F(ServerHttpTest, InvitesTheBodyOfAClientThatWaits) {
  start();
  auto client = tls_client("https");
  client->send(
      "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client->receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client->send("body");
  EXPECT_THAT(client->receive_until("hello body"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerHttpTest, TakesChunkedBodiesAndAnswersHeadWithoutABody) {
  router.add("HEAD", "/hello", testing::hello);
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

TEST_F(ServerHttpTest, AnswersAThrowingHandlerWith500) {
  start();
  auto client = tls_client("https");
  client->send("GET /throws HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 500"));
}

TEST_F(ServerHttpTest, SpeaksPlainHttpWhereConfigured) {
  start();
  BlockingClient client(server->port("http"));
  client.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.receive_all(), EndsWith("hello "));
}

TEST_F(ServerHttpTest, ListensOnBothLoopbackAddressesWithOnePort) {
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
TEST_F(ServerHttpTest, AnswersPipelinedRequestsInOrderWhenHandlersWait) {
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

TEST_F(ServerHttpTest, TellsAHandlerWhenItsClientIsGoneAndWhenTheServerStops) {
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

TEST_F(ServerHttpTest, SaysWhichPortIsTaken) {
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

}  // namespace
}  // namespace doppel::net
