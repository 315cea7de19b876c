// MQTT over real loopback sockets.
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "net/server_testing.h"

namespace doppel::net {
namespace {

using testing::BlockingClient;
using testing::certificates;
using testing::client_context;

using ServerMqttTest = testing::ServerTest;

TEST_F(ServerMqttTest, AcceptsAnMqttConnectionAndAcknowledges) {
  start();
  auto client = mqtt_client();
  std::string publish;
  mqtt::append(publish, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 7, .payload = "x"});
  client->send(publish);
  EXPECT_EQ(client->receive_exactly(4), std::string("\x40\x02\x00\x07", 4));
  client->send(std::string("\xc0\x00", 2));
  EXPECT_EQ(client->receive_exactly(2), std::string("\xd0\x00", 2));
}

TEST_F(ServerMqttTest, ShowsTheServiceTheClientsCertificateWithoutJudgingIt) {
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

TEST_F(ServerMqttTest, RefusesMqttUserNamesOfNobodyAndOfTheService) {
  start();
  for (const auto* user : {"unknown", "nobody"}) {
    auto client = tls_client("mqtts");
    client->send(connect_packet(user));
    EXPECT_EQ(client->receive_all(), std::string("\x20\x02\x00\x05", 4)) << user;
    EXPECT_TRUE(client->is_closed());
  }
}

TEST_F(ServerMqttTest, KeepsPacketsThatFollowConnectUntilTheVerdict) {
  start();
  auto client = tls_client("mqtts");
  std::string bytes = connect_packet("late");
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 9, .payload = "x"});
  client->send(bytes);
  EXPECT_EQ(client->receive_exactly(8), std::string("\x20\x02\x00\x00\x40\x02\x00\x09", 8));
}

TEST_F(ServerMqttTest, SendsQos1MessagesAndPassesTheirAcknowledgementsOn) {
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

TEST_F(ServerMqttTest, TakesPacketsInPiecesOfOneByte) {
  start();
  auto client = tls_client("mqtts");
  std::string bytes = connect_packet();
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = 3, .payload = "abc"});
  for (const char byte : bytes) client->send({&byte, 1});
  EXPECT_EQ(client->receive_exactly(8), std::string("\x20\x02\x00\x00\x40\x02\x00\x03", 8));
}

TEST_F(ServerMqttTest, TakesALargeMessageInManyReads) {
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

TEST_F(ServerMqttTest, ClosesOnViolationsOfTheProtocol) {
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

TEST_F(ServerMqttTest, TellsOrderlyEndsFromOthers) {
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

TEST_F(ServerMqttTest, LetsASessionCloseFromWithinItsOwnCall) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "close", .packet_id = 2, .payload = {}});
  client->send(bytes + bytes);
  EXPECT_EQ(client->receive_all(), std::string("\x40\x02\x00\x02", 4));
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerMqttTest, LosesOnlyTheConnectionWhoseServiceThrows) {
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

TEST_F(ServerMqttTest, ClosesAfterOneAndAHalfKeepAliveIntervals) {
  start();
  auto client = tls_client("mqtts");
  const auto began = std::chrono::steady_clock::now();
  client->send(connect_packet("device", 1));
  EXPECT_EQ(client->receive_all().size(), 4u);
  EXPECT_TRUE(client->is_closed());
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1500));
}

TEST_F(ServerMqttTest, ClosesAClientThatNeverConnects) {
  config.mqtt.connect = std::chrono::milliseconds(50);
  start();
  auto client = tls_client("mqtts");
  EXPECT_EQ(client->receive_all(), "");
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerMqttTest, ClosesAClientThatDoesNotReadWhatIsPublishedToIt) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  mqtt::append(bytes, mqtt::Publish{.topic = "flood", .payload = {}});
  client->send(bytes);
  EXPECT_TRUE(service.wait_for([&] { return service.seen.closed_orderly.has_value(); }));
}

TEST_F(ServerMqttTest, StopsReadingWhileTooMuchIsUnacknowledged) {
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
TEST_F(ServerMqttTest, SendsAllAnswersToOneReadInOneWrite) {
  start();
  auto client = mqtt_client();
  std::string bytes;
  for (std::uint16_t id = 1; id <= 16; ++id)
    mqtt::append(bytes, mqtt::Publish{.qos = 1, .topic = "t", .packet_id = id, .payload = "x"});
  client->send(bytes);
  EXPECT_EQ(client->receive().size(), 16u * 4);
}

}  // namespace
}  // namespace doppel::net
