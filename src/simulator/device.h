// One simulated thermostat: provisions itself through DPS, connects to the hub it is given, sends
// temperatures. A client like any other; it knows nothing of the server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "json/value.h"
#include "net/loop.h"
#include "net/mqtt_client.h"
#include "net/socket_stream.h"
#include "net/tls.h"

namespace doppel::simulator {

// What all devices of a fleet share.
struct World {
  std::string host;
  std::vector<net::SocketAddress> addresses;  // of the MQTT port
  std::shared_ptr<const net::TlsContext> tls;
  std::string id_scope;
  std::string group_key;
  std::string model_id;
};

struct Assignment {
  std::string hub;
  std::string device_id;
};

// Lives on one loop.
class Device {
 public:
  Device(net::Loop& loop, const World& world, std::string registration_id);

  Task<Result<Assignment>> provision();
  Task<Status> connect(Assignment assignment);
  // Yields when acknowledged.
  Task<Status> send(double temperature);
  bool is_connected() const { return hub_ != nullptr && hub_->is_open(); }
  void disconnect();

  const std::string& registration_id() const { return registration_id_; }

 private:
  struct Answer {
    int status = 0;
    int retry_after_s = 0;
    json::Value body;
  };
  struct Mailbox;

  Task<Result<std::shared_ptr<net::MqttClient>>> open(std::string client_id, std::string user,
                                                      std::string password,
                                                      net::MqttClient::Handlers handlers);
  Task<Result<Answer>> ask(net::MqttClient& client, Mailbox& mailbox, std::string topic,
                           std::string body);
  Result<std::string> device_key() const;

  net::Loop& loop_;
  const World& world_;
  std::string registration_id_;
  std::shared_ptr<net::MqttClient> hub_;
  std::string telemetry_topic_;
};

}  // namespace doppel::simulator
