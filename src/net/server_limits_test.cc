// What the server refuses and whom it cuts off, over real loopback sockets.
#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include "net/server_testing.h"

namespace doppel::net {
namespace {

using testing::BlockingClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using ServerLimitsTest = testing::ServerTest;

TEST_F(ServerLimitsTest, RefusesABodyThatIsTooLargeBeforeItArrives) {
  config.http.parser.body_bytes_max = 1000;
  start();
  auto client = tls_client("https");
  client->send("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 413"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerLimitsTest, ARouteMayTakeLargerBodiesThanOthers) {
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

TEST_F(ServerLimitsTest, RefusesHeadersThatAreTooLarge) {
  config.http.parser.header_bytes_max = 2000;
  start();
  auto client = tls_client("https");
  client->try_send("GET /hello HTTP/1.1\r\nHost: h\r\nX: " + std::string(4000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerLimitsTest, AnswersGarbageWith400AndCloses) {
  start();
  auto client = tls_client("https");
  client->send("\x16\x03 this is not HTTP\r\n\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerLimitsTest, ClosesAConnectionThatIsNoTls) {
  start();
  BlockingClient client(server->port("https"));
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.receive_all();
  EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerLimitsTest, CutsOffAClientThatNeverShakesHands) {
  config.stream.handshake = std::chrono::milliseconds(50);
  start();
  BlockingClient client(server->port("https"));
  EXPECT_EQ(client.receive(), "");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(ServerLimitsTest, CutsOffAClientThatSendsHeadersTooSlowly) {
  config.http.headers = std::chrono::milliseconds(80);
  start();
  auto client = tls_client("https");
  client->send("GET /hello HTTP/1.1\r\n");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerLimitsTest, CutsOffAClientThatStopsInTheMiddleOfABody) {
  config.http.body_quiet = std::chrono::milliseconds(80);
  start();
  auto client = tls_client("https");
  client->send("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerLimitsTest, ClosesAnIdleConnection) {
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

TEST_F(ServerLimitsTest, CutsOffAClientThatDoesNotReadItsAnswer) {
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

TEST_F(ServerLimitsTest, ClosesConnectionsBeyondTheLimitAtOnce) {
  config.connections_max = 1;
  start();
  auto first = tls_client("https");
  BlockingClient second(server->port("https"));
  EXPECT_EQ(second.receive(), "");
  EXPECT_TRUE(second.is_closed());
  first->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(first->receive_until("hello "), StartsWith("HTTP/1.1 200"));
}

}  // namespace
}  // namespace doppel::net
