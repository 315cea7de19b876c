// One device (or module) on an AMQP connection, which it may share with others: telemetry in. The
// links of its twin, its methods and its messages come to stand on the same object.
//
// Everything runs on the connection's executor. The object outlives the connection while sends are
// under way; after the end of its links it does nothing any more.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/hubs.h"
#include "hub/wire/amqp_names.h"
#include "protocol/amqp/message.h"
#include "protocol/amqp/service.h"

namespace doppel::hub {

// What a link may carry: larger messages than that are larger than kMessageSizeMax however they are
// written, and a batch is one message. It is what clients know (iot-hub.md section 2.1).
inline constexpr std::uint64_t kAmqpMessageSizeMax = 4 * kMessageSizeMax;

class AmqpDevice final : public DeviceConnection, public std::enable_shared_from_this<AmqpDevice> {
 public:
  struct Parts {
    HubService& hubs;
    HubName hub;
    DeviceGrant grant;
    std::string model_id;
    std::shared_ptr<amqp::Connection> connection;
    // Whether the connection serves nobody else, and so ends with the device.
    std::move_only_function<bool()> is_alone;
    // The last link of this device is gone.
    std::move_only_function<void(const AmqpDevice*)> on_idle;
  };
  explicit AmqpDevice(Parts parts) : parts_(std::move(parts)) {}

  // After registration with the hub: watches the token.
  void begin(Connections::Ticket ticket);
  // The device proved itself once more.
  void renew(DeviceGrant grant);
  // Answers the attach of one of its links, at telemetry or cloud_to_device.
  void attach(const std::shared_ptr<amqp::Link>& link);

  // DeviceConnection.
  void close(CloseCause cause) override;
  // Nobody can ask for them yet.
  void push_desired(const std::string& body, std::int64_t version) override {
    static_cast<void>(body);
    static_cast<void>(version);
  }

  bool is_open() const { return is_open_; }
  const Identity& identity() const { return parts_.grant.identity; }

 private:
  class DeviceLink;
  class TelemetryLink;
  struct Batch;

  void take(const std::shared_ptr<amqp::Link>& link, const amqp::Delivery& delivery);
  void take_batch(const std::shared_ptr<amqp::Link>& link, const amqp::Delivery& delivery,
                  const amqp::MessageView& envelope);
  void send(events::EventView event, Hubs::Sent done);
  void reject(amqp::Link& link, std::uint32_t id, const Error& error);
  void forget(const DeviceLink* handler);
  void end(amqp::Condition for_links, amqp::Condition for_connection);
  void watch_token();

  Parts parts_;
  Connections::Ticket ticket_ = 0;
  std::vector<std::shared_ptr<DeviceLink>> links_;
  Executor::TimerId token_timer_ = 0;
  bool is_open_ = true;
};

}  // namespace doppel::hub
