// One device (or module) on its MQTT connection: telemetry in, twin requests answered, desired
// properties pushed.
//
// Everything runs on the connection's executor. The object outlives the connection while sends are
// under way; after the end of the connection it does nothing any more.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "hub/hubs.h"
#include "hub/wire/mqtt_names.h"
#include "protocol/mqtt/service.h"

namespace doppel::hub {

// Twin requests of one connection that are under way; more are answered with 429. At QoS 0 nothing
// else would slow down a device that floods.
inline constexpr std::size_t kTwinRequestsInFlightMax = 64;

// Subscriptions of identities that connected with CleanSession 0, kept over their connections: Node
// renews its token by reconnecting without subscribing again (iot-hub.md section 1.4). In memory:
// after a broken connection clients subscribe again, so they need not survive a restart.
class KeptSubscriptions;

class MqttDevice final : public DeviceConnection, public std::enable_shared_from_this<MqttDevice> {
 public:
  struct Parts {
    HubService& hubs;
    KeptSubscriptions& kept;
    HubName hub;
    DeviceGrant grant;
    std::string model_id;
    bool is_clean_session = false;
    std::optional<mqtt::Will> will;
    std::uint8_t subscriptions = 0;  // bits of Subscription, from the kept session
    std::shared_ptr<mqtt::Connection> connection;
  };
  explicit MqttDevice(Parts parts);

  // After registration with the hub: watches the token.
  void begin(Connections::Ticket ticket);

  void on_publish(mqtt::Publish message);
  void on_subscribe(const mqtt::Subscribe& subscribe);
  void on_unsubscribe(const mqtt::Unsubscribe& unsubscribe);
  void on_closed(bool orderly);

  // DeviceConnection; from the hub, on this connection's executor.
  void close(CloseCause cause) override { close(to_text(cause)); }
  void push_desired(const std::string& body, std::int64_t version) override;

  const Identity& identity() const { return parts_.grant.identity; }

 private:
  // PUBACKs leave in the order in which the messages came [MQTT-4.6.0-2].
  struct Unacked {
    std::uint64_t number;
    std::uint16_t packet_id;
    bool is_done;
  };

  void close(std::string_view reason);

  // A property bag and what it means.
  struct Bag {
    std::string text;
    events::Event event;
    events::EventView view;  // of `event`
  };

  void take_telemetry(std::string_view bag, std::string_view body, bool retain,
                      std::optional<std::uint64_t> ack);
  const events::EventView* properties_of(std::string_view bag);
  void send_will();
  void acknowledge(std::uint64_t number);
  std::optional<std::uint64_t> expect_ack(const mqtt::Publish& message);
  // Counts a twin request in, or answers that there are too many.
  bool admit_twin_request(std::string_view request_id);
  Task<void> answer_twin_get(std::string request_id);
  Task<void> answer_twin_patch(std::string request_id, std::string body,
                               std::optional<std::int64_t> base_version);
  void respond(int status, std::string_view request_id, std::optional<std::int64_t> version,
               std::string body);
  void respond_error(std::string_view request_id, const Error& error);
  bool has(Subscription s) const {
    return (parts_.subscriptions & static_cast<std::uint8_t>(s)) != 0;
  }
  void watch_token();

  Parts parts_;
  Connections::Ticket ticket_ = 0;
  std::deque<Unacked> unacked_;
  std::uint64_t last_number_ = 0;
  std::unique_ptr<Bag> last_bag_;  // null before the first message
  Executor::TimerId token_timer_ = 0;
  std::size_t twin_requests_ = 0;  // under way
  bool is_open_ = true;
  bool is_closing_ = false;  // nothing more is taken from the device
};

}  // namespace doppel::hub
