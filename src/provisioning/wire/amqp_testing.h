// For tests of DPS devices over AMQP: the service with an engine for a client.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"
#include "provisioning/testing.h"
#include "provisioning/wire/amqp_device.h"

namespace doppel::provisioning::testing_amqp {

using amqp::Value;

// A message as devices write it.
struct Outgoing {
  std::string operation = "iotdps-register";
  std::string operation_id{};
  Value correlation_id{};
  std::string body{};
  bool is_value_body = false;

  std::string encode() const {
    std::string out;
    amqp::MessageProperties properties;
    if (!correlation_id.is_null()) properties.correlation_id = correlation_id;
    amqp::append(out, properties);
    amqp::MapSectionWriter map(out, amqp::SectionCode::application_properties);
    if (!operation.empty()) {
      map.string_key("iotdps-operation-type");
      amqp::append_string(out, operation);
    }
    if (!operation_id.empty()) {
      map.string_key("iotdps-operation-id");
      amqp::append_string(out, operation_id);
    }
    map.string_key("iotdps-forceRegistration");
    amqp::append_boolean(out, false);
    map.finish();
    if (is_value_body)
      amqp::append_value_section(out, Value(body));
    else
      amqp::append_data_section(out, body);
    return out;
  }
};

struct Reply {
  Value correlation_id;
  amqp::Map properties;
  std::string body;
};

inline Reply read_reply(std::string_view payload) {
  const auto message = amqp::split_message(payload);
  EXPECT_TRUE(message.has_value());
  EXPECT_EQ(message->body_kind, amqp::BodyKind::data);
  std::string room;
  return {.correlation_id = amqp::decode_properties(*message)->correlation_id.value_or(Value()),
          .properties = *amqp::decode_map(message->application_properties),
          .body = std::string(amqp::joined_data(*message, room))};
}

class AmqpFixture : public ::testing::Test, public testing::World {
 protected:
  // A client of one connection.
  struct Client {
    Client(AmqpFixture& test, amqp::EngineOptions options)
        : pair(test.executor, std::move(options)) {
      pair.container.on_authenticate = [&test](auto connection, const auto& credentials,
                                               auto answer) {
        const auto name = parse_device_name(credentials.user);
        ASSERT_TRUE(name);
        test.service.present(*connection, *name, credentials.password);
        answer(true);
      };
      pair.container.on_open = [&test](auto connection, auto answer) {
        test.service.open(std::move(connection), std::move(answer));
      };
      pair.container.on_link = [&test](auto link) { test.service.on_attach(std::move(link)); };
      pair.client.engine->start();
      pair.run();
      if (pair.client.engine->is_open()) pair.session = pair.client.engine->begin_session();
      pair.run();
    }

    void attach(const std::string& address, std::string api_version = "2019-03-31",
                std::uint32_t credit = 10) {
      auto in = amqp::testing::receiver_from(address, credit);
      in.name += std::to_string(++links);
      in.properties.add_symbol("com.microsoft:api-version", Value(api_version));
      receiver = std::make_shared<amqp::testing::TestHandler>();
      receiver_link = pair.attach(std::move(in), receiver);
      attach_sender(address);
    }
    void attach_sender(const std::string& address) {
      auto out = amqp::testing::sender_to(address);
      out.name += std::to_string(++links);
      sender = std::make_shared<amqp::testing::TestHandler>();
      sender_link = pair.attach(std::move(out), sender);
    }
    void send(const Outgoing& message) {
      const auto bytes = message.encode();
      const std::string_view piece = bytes;
      ASSERT_TRUE(sender_link->can_send());
      sender_link->send({&piece, 1}, {.is_settled = false});
      pair.run();
    }
    const amqp::Verdict& verdict() const { return sender->verdicts.back().second; }
    bool is_accepted() const {
      return !sender->verdicts.empty() && verdict().kind == amqp::Verdict::Kind::accepted;
    }
    Reply reply() const { return read_reply(receiver->messages.back().payload); }
    json::Value answer() const { return json::parse(reply().body).value(); }
    const std::optional<amqp::Condition>& closed() const { return pair.observer.closed_why; }

    amqp::testing::Pair pair;
    int links = 0;
    std::shared_ptr<amqp::testing::TestHandler> sender;
    std::shared_ptr<amqp::testing::TestHandler> receiver;
    std::shared_ptr<amqp::Link> sender_link;
    std::shared_ptr<amqp::Link> receiver_link;
  };

  static std::string name(std::string_view id, std::string_view scope = testing::kScope) {
    return fmt::format("{}/registrations/{}", scope, id);
  }
  std::unique_ptr<Client> connect(std::string user, std::string password) {
    amqp::EngineOptions options;
    options.hostname = "localhost";
    options.sasl_mechanism = "PLAIN";
    options.credentials = {.user = std::move(user), .password = std::move(password)};
    return std::make_unique<Client>(*this, std::move(options));
  }
  // Without a word in SASL, as those do who have a certificate.
  std::unique_ptr<Client> connect_bare(std::string mechanism = {}) {
    amqp::EngineOptions options;
    options.sasl_mechanism = std::move(mechanism);
    return std::make_unique<Client>(*this, std::move(options));
  }
  std::unique_ptr<Client> proven(std::string_view id) {
    auto client = connect(name(id), group_token(id));
    client->attach(name(id));
    return client;
  }

  AmqpDeviceService service{provisioning};
  Executor::Running running{executor};
};

}  // namespace doppel::provisioning::testing_amqp
