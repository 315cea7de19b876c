// A node that answers requests: `$cbs`, `$management`. The peer attaches a pair of links to it,
// sends requests on one and gets the replies on the other (AMQP Management 1.0, working draft 11,
// section 2; the shapes of real clients: docs/wire/event-hubs.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/amqp/message.h"
#include "protocol/amqp/service.h"

namespace doppel::amqp {

// Replies of one link that its peer gave no credit for yet; then requests are refused.
inline constexpr std::size_t kRepliesWaitingMax = 100;
// The same in bytes, of all links of one connection to the node: a reply carries the id of its
// request, which is the peer's to choose.
inline constexpr std::size_t kReplyBytesWaitingMax = 256 * 1024;
// A request carries a token at most (16 KiB is the limit of those); the rest is names.
inline constexpr std::uint64_t kRequestBytesMax = 64 * 1024;

// Views are valid during the call that brings it.
struct Request {
  Link& link;  // it came by
  std::string_view node;
  const MessageView& message;

  // A string of the application properties; empty when it is absent or something else.
  std::string property(std::string_view name) const;
};

// The outcome, in the application properties of the reply; .NET takes only an int for the status.
struct Reply {
  std::int32_t status = 200;
  std::string description{};
  // `error-condition`: Node's clients turn it into their error code, and guess from the status when
  // it is missing.
  std::string condition{};
  std::optional<Value> body{};  // an amqp-value
};

// The base of such services. One for all connections; called on the executor of each.
class RequestNode : public Service {
 public:
  using Answer = std::move_only_function<void(Reply)>;

  void on_attach(std::shared_ptr<Link> link) final;

  // Answers once, now or later, on the connection's executor. An answer that comes after the
  // connection is gone does nothing.
  virtual void on_request(const Request& request, Answer answer) = 0;

 private:
  class Pair;
  class Requests;
  class Replies;
};

}  // namespace doppel::amqp
