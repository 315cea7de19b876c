// What stands between an AMQP connection (net/ drives it, ConnectionEngine keeps its state) and the
// services that have nodes on it (events/wire, hub/wire, provisioning/wire). All calls for one
// connection come on its own executor, and may only be made there.
//
// Flow: SASL and OPEN are put before the Container. Each ATTACH of the peer asks the Container for
// the service of that address; the service answers with Link::attach or Link::refuse, at once or
// later. From then on the link's LinkHandler gets what happens, until on_detached.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "protocol/amqp/claims.h"
#include "protocol/amqp/performative.h"
#include "protocol/http/message.h"

namespace doppel::amqp {

using PeerInfo = http::PeerInfo;

// Why a link, session or connection ended, or a delivery was rejected; an AMQP `error` (part 2,
// section 2.8.14). `condition` is one of conditions.h or a service's own.
struct Condition {
  std::string condition{};
  std::string description{};
  Map info{};  // for redirects; symbol keys

  bool operator==(const Condition&) const = default;
};

// A message that arrived. Views are valid during the call only.
struct Delivery {
  std::uint32_t id = 0;              // names it to Link::accept and its kin
  std::uint32_t message_format = 0;  // 0x80013700: a batch of messages
  std::string_view tag{};
  bool is_settled = false;     // the peer wants no verdict; accept() and its kin do nothing
  std::string_view payload{};  // the sections of the whole message, as they came
};

// What the peer said of a message of ours.
struct Verdict {
  enum class Kind : std::uint8_t {
    accepted,
    rejected,
    released,
    modified,
    none,  // settled without a word
  };
  Kind kind = Kind::none;
  Condition error{};                   // rejected: why, if it said
  bool is_delivery_failed = false;     // modified: count it as an attempt
  bool is_undeliverable_here = false;  // modified: not to this link again
};

// The service's side of one link. Held by the connection until on_detached was called.
class LinkHandler {
 public:
  virtual ~LinkHandler() = default;

  // Client role, and server role of a link we opened: the peer's attach. `attach` is valid during
  // the call. A refusal has no terminus; on_detached follows with its reason.
  virtual void on_attached(const Attach& attach) { static_cast<void>(attach); }

  // Inbound: one whole message. Verdicts may come later and in any order; until then the message
  // occupies credit.
  virtual void on_message(const Delivery& delivery) { static_cast<void>(delivery); }

  // Outbound: the link can send, after it was attached or after Link::can_send() said no. Called
  // once each time that changes, never from within another call to the handler. A handler that has
  // nothing to send then asks can_send() again once it has.
  virtual void on_can_send() {}
  // Outbound: the peer gave its verdict on an unsettled message; `id` is what Link::send returned.
  virtual void on_verdict(std::uint32_t id, const Verdict& verdict) {
    static_cast<void>(id);
    static_cast<void>(verdict);
  }
  // Outbound: the peer wants what there is now and its remaining credit back. on_can_send was
  // called just before. True: nothing more to send, the credit is returned at once. False: the
  // handler calls Link::drained() when it has sent what it found.
  virtual bool on_drain() { return true; }

  // The link is over and its methods do nothing any more; no verdict comes for what was under way.
  // `why` is null after an orderly detach, the peer's or our own; else the peer's error, ours, or
  // amqp:connection:forced for a connection that was lost. The last call, and always from the
  // executor, not from within a method of Link.
  virtual void on_detached(const Condition* why) { static_cast<void>(why); }
};

// The default of `max_message_size`: what Event Hubs Standard takes, batches included.
inline constexpr std::uint64_t kMessageBytesMaxDefault = 1024 * 1024;
// The figure of the trial in the Event Hubs notes; the service's is 300 to 1000.
inline constexpr std::uint32_t kCreditDefault = 300;

// The service's part of an attach reply. Source, target and filters of the request are echoed.
struct AttachReply {
  // Inbound. In the reply (it is the batch limit of Event Hubs clients) and enforced: what is
  // longer is rejected with amqp:link:message-size-exceeded and the link stays open.
  std::uint64_t max_message_size = kMessageBytesMaxDefault;
  // Inbound: messages the peer may have under way; topped up as verdicts are given.
  std::uint32_t credit = kCreditDefault;
  // Beside what the engine sets; symbol keys. The reply always has a map when the request had one.
  Map properties{};
  std::vector<std::string> offered_capabilities{};
  // Instead of the echo.
  std::optional<Source> source{};
  std::optional<Target> target{};
};

struct SendOptions {
  std::uint32_t message_format = 0;
  // Empty: the engine makes one, four bytes of a counter.
  std::string_view tag{};
  // Overruled where the link's snd-settle-mode is "settled". A settled message has no verdict.
  bool is_settled = true;
};

class Connection;

// One link, from the peer's attach on. Share it freely; after on_detached the methods that act do
// nothing, and those that tell go on telling.
class Link {
 public:
  virtual ~Link() = default;

  virtual Connection& connection() = 0;  // lives as long as the link
  virtual std::string_view name() const = 0;
  // node_of() of the node on our side: the target of an inbound link, the source of an outbound
  // one.
  virtual std::string_view address() const = 0;
  // True: the peer sends, we receive.
  virtual bool is_inbound() const = 0;
  virtual bool is_attached() const = 0;       // both attaches are done and no detach
  virtual std::uint16_t session() const = 0;  // the peer's channel: same number, same session
  // What the peer sent. Valid until attach() or refuse() is called.
  virtual const Attach& request() const = 0;

  // The answer to the peer's attach; exactly one of the two, once.
  virtual void attach(std::shared_ptr<LinkHandler> handler, AttachReply reply) = 0;
  // Attach back with null source and target, then detach with closed=true, as the real service
  // does.
  virtual void refuse(Condition why) = 0;

  // Ends the link with closed=true; null condition: no error.
  virtual void detach(std::optional<Condition> why = std::nullopt) = 0;

  // Inbound: the verdict on Delivery::id. Verdicts of one event are sent together, as ranges.
  // Unknown ids, and those that were judged, are ignored.
  virtual void accept(std::uint32_t id) = 0;
  virtual void reject(std::uint32_t id, Condition why) = 0;
  virtual void release(std::uint32_t id) = 0;
  virtual void modify(std::uint32_t id, bool is_delivery_failed, bool is_undeliverable_here) = 0;
  // Inbound: how many messages the peer may have under way from now on; 0 stops it once it has used
  // what it was given.
  virtual void set_credit(std::uint32_t messages) = 0;

  // Outbound: credit, session window and room in the connection's backlog are there.
  virtual bool can_send() const = 0;
  virtual std::uint32_t credit() const = 0;
  // Outbound, only while can_send(): one message, given as pieces to be joined; they are copied
  // once, into the connection's outgoing bytes. Returns the delivery id.
  virtual std::uint32_t send(std::span<const std::string_view> pieces,
                             const SendOptions& options) = 0;
  // Outbound: see LinkHandler::on_drain.
  virtual void drained() = 0;
};

// What SASL established. With no SASL layer, or ANONYMOUS, MSSBCBS: no user.
struct SaslIdentity {
  std::string mechanism{};  // as the client spelled it; empty: no SASL layer
  std::string user{};       // PLAIN: the authentication identity
  // PLAIN, EXTERNAL: the authorization identity, mostly empty.
  std::string authorization_id{};
};

// One connection as its services see it.
class Connection {
 public:
  virtual ~Connection() = default;

  // To keep it (not the stream below it) alive while something is waited for.
  virtual std::shared_ptr<Connection> share() = 0;

  virtual Executor& executor() = 0;
  virtual const PeerInfo& peer() const = 0;  // empty once the connection is lost
  virtual const SaslIdentity& sasl() const = 0;
  // From the peer's open. The host name never says more than the peer chose to.
  virtual std::string_view hostname() const = 0;
  virtual std::string_view container_id() const = 0;
  virtual bool is_open() const = 0;
  virtual Claims& claims() = 0;
  // A place for what one service keeps for this connection, by the service's own address. Null at
  // first; destroyed with the connection.
  virtual std::shared_ptr<void>& slot(const void* owner) = 0;

  // Close with an error, then the end of the stream. Links end with on_detached.
  virtual void close(std::optional<Condition> why) = 0;
};

// Judges the links to its nodes. Outlives every connection.
class Service {
 public:
  virtual ~Service() = default;
  // Answers by link->attach(...) or link->refuse(...), now or later; may keep the link. If the peer
  // went away meanwhile the answer does nothing (a handler given is then told on_detached).
  virtual void on_attach(std::shared_ptr<Link> link) = 0;
};

struct PlainCredentials {
  std::string authorization_id{};
  std::string user{};
  std::string password{};
};

// An answer to one SASL step.
struct SaslAnswer {
  enum class Kind : std::uint8_t { challenge, accepted, refused };
  Kind kind = Kind::refused;
  std::string challenge{};
};

// A mechanism of several rounds (TPM), for one connection.
class SaslExchange {
 public:
  using Answer = std::move_only_function<void(SaslAnswer)>;
  virtual ~SaslExchange() = default;
  // The initial response (empty if there was none), then each response to a challenge. Answers
  // once, now or later, on the connection's executor.
  virtual void respond(std::string response, Answer answer) = 0;
};

// The address of a link, to find its service by.
struct LinkQuery {
  std::string_view address;   // node_of(): "$cbs", "eh1/Partitions/0"
  std::string_view hostname;  // of the peer's open
  bool is_inbound = false;
  Connection& connection;
};

// What one AMQP port offers. One for all connections; called on the executor of each.
class Container {
 public:
  virtual ~Container() = default;

  // SASL PLAIN. `answer(true)` lets the peer in (outcome 0), false refuses (outcome 1). May put
  // claims on the connection first. Called once, now or later, on the connection's executor.
  virtual void authenticate(std::shared_ptr<Connection> connection, PlainCredentials credentials,
                            std::move_only_function<void(bool)> answer);
  // A mechanism of several rounds was chosen. Null: refused.
  virtual std::unique_ptr<SaslExchange> start_exchange(std::shared_ptr<Connection> connection,
                                                       std::string_view mechanism,
                                                       std::string_view hostname);
  // The peer's open came. An answer with a condition sends our open and then close with it (DPS).
  virtual void open(std::shared_ptr<Connection> connection,
                    std::move_only_function<void(std::optional<Condition>)> answer);
  // Whose node it is; null: refused with amqp:not-found.
  virtual Service* service_for(const LinkQuery& query) = 0;
};

}  // namespace doppel::amqp
