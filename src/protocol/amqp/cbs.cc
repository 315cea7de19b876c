#include "protocol/amqp/cbs.h"

#include <utility>

#include "protocol/amqp/conditions.h"
#include "protocol/amqp/message.h"

namespace doppel::amqp {
namespace {

// IoT Hub's and DPS's tokens have some hundred bytes, those of an identity provider a few thousand.
constexpr std::size_t kTokenBytesMax = 16 * 1024;
constexpr std::size_t kAudienceBytesMax = 1024;

Reply refusal(std::int32_t status, std::string_view condition, std::string description) {
  return {
      .status = status, .description = std::move(description), .condition = std::string(condition)};
}

// `error-condition` is always there: Node's table from status to condition is ambiguous
// (event-hubs.md, section 4).
Reply refusal(const Error& error) {
  switch (error.code) {
    case Code::unauthenticated:
    case Code::forbidden:
      return refusal(401, condition::kUnauthorizedAccess, error.message);
    case Code::not_found:
      return refusal(404, condition::kNotFound, error.message);
    case Code::invalid_argument:
    case Code::unsupported:
    case Code::too_large:
      return refusal(400, condition::kNotAllowed, error.message);
    case Code::quota_exceeded:
      return refusal(403, condition::kResourceLimitExceeded, error.message);
    case Code::throttled:
    case Code::unavailable:
    case Code::timeout:
    case Code::cancelled:
      return refusal(503, condition::kServerBusy, error.message);
    case Code::already_exists:
    case Code::precondition_failed:
    case Code::conflict:
    case Code::bad_gateway:
    case Code::internal:
      break;
  }
  return refusal(500, condition::kInternalError, "The token could not be checked.");
}

// The text of the body; clients send an amqp-value string.
std::string token_of(const MessageView& message) {
  const auto body = decode_body_value(message);
  if (!body.has_value()) return {};
  const auto* const text = body->text_if();
  return text == nullptr ? std::string{} : *text;
}

Reply store(Connection& connection, Result<Claim> claim) {
  if (!claim) return refusal(claim.error());
  if (!connection.claims().put(std::move(*claim)))
    return refusal(403, condition::kResourceLimitExceeded, "The connection holds too many tokens.");
  // Azure's Event Hubs says 202; IoT Hub's Node clients accept exactly 200, and every client does.
  return {.status = 200, .description = "OK"};
}

void answer_on_executor(std::shared_ptr<Connection> connection, Result<Claim> claim,
                        RequestNode::Answer answer) {
  if (Executor::current_or_null() == &connection->executor())
    return answer(store(*connection, std::move(claim)));
  Executor& home = connection->executor();
  home.post([kept = std::move(connection), verdict = std::move(claim),
             then = std::move(answer)]() mutable { then(store(*kept, std::move(verdict))); });
}

}  // namespace

bool is_shared_access_signature(std::string_view token) {
  return token.starts_with("SharedAccessSignature ");
}

void CbsService::on_request(const Request& request, Answer answer) {
  const auto operation = request.property("operation");
  if (operation != "put-token")
    return answer(refusal(400, condition::kNotAllowed,
                          "Operation '" + operation + "' is not known here; put-token is."));
  TokenRequest wanted{.audience = request.property("name"), .token = token_of(request.message)};
  if (wanted.audience.empty() || wanted.audience.size() > kAudienceBytesMax)
    return answer(refusal(400, condition::kNotAllowed, "put-token needs an audience in 'name'."));
  if (wanted.token.empty() || wanted.token.size() > kTokenBytesMax)
    return answer(refusal(400, condition::kNotAllowed, "put-token needs a token in its body."));
  auto connection = request.link.connection().share();
  authority_.verify(connection, std::move(wanted),
                    [connection, then = std::move(answer)](Result<Claim> claim) mutable {
                      answer_on_executor(connection, std::move(claim), std::move(then));
                    });
}

}  // namespace doppel::amqp
