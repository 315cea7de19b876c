// For tests of devices over AMQP: the service on a hub over the memory store, with engines for
// clients.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hub/hub_fixture.h"
#include "hub/wire/amqp_device.h"
#include "hub/wire/amqp_service.h"
#include "protocol/amqp/address.h"
#include "protocol/amqp/engine_testing.h"
#include "protocol/amqp/message.h"

namespace doppel::hub::testing_amqp {

using amqp::Value;

inline std::string data_message(std::string_view body) {
  std::string out;
  amqp::append_data_section(out, body);
  return out;
}

inline std::string batch_of(const std::vector<std::string>& messages) {
  std::string out;
  for (const auto& message : messages) amqp::append_data_section(out, message);
  return out;
}

class AmqpFixture : public HubFixture, private amqp::TokenAuthority {
 protected:
  struct Client {
    Client(AmqpFixture& test, amqp::EngineOptions options)
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

}  // namespace doppel::hub::testing_amqp
