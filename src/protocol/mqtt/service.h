// What stands between an MQTT connection (net/ drives it, protocol/mqtt decodes it) and the
// services that speak MQTT (hub/wire, provisioning/wire). All calls for one connection come on its
// own executor.
//
// Flow: net accepts, decodes CONNECT, asks the ServiceTable for the service of that user name,
// calls Service::connect. The service answers once, perhaps later; then packets go to its Session
// until one side ends it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/executor.h"
#include "protocol/http/message.h"
#include "protocol/mqtt/packet.h"

namespace doppel::mqtt {

using PeerInfo = http::PeerInfo;

// The service's side of one connection: what it may do to it. Methods are for the connection's
// executor only; after closed() or close() they do nothing.
class Connection {
 public:
  virtual ~Connection() = default;

  // Queues a PUBLISH to the client. For qos 1 the connection chooses the packet id (returned, never
  // 0) and Session::on_puback comes back with it; no redelivery within a connection. Returns 0 for
  // qos 0. When more than kUnackedMax are unacknowledged or the socket's backlog is over
  // kOutboxBytesMax the connection is closed.
  virtual std::uint16_t publish(Publish message) = 0;
  virtual void puback(std::uint16_t packet_id) = 0;
  virtual void suback(Suback suback) = 0;
  virtual void unsuback(std::uint16_t packet_id) = 0;  // of all its topics

  // Sends what is queued, then closes TLS and TCP. Session::on_closed follows. `reason` is for the
  // log.
  virtual void close(std::string_view reason) = 0;
  // The same; a client of version 5 is told `code` before.
  virtual void close_with(Reason code, std::string_view reason) {
    static_cast<void>(code);
    close(reason);
  }

  virtual Executor& executor() = 0;
  virtual const PeerInfo& peer() const = 0;
};

inline constexpr std::size_t kUnackedMax = 1024;
inline constexpr std::size_t kOutboxBytesMax = 4 * 1024 * 1024;

// One accepted connection as its service sees it. Destroyed after on_closed.
class Session {
 public:
  virtual ~Session() = default;
  virtual void on_publish(
      Publish message) = 0;  // the session must puback() qos 1, in order; qos 2 never arrives
  virtual void on_puback(std::uint16_t packet_id) = 0;
  virtual void on_subscribe(Subscribe subscribe) = 0;
  virtual void on_unsubscribe(Unsubscribe unsubscribe) = 0;
  // Version 5: the client says in its DISCONNECT how long to keep its session after all.
  virtual void on_session_expiry(std::uint32_t seconds) { static_cast<void>(seconds); }
  // The connection is over. `orderly`: the client sent DISCONNECT (so no will is to be published).
  virtual void on_closed(bool orderly) = 0;
};

struct ConnectAnswer {
  ConnectReturn code = ConnectReturn::not_authorized;
  bool session_present = false;
  std::unique_ptr<Session> session;  // set exactly when accepted
  std::uint32_t keep_alive_cap_s =
      0;  // close after this long without a packet at most; 0: 1.5 x the client's
  // For clients of version 5. How long the session is kept after the connection.
  std::uint32_t session_expiry_s = 0;
  // The identifier of a client that sent none.
  std::string assigned_client_id{};
};

class Service {
 public:
  using Answer = std::move_only_function<void(ConnectAnswer)>;
  virtual ~Service() = default;

  // Judges a CONNECT. `connection` stays valid until the session's on_closed, or until `answer` is
  // called with a refusal. `alive` expires when the connection ended before the answer: then answer
  // need not be called, but may.
  virtual void connect(Connect connect, std::shared_ptr<Connection> connection, Answer answer) = 0;
};

// Which service a user name belongs to (docs/wire/one-address.md); null: CONNACK 5.
using ServiceTable = std::function<Service*(const Connect&)>;

}  // namespace doppel::mqtt
