#include "provisioning/wire/mqtt_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provisioning/testing.h"

namespace doppel::provisioning {
namespace {

using mqtt::ConnectReturn;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Writes down what is sent, in order.
class RecordingConnection final : public mqtt::Connection {
 public:
  explicit RecordingConnection(Executor& home) : home_(home) {}

  std::uint16_t publish(mqtt::Publish message) override {
    sent.push_back(fmt::format("PUBLISH q{} {}", message.qos, message.topic));
    bodies.push_back(message.payload);
    return 1;
  }
  void puback(std::uint16_t id) override { sent.push_back(fmt::format("PUBACK {}", id)); }
  void suback(mqtt::Suback suback) override {
    std::string line = "SUBACK";
    for (const auto code : suback.codes) line += fmt::format(" {}", code);
    sent.push_back(line);
  }
  void unsuback(std::uint16_t) override { sent.push_back("UNSUBACK"); }
  void close(std::string_view reason) override { closed = reason; }
  Executor& executor() override { return home_; }
  const mqtt::PeerInfo& peer() const override { return peer_; }

  std::vector<std::string> sent;
  std::vector<std::string> bodies;
  std::optional<std::string> closed;

 private:
  Executor& home_;
  mqtt::PeerInfo peer_;
};

class MqttDeviceTest : public ::testing::Test, public testing::World {
 protected:
  struct Client {
    ConnectReturn code = ConnectReturn::not_authorized;
    std::shared_ptr<RecordingConnection> connection;
    std::unique_ptr<mqtt::Session> session;
  };

  std::string user(std::string_view id, std::string_view scope = testing::kScope,
                   std::string_view query = "api-version=2019-03-31&ClientVersion=x%2F1.0") {
    return fmt::format("{}/registrations/{}/{}", scope, id, query);
  }
  Client connect(std::string user_name, std::string client_id, std::string password,
                 std::uint8_t level = 4) {
    Client client;
    client.connection = std::make_shared<RecordingConnection>(executor);
    mqtt::Connect packet;
    packet.protocol_name = "MQTT";
    packet.protocol_level = level;
    packet.client_id = std::move(client_id);
    packet.user_name = std::move(user_name);
    packet.password = std::move(password);
    service.connect(packet, client.connection, [&](mqtt::ConnectAnswer answer) {
      client.code = answer.code;
      client.session = std::move(answer.session);
      EXPECT_FALSE(answer.session_present);
    });
    executor.run_until_idle();
    return client;
  }
  Client connected(std::string_view id, std::string password) {
    return connect(user(id), std::string(id), std::move(password));
  }
  void subscribe(Client& client, std::string filter = "$dps/registrations/res/#",
                 std::uint8_t qos = 1) {
    client.session->on_subscribe({.packet_id = 1, .filters = {{std::move(filter), qos}}});
  }
  void publish(Client& client, std::string topic, std::string body, std::uint8_t qos = 1) {
    mqtt::Publish message;
    message.qos = qos;
    message.topic = std::move(topic);
    message.packet_id = qos > 0 ? 7 : 0;
    message.payload = std::move(body);
    executor.post([&client, &message] { client.session->on_publish(std::move(message)); });
    executor.run_until_idle();
  }
  void TearDown() override { executor.run_until_idle(); }

  static constexpr const char* kRegister = "$dps/registrations/PUT/iotdps-register/?$rid=r1";
  MqttDeviceService service{provisioning};
};

TEST_F(MqttDeviceTest, ServesTheFlowOfEverySdk) {
  ASSERT_TRUE(put_group());
  struct Sdk {
    const char* name;
    std::string query;
    std::string rid;
    std::string body;
    std::uint8_t qos;
  };
  const std::vector<Sdk> sdks = {
      {"node", "api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
       "f40da7ba-8c91-4796-8fc3-89e1dfbdbe05", R"({"registrationId":"node","payload":{"m":1}})", 1},
      {"python", "api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.12",
       "0a6c5f2c-1d2e-4f7a-9a6b-0d8b8f7a1c2d", R"({"registrationId": "python", "payload": null})",
       1},
      {"c", "api-version=2021-06-01&ClientVersion=1.15.0", "1", R"({"registrationId":"c"})", 0},
      {"dotnet", "api-version=2019-03-31&ClientVersion=.NET%2F1.19.2%20(.NET%208)", "1", "", 1},
  };
  for (const Sdk& sdk : sdks) {
    auto client =
        connect(user(sdk.name, testing::kScope, sdk.query), sdk.name, group_token(sdk.name));
    ASSERT_EQ(client.code, ConnectReturn::accepted) << sdk.name;
    subscribe(client);
    publish(client, "$dps/registrations/PUT/iotdps-register/?$rid=" + sdk.rid, sdk.body, sdk.qos);
    std::vector<std::string> wanted = {"SUBACK 1"};
    if (sdk.qos > 0) wanted.push_back("PUBACK 7");  // before the answer: .NET insists
    wanted.push_back("PUBLISH q1 $dps/registrations/res/200/?$rid=" + sdk.rid);
    EXPECT_EQ(client.connection->sent, wanted) << sdk.name;
    ASSERT_EQ(client.connection->bodies.size(), 1u);
    const auto body = json::parse(client.connection->bodies[0]).value();
    EXPECT_EQ(json::get_string_or(body, "status", ""), "assigned");
    EXPECT_FALSE(client.connection->closed);

    // A poll, with whatever that SDK puts into it, gives the same end.
    publish(client,
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=" +
                json::get_string_or(body, "operationId", ""),
            sdk.body.empty() ? "" : " ", sdk.qos);
    EXPECT_EQ(client.connection->sent.back(), "PUBLISH q1 $dps/registrations/res/200/?$rid=2");
    client.session->on_closed(true);
  }
}

TEST_F(MqttDeviceTest, AnswersAssigningWithAHintWhileAWebhookThinks) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  webhooks.delay = std::chrono::seconds(3);
  auto client = connected("dev-1", group_token("dev-1"));
  subscribe(client);
  publish(client, kRegister, "");
  EXPECT_THAT(client.connection->sent, ElementsAre("SUBACK 1", "PUBACK 7"));
  executor.advance(std::chrono::milliseconds(500));
  EXPECT_EQ(client.connection->sent.back(),
            "PUBLISH q1 $dps/registrations/res/202/?$rid=r1&retry-after=1");
  EXPECT_THAT(client.connection->bodies.back(), HasSubstr(R"("status":"assigning"})"));
  executor.advance(std::chrono::seconds(3));
  EXPECT_FALSE(client.connection->closed);
  client.session->on_closed(true);
}

TEST_F(MqttDeviceTest, RefusesAtTheRightMoment) {
  ASSERT_TRUE(put_group());
  const auto good = group_token("dev-1");
  EXPECT_EQ(connect(user("dev-1", "0neFFFFFFFF"), "dev-1", good).code,
            ConnectReturn::server_unavailable);
  EXPECT_EQ(connect(user("dev-1"), "dev-2", good).code, ConnectReturn::identifier_rejected);
  EXPECT_EQ(connect(user("dev-1"), "dev-1", good, 5).code,
            ConnectReturn::unacceptable_protocol_version);
  for (const std::string& bad :
       {std::string("0ne00000001/registrations/dev-1"), user("dev-1", testing::kScope, ""),
        user("dev-1", testing::kScope, "api-version"), user("dev-1", testing::kScope, "x=1"),
        user("dev-1", testing::kScope, "api-version=%zz"), std::string("/registrations/a/b=c")}) {
    EXPECT_EQ(connect(bad, "dev-1", good).code, ConnectReturn::not_authorized) << bad;
  }
}

// All refusals of a proof look the same and come as an answer, once.
TEST_F(MqttDeviceTest, TellsABadProofOnTheResponseTopic) {
  ASSERT_TRUE(put_group());
  for (const auto& password :
       {std::string(), std::string("x"), token("dev-1", base64_encode("wrong key of 16+"))}) {
    auto client = connected("dev-1", password);
    ASSERT_EQ(client.code, ConnectReturn::accepted);
    subscribe(client);
    publish(client, kRegister, "not even JSON");
    EXPECT_THAT(
        client.connection->sent,
        ElementsAre("SUBACK 1", "PUBACK 7", "PUBLISH q1 $dps/registrations/res/401/?$rid=r1"));
    EXPECT_THAT(client.connection->bodies[0], StartsWith(R"({"errorCode":401002,"trackingId":")"));
    EXPECT_THAT(client.connection->bodies[0], HasSubstr(R"("message":"Unauthorized")"));
    publish(client, kRegister, "");
    EXPECT_TRUE(client.connection->closed);
    client.session->on_closed(false);
  }
}

TEST_F(MqttDeviceTest, ClosesConnectionsThatNeverProveThemselves) {
  auto client = connected("dev-1", "x");
  executor.advance(std::chrono::seconds(9));
  EXPECT_FALSE(client.connection->closed);
  executor.advance(std::chrono::seconds(2));
  EXPECT_TRUE(client.connection->closed);
  client.session->on_closed(false);
}

TEST_F(MqttDeviceTest, AnswersABadBodyWith400) {
  ASSERT_TRUE(put_group());
  for (const char* body : {"{", "[]", "7", R"({"registrationId":"dev-2"})",
                           R"({"registrationId":5})", R"({"csr":"AAAA"})"}) {
    auto client = connected("dev-1", group_token("dev-1"));
    subscribe(client);
    publish(client, kRegister, body);
    EXPECT_EQ(client.connection->sent.back(), "PUBLISH q1 $dps/registrations/res/400/?$rid=r1")
        << body;
    client.session->on_closed(true);
  }
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(MqttDeviceTest, TellsADisabledEnrollmentAsAStatus) {
  ASSERT_TRUE(put_group(R"(,"provisioningStatus":"disabled")"));
  auto client = connected("dev-1", group_token("dev-1"));
  subscribe(client);
  publish(client, kRegister, "");
  EXPECT_EQ(client.connection->sent.back(), "PUBLISH q1 $dps/registrations/res/200/?$rid=r1");
  EXPECT_THAT(client.connection->bodies[0], HasSubstr(R"("status":"disabled")"));
  client.session->on_closed(true);
}

TEST_F(MqttDeviceTest, ClosesOnWhatCannotBeAnswered) {
  ASSERT_TRUE(put_group());
  for (const auto& [topic, size] : std::vector<std::pair<std::string, std::size_t>>{
           {"devices/dev-1/messages/events/", 1},
           {"$dps/registrations/PUT/iotdps-register/", 1},
           {"$dps/registrations/PUT/iotdps-register/?$rid=", 1},
           {"$dps/registrations/PUT/iotdps-register/?rid", 1},
           {"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", 1},
           {kRegister, kMessageSizeMax + 1}}) {
    auto client = connected("dev-1", group_token("dev-1"));
    publish(client, topic, std::string(size, ' '));
    EXPECT_TRUE(client.connection->closed) << topic;
    EXPECT_THAT(client.connection->sent, IsEmpty()) << topic;
    client.session->on_closed(false);
  }
}

TEST_F(MqttDeviceTest, GrantsTheResponseFilterAlone) {
  auto client = connected("dev-1", "x");
  subscribe(client, "#");
  subscribe(client, "$dps/registrations/res/200/#");
  subscribe(client, "$dps/registrations/res/#", 2);
  EXPECT_THAT(client.connection->sent, ElementsAre("SUBACK 128", "SUBACK 128", "SUBACK 1"));
  client.session->on_closed(true);
}

}  // namespace
}  // namespace doppel::provisioning
