// Devices of a hub over AMQP, with an engine for a client.
#include "hub/wire/amqp_device.h"

#include <gmock/gmock.h>

#include "hub/hub_fixture.h"
#include "hub/wire/amqp_service.h"
#include "protocol/amqp/address.h"
#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"

namespace doppel::hub {
namespace {

using amqp::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string data_message(std::string_view body) {
  std::string out;
  amqp::append_data_section(out, body);
  return out;
}

std::string batch_of(const std::vector<std::string>& messages) {
  std::string out;
  for (const auto& message : messages) amqp::append_data_section(out, message);
  return out;
}

class AmqpDeviceTest : public HubFixture, private amqp::TokenAuthority {
 protected:
  struct Client {
    Client(AmqpDeviceTest& test, amqp::EngineOptions options)
        : pair(test.executor, std::move(options)) {
      pair.container.on_authenticate = [&test](auto connection, const auto& credentials,
                                               auto answer) {
        test.service.authenticate(connection, credentials, std::move(answer));
      };
      pair.container.on_link = [&test](auto link) {
        if (link->address() == amqp::kCbsNode) return test.cbs.on_attach(std::move(link));
        test.service.on_attach(std::move(link));
      };
      pair.client.engine->start();
      pair.run();
      if (pair.client.engine->is_open()) pair.session = pair.client.engine->begin_session();
      pair.run();
    }

    struct OpenLink {
      std::shared_ptr<amqp::testing::TestHandler> handler;
      std::shared_ptr<amqp::Link> link;
      // The condition of a refusal, or of the end of the link; empty: it is there.
      std::string error() const {
        return handler->detached_why ? handler->detached_why->condition : std::string();
      }
    };
    OpenLink attach(amqp::LinkOptions options) {
      options.name += std::to_string(++links);
      auto handler = std::make_shared<amqp::testing::TestHandler>();
      auto link = pair.attach(std::move(options), handler);
      return {.handler = std::move(handler), .link = std::move(link)};
    }
    OpenLink sender(std::string address) {
      return attach(amqp::testing::sender_to(std::move(address)));
    }
    OpenLink receiver(std::string address) {
      return attach(amqp::testing::receiver_from(std::move(address)));
    }
    amqp::Verdict send(const OpenLink& to, std::string_view message, std::uint32_t format = 0) {
      post(to, message, format);
      pair.run();
      return to.handler->verdicts.empty() ? amqp::Verdict{} : to.handler->verdicts.back().second;
    }
    void post(const OpenLink& to, std::string_view message, std::uint32_t format = 0) {
      ASSERT_TRUE(to.link->can_send());
      to.link->send({&message, 1}, {.message_format = format, .is_settled = false});
    }
    // Status code of a put-token.
    std::int32_t put_token(std::string_view audience, std::string_view token) {
      if (cbs_in.link == nullptr) {
        cbs_in = receiver("$cbs");
        cbs_out = sender("$cbs");
      }
      cbs_in.handler->messages.clear();
      std::string message;
      amqp::MessageProperties properties;
      properties.message_id = Value("1");
      properties.reply_to = "cbs";
      amqp::append(message, properties);
      amqp::MapSectionWriter map(message, amqp::SectionCode::application_properties);
      for (const auto& [key, value] : std::vector<std::pair<std::string_view, std::string_view>>{
               {"operation", "put-token"},
               {"type", "servicebus.windows.net:sastoken"},
               {"name", audience}}) {
        map.string_key(key);
        amqp::append_string(message, value);
      }
      map.finish();
      amqp::append_value_section(message, Value(token));
      EXPECT_EQ(send(cbs_out, message).kind, amqp::Verdict::Kind::accepted);
      if (cbs_in.handler->messages.size() != 1) return 0;
      const auto reply = amqp::split_message(cbs_in.handler->messages[0].payload);
      const auto status = amqp::find_in(reply->application_properties, "status-code");
      description = *amqp::find_in(reply->application_properties, "status-description")->text_if();
      return *status->get_if<std::int32_t>();
    }
    const std::optional<amqp::Condition>& closed() const { return pair.observer.closed_why; }

    amqp::testing::Pair pair;
    int links = 0;
    OpenLink cbs_in;
    OpenLink cbs_out;
    std::string description;
  };

  std::unique_ptr<Client> connect() {
    return std::make_unique<Client>(*this, amqp::EngineOptions());
  }
  std::unique_ptr<Client> connect_plain(std::string user, std::string password) {
    amqp::EngineOptions options;
    options.sasl_mechanism = "PLAIN";
    options.credentials = {.user = std::move(user), .password = std::move(password)};
    return std::make_unique<Client>(*this, std::move(options));
  }
  // As the Node client: no SASL, a token, then the link.
  std::unique_ptr<Client> connected(const Identity& device) {
    auto client = connect();
    EXPECT_EQ(client->put_token(audience(device), device_token(device)), 200);
    return client;
  }
  static std::string audience(const Identity& device) {
    return "contoso.test/devices/" + device.device_id.str();
  }
  static std::string telemetry(std::string_view device) {
    return "/devices/" + std::string(device) + "/messages/events";
  }
  bool is_connected(std::string_view device) const {
    return hubs.presence(hub, DeviceId(device), ModuleId()).connected;
  }
  std::vector<std::string> bodies() {
    std::vector<std::string> found;
    for (const auto& event : builtin()) found.push_back(event.body);
    return found;
  }

  AmqpService service{hubs};
  amqp::CbsService cbs{*this};
  Executor::Running running{executor};

 private:
  void verify(std::shared_ptr<amqp::Connection> connection, amqp::TokenRequest request,
              Answer answer) override {
    if (auto claim = service.claim_for_all_devices(request)) return answer(*std::move(claim));
    service.verify_token(std::move(connection), std::move(request), std::move(answer));
  }
};

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

// iot-hub.md section 2.3.
TEST_F(AmqpDeviceTest, PropertiesOfEveryTypeBecomeTheEvents) {
  auto client = connected(make_device("d1"));
  amqp::Uuid uuid;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i)
    uuid.bytes[i] = static_cast<std::uint8_t>(i * 17);
  std::string message;
  amqp::Map annotations;
  annotations.add_symbol("dt-subject", Value("thermostat1"));
  annotations.add_symbol("iothub-connection-device-id", Value("somebody else"));
  annotations.add_symbol("x-opt-other", Value("dropped"));
  amqp::append_map_section(message, amqp::SectionCode::message_annotations, annotations);
  amqp::MessageProperties properties;
  properties.message_id = Value(uuid);
  properties.user_id = amqp::Binary("me");
  properties.to = "/devices/d1/messages/events";
  properties.correlation_id = Value(std::uint64_t{7});
  properties.content_type = amqp::Symbol("application/json");
  properties.content_encoding = amqp::Symbol("utf-8");
  properties.creation_time = amqp::Timestamp{1'800'000'000'000};
  properties.absolute_expiry_time = amqp::Timestamp{1'800'000'060'000};
  amqp::append(message, properties);
  amqp::Map own;
  own.add_string("text", Value("a=b&c d%"));
  own.add_string("number", Value(std::int32_t{-5}));
  own.add_string("yes", Value(true));
  own.add_string("nothing", Value());
  amqp::append_map_section(message, amqp::SectionCode::application_properties, own);
  amqp::append_data_section(message, "{\"a\":");
  amqp::append_data_section(message, "1}");
  const auto out = client->sender(telemetry("d1"));
  ASSERT_EQ(client->send(out, message).kind, amqp::Verdict::Kind::accepted);

  const auto events = builtin();
  ASSERT_THAT(events, SizeIs(1));
  const auto& event = events[0];
  EXPECT_EQ(event.body, "{\"a\":1}");
  EXPECT_EQ(event.message_id, "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(event.correlation_id, "7");
  EXPECT_EQ(event.user_id, "me");
  EXPECT_EQ(event.to, "/devices/d1/messages/events");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.content_encoding, "utf-8");
  EXPECT_EQ(event.absolute_expiry, clock.now() + std::chrono::minutes(1));
  EXPECT_THAT(event.application_properties,
              ElementsAre(Pair("iothub-creation-time-utc", HasSubstr("2027-01-15T08:00:00")),
                          Pair("text", "a=b&c d%"), Pair("number", "-5"), Pair("yes", "true"),
                          Pair("nothing", "")));
  EXPECT_EQ(event.annotation("dt-subject"), "thermostat1");
  EXPECT_EQ(event.annotation(kConnectionDeviceId), "d1");
  EXPECT_FALSE(event.annotation("x-opt-other"));
}

TEST_F(AmqpDeviceTest, ABatchIsAcceptedAsAWhole) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  const auto batch = batch_of({data_message("1"), data_message("2"), data_message("3")});
  EXPECT_EQ(client->send(out, batch, amqp::kBatchMessageFormat).kind,
            amqp::Verdict::Kind::accepted);
  EXPECT_EQ(out.handler->verdicts.size(), 1u);
  EXPECT_THAT(bodies(), ElementsAre("1", "2", "3"));
}

TEST_F(AmqpDeviceTest, ABadBatchLeavesNothingBehind) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  for (const auto& batch :
       {batch_of({data_message("1"), "no message"}), batch_of({}), std::string("\x00\x53", 2)}) {
    const auto verdict = client->send(out, batch, amqp::kBatchMessageFormat);
    EXPECT_EQ(verdict.kind, amqp::Verdict::Kind::rejected);
    EXPECT_EQ(verdict.error.condition, "com.microsoft:argument-error");
  }
  const auto large = client->send(
      out,
      batch_of({data_message(std::string(200'000, 'a')), data_message(std::string(100'000, 'b'))}),
      amqp::kBatchMessageFormat);
  EXPECT_EQ(large.error.condition, "amqp:link:message-size-exceeded");
  EXPECT_THAT(bodies(), IsEmpty());
  EXPECT_EQ(client->send(out, data_message("well")).kind, amqp::Verdict::Kind::accepted);
}

TEST_F(AmqpDeviceTest, TheLimitIsOnWhatCounts) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  EXPECT_EQ(client->send(out, data_message(std::string(kMessageSizeMax, 'a'))).kind,
            amqp::Verdict::Kind::accepted);
  const auto large = client->send(out, data_message(std::string(kMessageSizeMax + 1, 'a')));
  EXPECT_EQ(large.error.condition, "amqp:link:message-size-exceeded");
  EXPECT_NE(large.error.info.find("com.microsoft:tracking-id"), nullptr);
  EXPECT_EQ(client->send(out, data_message("")).kind, amqp::Verdict::Kind::accepted);
}

// Accepted means durable; what is not is to be sent again.
TEST_F(AmqpDeviceTest, AMessageThatCouldNotBeWrittenIsNotAccepted) {
  auto client = connected(make_device("d1"));
  const auto out = client->sender(telemetry("d1"));
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto verdict = client->send(out, data_message("lost"));
  EXPECT_EQ(verdict.kind, amqp::Verdict::Kind::rejected);
  EXPECT_EQ(verdict.error.condition, "amqp:internal-error");
}

TEST_F(AmqpDeviceTest, AModelIsAnnouncedByTheLink) {
  auto client = connected(make_device("d1"));
  auto options = amqp::testing::sender_to(telemetry("d1"));
  options.properties.add_symbol("com.microsoft:model-id", Value("dtmi:com:example:Thermostat;1"));
  const auto out = client->attach(std::move(options));
  client->send(out, data_message("1"));
  EXPECT_EQ(builtin()[0].annotation("dt-dataschema"), "dtmi:com:example:Thermostat;1");
  const auto twin = run(hubs.get_twin(hub, DeviceId("d1"), ModuleId()));
  ASSERT_TRUE(twin);
  EXPECT_EQ(twin->twin.model_id, "dtmi:com:example:Thermostat;1");
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
