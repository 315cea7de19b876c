// How the server stops, over real loopback sockets.
#include <chrono>
#include <future>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

#include "net/server_testing.h"

namespace doppel::net {
namespace {

using testing::BlockingClient;

using ServerStopTest = testing::ServerTest;

TEST_F(ServerStopTest, AnswersWhatItHasAcceptedBeforeItStops) {
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
TEST_F(ServerStopTest, DoesNotWaitForTheRestOfARequestWhenItStops) {
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

TEST_F(ServerStopTest, CutsOffWhatDoesNotFinishWithinTheLimit) {
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
