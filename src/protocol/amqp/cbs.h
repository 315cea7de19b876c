// The `$cbs` node: clients put tokens there before they attach to anything else (claims based
// security; docs/wire and event-hubs.md, section 4). What a token grants goes to the claims of the
// connection, where every service on the port finds it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/amqp/claims.h"
#include "protocol/amqp/request_node.h"
#include "protocol/amqp/service.h"

namespace doppel::amqp {

inline constexpr std::string_view kCbsNode = "$cbs";

// One put-token.
struct TokenRequest {
  std::string audience{};  // as the client wrote it, e.g. "sb://localhost:5671/eh1"
  std::string token{};     // "SharedAccessSignature sr=..." or a JWT
};

// Tokens are told apart by what they look like: Python 5.11 puts a SharedAccessSignature with type
// "jwt".
bool is_shared_access_signature(std::string_view token);

// Judges tokens; server/ has one that knows the keys and issuers of every service.
class TokenAuthority {
 public:
  using Answer = std::move_only_function<void(Result<Claim>)>;
  virtual ~TokenAuthority() = default;

  // Answers once, now or later, from any thread. The claim's `resource` is what the token covers,
  // which may be more than the audience. Errors become the status of the reply: unauthenticated and
  // forbidden 401, not_found 404, invalid_argument 400, throttled and unavailable 503, others 500;
  // their message goes to the client.
  virtual void verify(std::shared_ptr<Connection> connection, TokenRequest request,
                      Answer answer) = 0;
};

class CbsService final : public RequestNode {
 public:
  // `authority` outlives the service.
  explicit CbsService(TokenAuthority& authority) : authority_(authority) {}

  void on_request(const Request& request, Answer answer) override;

 private:
  TokenAuthority& authority_;
};

}  // namespace doppel::amqp
