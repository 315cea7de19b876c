// What the AMQP port offers: `$cbs` for the tokens of every service, and behind it the service that
// each peer means (amqp_party.h).
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/wire/amqp_service.h"
#include "protocol/amqp/cbs.h"
#include "protocol/amqp/service.h"
#include "provisioning/wire/amqp_device.h"

namespace doppel::server {

// What the services bring. All are called on the executors of connections, several at a time.
struct AmqpHooks {
  // What a token that was put for `audience` grants at Event Hubs, and to the services of an IoT
  // hub. Errors: as amqp::TokenAuthority.
  std::function<Result<amqp::Claim>(std::string_view audience, std::string_view token)>
      verify_token;
  // The same of user and password of SASL PLAIN; nothing: refused.
  std::function<std::vector<amqp::Claim>(std::string_view user, std::string_view password)>
      verify_plain;
  amqp::Service* event_hubs = nullptr;
  hub::AmqpService* iot_hubs = nullptr;
  provisioning::AmqpDeviceService* provisioning = nullptr;
};

class AmqpNodes final : public amqp::Container, private amqp::TokenAuthority {
 public:
  // Before the server takes connections. What the hooks refer to outlives this.
  void set_hooks(AmqpHooks hooks) { hooks_ = std::move(hooks); }

  void authenticate(std::shared_ptr<amqp::Connection> connection,
                    amqp::PlainCredentials credentials,
                    std::move_only_function<void(bool)> answer) override;
  std::unique_ptr<amqp::SaslExchange> start_exchange(std::shared_ptr<amqp::Connection> connection,
                                                     std::string_view mechanism,
                                                     std::string_view hostname) override;
  void open(std::shared_ptr<amqp::Connection> connection,
            std::move_only_function<void(std::optional<amqp::Condition>)> answer) override;
  amqp::Service* service_for(const amqp::LinkQuery& query) override;

 private:
  void verify(std::shared_ptr<amqp::Connection> connection, amqp::TokenRequest request,
              Answer answer) override;

  AmqpHooks hooks_;
  amqp::CbsService cbs_{*this};
};

}  // namespace doppel::server
