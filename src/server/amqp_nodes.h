// Who has the nodes of the AMQP port: `$cbs` for the tokens of every service, and behind it the
// service of each link's address (docs/wire/one-address.md).
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/amqp/cbs.h"
#include "protocol/amqp/service.h"

namespace doppel::server {

// What the services bring. All are called on the executors of connections, several at a time.
struct AmqpHooks {
  // What a token that was put for `audience` grants. Errors: as amqp::TokenAuthority.
  std::function<Result<amqp::Claim>(std::string_view audience, std::string_view token)>
      verify_token;
  // What user and password of SASL PLAIN grant; nothing: refused.
  std::function<std::vector<amqp::Claim>(std::string_view user, std::string_view password)>
      verify_plain;
  amqp::Service* event_hubs = nullptr;
};

class AmqpNodes final : public amqp::Container, private amqp::TokenAuthority {
 public:
  // Before the server takes connections. What the hooks refer to outlives this.
  void set_hooks(AmqpHooks hooks) { hooks_ = std::move(hooks); }

  void authenticate(std::shared_ptr<amqp::Connection> connection,
                    amqp::PlainCredentials credentials,
                    std::move_only_function<void(bool)> answer) override;
  amqp::Service* service_for(const amqp::LinkQuery& query) override;

 private:
  void verify(std::shared_ptr<amqp::Connection> connection, amqp::TokenRequest request,
              Answer answer) override;

  AmqpHooks hooks_;
  amqp::CbsService cbs_{*this};
};

}  // namespace doppel::server
