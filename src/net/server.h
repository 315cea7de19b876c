// The network side of Doppel put together: listeners, loops, TLS, and for each accepted connection
// the protocol that its port speaks. Services come in as a router, a service table and factories.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/amqp_connection.h"
#include "net/http_connection.h"
#include "net/loop.h"
#include "net/mqtt_connection.h"
#include "net/socket_stream.h"
#include "net/tls.h"
#include "protocol/http/router.h"
#include "protocol/mqtt/service.h"

namespace doppel::net {

enum class Protocol : std::uint8_t { http, mqtt, amqp };

struct ListenerConfig {
  std::string name;  // "https", "mqtts", "amqps", "portal": for logs and Server::port
  Protocol protocol = Protocol::http;
  std::vector<std::string> addresses = {"127.0.0.1", "::1"};
  std::uint16_t port = 0;  // 0: any free one
  // Where the port cannot be bound (no right, or in use): this one, with a warning. 0: fail.
  std::uint16_t fallback_port = 0;
  bool is_optional = false;  // go without it, with a warning, rather than fail
  bool has_tls = true;
  bool requests_client_certificate = true;
};

struct ServerConfig {
  std::vector<ListenerConfig> listeners;
  std::vector<CertifiedKey> identities;   // at most one of each key type
  std::size_t connections_max = 200'000;  // more are closed as soon as they are accepted
  StreamLimits stream{};
  HttpLimits http{};
  MqttLimits mqtt{};
  amqp::EngineLimits amqp{};
};

class Server {
 public:
  // `loops` and what the router and table refer to outlive the server.
  Server(Loops& loops, ServerConfig config, const http::Router& router,
         mqtt::ServiceTable services);
  // Stops, without waiting for work in flight.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Who has the nodes of AMQP connections, of the amqp listeners and of WebSockets with
  // sub-protocol AMQPWSB10; outlives the server. Before start().
  void set_amqp(amqp::Container& container);

  // Takes the ports without serving yet: connections wait in the kernel until start(). For a server
  // that must know its ports to get ready. Errors as start().
  Status bind();

  // Binds unless that was done. Not from a loop. Errors: as TlsContext::server and Listener::bind;
  // then nothing is left running.
  Status start();

  // Refuses new connections, lets accepted work finish, closes; what is not done within `limit` is
  // cut off. Not from a loop; returns when no connection is left.
  void stop(Duration limit);

  // After bind() or start().
  std::uint16_t port(std::string_view listener) const;  // 0: no listener of that name
  std::vector<std::string> addresses(std::string_view listener) const;
  std::size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doppel::net
