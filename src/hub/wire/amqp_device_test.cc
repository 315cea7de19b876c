// Who may be on an AMQP connection of a hub, and what ends it.
#include <gmock/gmock.h>

#include "hub/wire/amqp_testing.h"

namespace doppel::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using testing_amqp::data_message;
using AmqpDeviceTest = testing_amqp::AmqpFixture;

TEST_F(AmqpDeviceTest, ATokenThenALinkThenTelemetry) {
  const auto device = make_device("d1");
  auto client = connected(device);
  EXPECT_FALSE(is_connected("d1"));
  const auto out = client->sender(telemetry("d1"));
  EXPECT_EQ(out.error(), "");
  EXPECT_TRUE(is_connected("d1"));
  EXPECT_EQ(client->send(out, data_message("hello")).kind, amqp::Verdict::Kind::accepted);

  const auto events = builtin();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].body, "hello");
  EXPECT_EQ(events[0].annotation(kConnectionDeviceId), "d1");
  EXPECT_EQ(events[0].annotation(kConnectionGenerationId), device.generation.view());
  EXPECT_EQ(events[0].annotation(kMessageSource), kSourceTelemetry);
  EXPECT_EQ(events[0].annotation(kConnectionAuthMethod),
            R"({"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null})");

  out.link->detach();
  client->pair.run();
  EXPECT_FALSE(is_connected("d1"));
}

// Each SDK names what the token is for in its own way (iot-hub.md section 2.1).
TEST_F(AmqpDeviceTest, AudiencesAndAddressesInEverySpelling) {
  const auto device = make_device("a+b:c");
  const auto token = device_token(device);
  for (const auto* name :
       {"contoso.test/devices/a+b:c", "contoso.test%2Fdevices%2Fa%2Bb%3Ac",
        "amqps://CONTOSO.test:5671/devices/a%2Bb%3Ac", "localhost%3A5671%2Fdevices%2Fa%2Bb%3Ac"}) {
    auto client = connect();
    EXPECT_EQ(client->put_token(name, token), 200) << name;
    for (const auto* address :
         {"/devices/a%2Bb%3Ac/messages/events", "devices/a%2Bb%3Ac/Messages/Events",
          "amqps://contoso.test/devices/a%2Bb%3Ac/messages/events"}) {
      const auto out = client->sender(address);
      EXPECT_EQ(out.error(), "") << address;
    }
  }
}

TEST_F(AmqpDeviceTest, SaslPlainIsATokenToo) {
  const auto device = make_device("d1");
  for (const auto* hub_name : {"contoso", "contoso.test", "localhost", "CONTOSO"}) {
    auto client = connect_plain("d1@sas." + std::string(hub_name), device_token(device));
    ASSERT_TRUE(client->pair.client.engine->is_open()) << hub_name;
    const auto out = client->sender("amqps://contoso.test/devices/d1/messages/events");
    EXPECT_EQ(client->send(out, data_message("x")).kind, amqp::Verdict::Kind::accepted);
    EXPECT_EQ(client->sender(telemetry("d2")).error(), "amqp:unauthorized-access");
  }
  for (const auto& [user, password] : std::vector<std::pair<std::string, std::string>>{
           {"d1@sas.contoso", "x"},
           {"d2@sas.contoso", device_token(device)},
           {"d1@sas.fabrikam", device_token(device)},
           {"d1/m1@sas.contoso", device_token(device)},
           {"@sas.contoso", device_token(device)},
           {"d1/@sas.contoso", device_token(device)}}) {
    auto client = connect_plain(user, password);
    EXPECT_FALSE(client->pair.observer.opened) << user;
    EXPECT_TRUE(client->pair.server.transport.is_closed()) << user;
  }
}

// The verdict on a token does not tell an unknown device from a wrong key.
TEST_F(AmqpDeviceTest, BadTokensLookAlike) {
  const auto device = make_device("d1");
  Identity off;
  off.status = DeviceStatus::disabled;
  const auto disabled = make_device("off", off);
  const auto good = device_token(device);
  const std::vector<std::pair<std::string, std::string>> all = {
      {"contoso.test/devices/d1", "SharedAccessSignature sr=x"},
      {"contoso.test/devices/d1", token("contoso.test/devices/d1", key_of("another"))},
      {"contoso.test/devices/d1",
       token("contoso.test/devices/d1", device.authentication.primary_key, {},
             -std::chrono::hours(1))},
      {"contoso.test/devices/d2", good},
      {"contoso.test/devices/D1", good},
      {"fabrikam.test/devices/d1", good},
      {"contoso.test/devices/off", device_token(disabled)},
  };
  for (const auto& [name, text] : all) {
    auto client = connect();
    EXPECT_EQ(client->put_token(name, text), 401) << name;
    EXPECT_THAT(client->description, HasSubstr("Authentication failed for this device")) << name;
    EXPECT_EQ(client->sender(telemetry("d1")).error(), "amqp:unauthorized-access") << name;
  }
  auto client = connect();
  EXPECT_EQ(client->put_token("contoso.test/devices", good), 400);
  EXPECT_EQ(builtin().size(), 0u);
}

// A connection for many, as .NET's pools: a policy's token for the hub, or one token for each.
TEST_F(AmqpDeviceTest, APoolOfDevicesSharesAConnection) {
  const auto first = make_device("d1");
  const auto second = make_device("d2");
  auto pooled = connect();
  ASSERT_EQ(pooled->put_token("contoso.test", token("contoso.test", key_of("device1"), "device")),
            200);
  const auto one = pooled->sender(telemetry("d1"));
  const auto two = pooled->sender(telemetry("d2"));
  EXPECT_EQ(pooled->send(one, data_message("1")).kind, amqp::Verdict::Kind::accepted);
  EXPECT_EQ(pooled->send(two, data_message("2")).kind, amqp::Verdict::Kind::accepted);
  EXPECT_EQ(pooled->sender(telemetry("d3")).error(), "amqp:unauthorized-access");

  // The end of one is not the end of the other.
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d1"), ModuleId(), "*")));
  pooled->pair.run();
  EXPECT_EQ(one.error(), "amqp:not-found");
  EXPECT_EQ(pooled->pair.observer.closed_calls, 0);
  EXPECT_EQ(pooled->send(two, data_message("3")).kind, amqp::Verdict::Kind::accepted);
  EXPECT_THAT(bodies(), UnorderedElementsAre("1", "2", "3"));

  auto each = connect();
  EXPECT_EQ(each->put_token(audience(second), device_token(second)), 200);
  EXPECT_EQ(each->sender(telemetry("d2")).error(), "");
  // Taken over: the pool goes on without it, with no link left.
  pooled->pair.run();
  EXPECT_EQ(two.error(), "amqp:link:stolen");

  // A policy without the right, a token for less than the hub.
  for (const auto& text : {token("contoso.test", key_of("service1"), "service"),
                           token("contoso.test/devices/d2", key_of("device1"), "device")}) {
    auto refused = connect();
    EXPECT_NE(refused->put_token("contoso.test", text), 200);
  }
}

TEST_F(AmqpDeviceTest, ASecondConnectionTakesOver) {
  const auto device = make_device("d1");
  auto older = connected(device);
  const auto out = older->sender(telemetry("d1"));
  const auto in = older->receiver("/devices/d1/messages/devicebound");
  EXPECT_EQ(in.error(), "");
  auto newer = connected(device);
  const auto again = newer->sender(telemetry("d1"));
  older->pair.run();
  EXPECT_EQ(out.error(), "amqp:link:stolen");
  EXPECT_EQ(in.error(), "amqp:link:stolen");
  ASSERT_TRUE(older->closed());
  EXPECT_EQ(older->closed()->condition, "amqp:connection:forced");
  EXPECT_TRUE(is_connected("d1"));
  EXPECT_EQ(newer->send(again, data_message("1")).kind, amqp::Verdict::Kind::accepted);
}

TEST_F(AmqpDeviceTest, WhoIsDisabledOrDeletedIsThrownOut) {
  auto device = make_device("d1");
  auto client = connected(device);
  const auto out = client->sender(telemetry("d1"));
  device.status = DeviceStatus::disabled;
  ASSERT_TRUE(run(hubs.update_identity(hub, device, "*")));
  client->pair.run();
  EXPECT_EQ(out.error(), "amqp:unauthorized-access");
  ASSERT_TRUE(client->closed());
  EXPECT_EQ(client->closed()->condition, "amqp:unauthorized-access");
  EXPECT_FALSE(is_connected("d1"));

  const auto other = make_device("d2");
  auto doomed = connected(other);
  const auto link = doomed->sender(telemetry("d2"));
  ASSERT_TRUE(run(hubs.delete_identity(hub, DeviceId("d2"), ModuleId(), "*")));
  doomed->pair.run();
  EXPECT_EQ(link.error(), "amqp:not-found");
  EXPECT_TRUE(doomed->closed());
}

TEST_F(AmqpDeviceTest, ATokenThatIsOverEndsTheConnectionUnlessItWasRenewed) {
  const auto device = make_device("d1");
  auto client = connected(device);
  const auto out = client->sender(telemetry("d1"));
  executor.advance(std::chrono::minutes(50));
  // The same device, on the same connection.
  EXPECT_EQ(client->put_token(audience(device), device_token(device)), 200);
  executor.advance(std::chrono::minutes(60));
  client->pair.run();
  EXPECT_EQ(out.error(), "");
  EXPECT_EQ(client->send(out, data_message("1")).kind, amqp::Verdict::Kind::accepted);
  executor.advance(std::chrono::minutes(11));  // with the grace
  client->pair.run();
  EXPECT_EQ(out.error(), "amqp:unauthorized-access");
  ASSERT_TRUE(client->closed());
  EXPECT_FALSE(is_connected("d1"));
}

TEST_F(AmqpDeviceTest, ModulesAreIdentitiesOfTheirOwn) {
  make_device("d1");
  Identity wanted;
  wanted.device_id = DeviceId("d1");
  wanted.module_id = ModuleId("m1");
  const auto module = run(hubs.create_identity(hub, wanted));
  ASSERT_TRUE(module);
  const std::string path = "contoso.test/devices/d1/modules/m1";
  auto client = connect();
  ASSERT_EQ(client->put_token(path, token(path, module->authentication.primary_key)), 200);
  const auto out = client->sender("/devices/d1/modules/m1/messages/events");
  EXPECT_EQ(client->send(out, data_message("m")).kind, amqp::Verdict::Kind::accepted);
  // Node's modules receive there.
  EXPECT_EQ(client->receiver("/devices/d1/modules/m1/messages/events").error(), "");
  // Its device is another.
  EXPECT_EQ(client->sender(telemetry("d1")).error(), "amqp:unauthorized-access");
  ASSERT_THAT(builtin(), SizeIs(1));
  EXPECT_EQ(builtin()[0].annotation(kConnectionModuleId), "m1");
}

TEST_F(AmqpDeviceTest, NodesThatAreNotThereAreRefused) {
  auto client = connected(make_device("d1"));
  for (const auto& [address, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"/devices/d1/twin", "amqp:not-implemented"},
           {"/devices/d1/methods/deviceBound", "amqp:not-implemented"},
           {"/messages/deviceBound", "amqp:not-implemented"},
           {"/devices/d1/messages/deviceBound", "amqp:not-allowed"},
           {"/devices/d1/messages/event", "amqp:not-found"},
           {"/devices/d1", "amqp:not-found"},
           {"/devices/", "amqp:not-found"},
           {"/devices/%zz/messages/events", "amqp:not-found"}})
    EXPECT_EQ(client->sender(address).error(), wanted) << address;
  EXPECT_EQ(client->receiver(telemetry("d1")).error(), "amqp:not-allowed");
  EXPECT_EQ(client->receiver("/devices/d1/messages/deviceBound").error(), "");
  EXPECT_EQ(client->pair.observer.closed_calls, 0);
}

// Client and server are both told what happens to a connection that breaks.
TEST_F(AmqpDeviceTest, ALostConnectionIsNotConnected) {
  auto client = connected(make_device("d1"));
  client->sender(telemetry("d1"));
  client->receiver("/devices/d1/messages/devicebound");
  EXPECT_TRUE(is_connected("d1"));
  client->pair.server.engine->on_transport_closed();
  executor.run_until_idle();
  EXPECT_FALSE(is_connected("d1"));
}

TEST_F(AmqpDeviceTest, WithoutAProofThereIsNoLink) {
  make_device("d1");
  auto client = connect();
  EXPECT_EQ(client->sender(telemetry("d1")).error(), "amqp:unauthorized-access");
  EXPECT_EQ(client->receiver("/devices/d1/messages/devicebound").error(),
            "amqp:unauthorized-access");
  EXPECT_EQ(client->pair.observer.closed_calls, 0);
}

}  // namespace
}  // namespace doppel::hub
