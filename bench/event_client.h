// One connection of the load generator that writes events to a server, or reads them: AMQP 1.0
// (Event Hubs, RabbitMQ) or NATS, over plain TCP on one loop. The loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/socket_address.h"
#include "net/socket_stream.h"

namespace doppel::bench {

// Who is told what becomes of the clients. Outlives them.
class EventSink {
 public:
  virtual void on_ready(std::size_t client) = 0;     // what was opened can be used
  virtual void on_can_send(std::size_t client) = 0;  // again, after send() said no
  virtual void on_ack(std::size_t client) = 0;       // the server has the oldest that is under way
  virtual void on_event(std::size_t client) = 0;
  virtual void on_failure(std::string_view why) = 0;

 protected:
  ~EventSink() = default;
};

// Names may hold the client's index modulo `logs` as "{0}" and divided by `per_group` as "{1}".
struct EventClientOptions {
  net::SocketAddress address;
  std::size_t index = 0;
  std::string user{};
  std::string password{};
  std::string write_to{};   // node, or subject
  std::string read_from{};  // node, or stream
  // AMQP: a filter of the source, by the name of its type; empty: none.
  std::string filter_name{};
  std::string filter_value{};
  bool is_from_start = true;  // NATS: all that the stream has, or what is new
  std::uint32_t message_format = 0;
  std::string message{};  // as it is sent: an encoded AMQP message, or a payload
};

class EventClient {
 public:
  virtual ~EventClient() = default;
  // Connects; on_ready follows.
  virtual void connect() = 0;
  // Once connected. on_ready follows.
  virtual void open_writer() = 0;
  virtual void open_reader() = 0;
  // One message; on_ack follows. False: not now, on_can_send follows.
  virtual bool send() = 0;
  virtual void close() = 0;
};

std::shared_ptr<EventClient> make_amqp_client(net::Loop& loop, EventSink& sink,
                                              EventClientOptions options);
std::shared_ptr<EventClient> make_nats_client(net::Loop& loop, EventSink& sink,
                                              EventClientOptions options);

}  // namespace doppel::bench
