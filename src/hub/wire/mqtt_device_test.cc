#include "hub/wire/mqtt_device.h"

#include <sstream>

#include <gmock/gmock.h>

#include "base/metrics.h"
#include "hub/hub_fixture.h"
#include "hub/wire/mqtt_service.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Writes down what is sent to the client, in order.
class RecordingConnection final : public mqtt::Connection {
 public:
  explicit RecordingConnection(Executor& home) : home_(home) {}

  std::uint16_t publish(mqtt::Publish message) override {
    published.push_back(std::move(message));
    return 1;
  }
  void puback(std::uint16_t id) override { pubacks.push_back(id); }
  void suback(mqtt::Suback) override {}
  void unsuback(std::uint16_t) override {}
  void close(std::string_view reason) override { closed = reason; }
  Executor& executor() override { return home_; }
  const mqtt::PeerInfo& peer() const override { return peer_; }

  std::vector<mqtt::Publish> published;
  std::vector<std::uint16_t> pubacks;
  std::optional<std::string> closed;

 private:
  Executor& home_;
  mqtt::PeerInfo peer_;
};

class MqttDeviceTest : public HubFixture {
 protected:
  struct Client {
    std::shared_ptr<RecordingConnection> connection;
    std::unique_ptr<mqtt::Session> session;
  };

  Client connect(const Identity& device) {
    Client client;
    start_connect(client, device);
    executor.run_until_idle();
    return client;
  }
  // `client` stays where it is until the executor was run.
  void start_connect(Client& client, const Identity& device) {
    client.connection = std::make_shared<RecordingConnection>(executor);
    mqtt::Connect packet;
    packet.protocol_name = "MQTT";
    packet.protocol_level = 4;
    packet.clean_session = true;
    packet.client_id = device.device_id.str();
    packet.user_name = "contoso.test/" + device.device_id.str() + "/?api-version=2021-04-12";
    packet.password = device_token(device);
    executor.post([this, packet, &client] {
      service.connect(packet, client.connection, [&client](mqtt::ConnectAnswer answer) {
        EXPECT_EQ(answer.code, mqtt::ConnectReturn::accepted);
        client.session = std::move(answer.session);
      });
    });
  }
  static mqtt::Publish message(std::string topic, std::string body, std::uint16_t packet_id = 0) {
    mqtt::Publish made;
    made.qos = packet_id != 0 ? 1 : 0;
    made.packet_id = packet_id;
    made.topic = std::move(topic);
    made.payload = std::move(body);
    return made;
  }
  void publish(Client& client, mqtt::Publish what) {
    executor.post([&] { client.session->on_publish(std::move(what)); });
    executor.run_until_idle();
  }
  void subscribe(Client& client, std::string filter) {
    client.session->on_subscribe({.packet_id = 1, .filters = {{std::move(filter), 0}}});
  }
  // Reported properties in one go, as a device that floods sends them. (The store in memory answers
  // reads within the call, so gets alone would never be under way together.)
  void flood(Client& client, std::size_t count) {
    executor.post([&client, count] {
      for (std::size_t i = 0; i < count; ++i) {
        client.session->on_publish(message(
            "$iothub/twin/PATCH/properties/reported/?$rid=" + std::to_string(i), R"({"a":1})"));
      }
    });
    executor.run_until_idle();
  }
  static std::size_t count_answers(const Client& client, std::string_view status) {
    return static_cast<std::size_t>(
        std::ranges::count_if(client.connection->published, [&](const mqtt::Publish& answer) {
          return answer.topic.starts_with("$iothub/twin/res/" + std::string(status) + "/");
        }));
  }

  static constexpr const char* kTelemetry = "devices/d1/messages/events/";
  MqttService service{hubs};
};

TEST_F(MqttDeviceTest, TwinRequestsBeyondTheLimitAreThrottledAndTheRestIsAnswered) {
  auto client = connect(make_device("d1"));
  subscribe(client, "$iothub/twin/res/#");
  flood(client, kTwinRequestsInFlightMax + 3);
  EXPECT_EQ(count_answers(client, "204"), kTwinRequestsInFlightMax);
  EXPECT_EQ(count_answers(client, "429"), 3u);
  // Refused at once, so before the others.
  const auto& refusal = client.connection->published.front();
  EXPECT_EQ(refusal.topic,
            "$iothub/twin/res/429/?$rid=" + std::to_string(kTwinRequestsInFlightMax));
  EXPECT_THAT(refusal.payload, StartsWith(R"({"errorCode":429001,"trackingId":")"));
  EXPECT_FALSE(client.connection->closed);

  // What was answered makes room.
  client.connection->published.clear();
  flood(client, kTwinRequestsInFlightMax);
  EXPECT_EQ(count_answers(client, "204"), kTwinRequestsInFlightMax);
  client.session->on_closed(true);
}

TEST_F(MqttDeviceTest, AGetIsRefusedTooWhileTheLimitIsReached) {
  auto client = connect(make_device("d1"));
  subscribe(client, "$iothub/twin/res/#");
  executor.post([&] {
    for (std::size_t i = 0; i < kTwinRequestsInFlightMax; ++i) {
      client.session->on_publish(
          message("$iothub/twin/PATCH/properties/reported/?$rid=r", R"({"a":1})"));
    }
    client.session->on_publish(message("$iothub/twin/GET/?$rid=late", ""));
  });
  executor.run_until_idle();
  EXPECT_EQ(client.connection->published.front().topic, "$iothub/twin/res/429/?$rid=late");
  client.session->on_closed(true);
}

TEST_F(MqttDeviceTest, ADeviceThatDoesNotListenIsThrottledInSilence) {
  auto client = connect(make_device("d1"));
  flood(client, kTwinRequestsInFlightMax + 1);
  EXPECT_THAT(client.connection->published, IsEmpty());
  EXPECT_FALSE(client.connection->closed);
  client.session->on_closed(true);
}

// A late message of the older connection would land behind what the device already sent on the
// newer one.
TEST_F(MqttDeviceTest, AConnectionThatWasTakenOverBringsNoMoreMessages) {
  const auto device = make_device("d1");
  auto older = connect(device);
  publish(older, message(kTelemetry, "1", 1));
  auto newer = connect(device);
  ASSERT_TRUE(older.connection->closed);
  publish(older, message(kTelemetry, "late", 2));
  publish(older, message("$iothub/twin/PATCH/properties/reported/?$rid=r", R"({"late":1})"));
  publish(newer, message(kTelemetry, "2", 1));

  EXPECT_THAT(older.connection->pubacks, ElementsAre(1));
  EXPECT_THAT(newer.connection->pubacks, ElementsAre(1));
  std::vector<std::string> bodies;
  for (const auto& event : builtin()) bodies.push_back(event.body);
  EXPECT_THAT(bodies, ElementsAre("1", "2"));
  const auto twin = run(hubs.get_twin_for_device(hub, DeviceId("d1"), ModuleId()));
  ASSERT_TRUE(twin);
  EXPECT_THAT(*twin, Not(HasSubstr("late")));
  older.session->on_closed(false);
  newer.session->on_closed(true);
}

// A message that was taken before the takeover is stored, so its PUBACK is still true.
TEST_F(MqttDeviceTest, WhatWasTakenBeforeATakeoverIsStillAcknowledged) {
  const auto device = make_device("d1");
  auto older = connect(device);
  Client newer;
  executor.post([&] { older.session->on_publish(message(kTelemetry, "1", 1)); });
  start_connect(newer, device);
  executor.run_until_idle();
  EXPECT_TRUE(older.connection->closed);
  EXPECT_THAT(older.connection->pubacks, ElementsAre(1));
  older.session->on_closed(false);
  newer.session->on_closed(true);
}

// One metric name, one sample a protocol: a sum over it must be the number of messages.
TEST_F(MqttDeviceTest, AMessageIsCountedOnce) {
  const auto all_samples = [] {
    std::uint64_t sum = 0;
    std::istringstream lines(metrics::render_prometheus());
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("doppel_hub_messages_received_total")) continue;
      sum += std::stoull(line.substr(line.rfind(' ') + 1));
    }
    return sum;
  };
  auto client = connect(make_device("d1"));
  const auto before = all_samples();
  publish(client, message(kTelemetry, "1", 1));
  EXPECT_EQ(all_samples(), before + 1);
  client.session->on_closed(true);
}

}  // namespace
}  // namespace doppel::hub
