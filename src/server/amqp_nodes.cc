#include "server/amqp_nodes.h"

#include <utility>

namespace doppel::server {

void AmqpNodes::authenticate(std::shared_ptr<amqp::Connection> connection,
                             amqp::PlainCredentials credentials,
                             std::move_only_function<void(bool)> answer) {
  if (!hooks_.verify_plain) return answer(false);
  auto claims = hooks_.verify_plain(credentials.user, credentials.password);
  for (auto& claim : claims) {
    if (!connection->claims().put(std::move(claim))) return answer(false);
  }
  answer(!claims.empty());
}

amqp::Service* AmqpNodes::service_for(const amqp::LinkQuery& query) {
  if (query.address == amqp::kCbsNode) return &cbs_;
  return hooks_.event_hubs;
}

void AmqpNodes::verify(std::shared_ptr<amqp::Connection>, amqp::TokenRequest request,
                       Answer answer) {
  if (!hooks_.verify_token)
    return answer(fail(Code::unauthenticated, "No service here takes this token."));
  answer(hooks_.verify_token(request.audience, request.token));
}

}  // namespace doppel::server
