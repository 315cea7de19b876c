#include "hub/wire/amqp_device.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "errors/hub.h"
#include "hub/wire/amqp_errors.h"
#include "hub/wire/amqp_message.h"
#include "protocol/amqp/errors.h"
#include "protocol/amqp/message.h"

namespace doppel::hub {
namespace {

namespace condition = amqp::condition;

metrics::Counter& received() {
  static auto& counter = metrics::counter("doppel_hub_messages_received_total",
                                          "Telemetry messages", {{"protocol", "amqp"}});
  return counter;
}

Error bad_message(std::string_view why) {
  return {.code = Code::invalid_argument,
          .message = std::string(why),
          .service = &errors::hub::kArgumentInvalid};
}

}  // namespace

// Keeps a link in its device's list until it is over. Without more it is one that the device
// receives on, and nothing is sent there yet.
class AmqpDevice::DeviceLink : public amqp::LinkHandler {
 public:
  DeviceLink(std::shared_ptr<AmqpDevice> device, std::shared_ptr<amqp::Link> link)
      : device_(std::move(device)), link_(std::move(link)) {}

  void detach(const amqp::Condition& why) { link_->detach(why); }
  void on_detached(const amqp::Condition*) override {
    if (const auto device = std::exchange(device_, nullptr)) device->forget(this);
  }

 protected:
  AmqpDevice& device() { return *device_; }
  const std::shared_ptr<amqp::Link>& link() const { return link_; }

 private:
  std::shared_ptr<AmqpDevice> device_;
  std::shared_ptr<amqp::Link> link_;
};

class AmqpDevice::TelemetryLink final : public DeviceLink {
 public:
  using DeviceLink::DeviceLink;
  void on_message(const amqp::Delivery& delivery) override { device().take(link(), delivery); }
};

// A batch is accepted when all its messages are durable.
struct AmqpDevice::Batch {
  std::shared_ptr<AmqpDevice> device;
  std::shared_ptr<amqp::Link> link;
  std::uint32_t id = 0;
  std::size_t left = 0;
  std::optional<Error> failed{};

  void on_sent(const Result<store::Committed>& sent) {
    if (!sent && !failed) failed = sent.error();
    if (--left > 0) return;
    if (failed)
      device->reject(*link, id, *failed);
    else
      link->accept(id);
  }
};

void AmqpDevice::begin(Connections::Ticket ticket) {
  ticket_ = ticket;
  watch_token();
}

void AmqpDevice::renew(DeviceGrant grant) {
  parts_.grant = std::move(grant);
  watch_token();
}

void AmqpDevice::watch_token() {
  auto& executor = parts_.connection->executor();
  if (token_timer_ != 0) executor.cancel(std::exchange(token_timer_, 0));
  if (!parts_.grant.expires) return;
  const Duration left = *parts_.grant.expires - parts_.hubs.clock().now();
  token_timer_ = executor.post_after(std::max(left, Duration(0)), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->token_timer_ = 0;
    const auto why = amqp::make_condition(condition::kUnauthorizedAccess, "The token expired.");
    self->end(why, why);
  });
}

void AmqpDevice::attach(const std::shared_ptr<amqp::Link>& link) {
  const auto self = shared_from_this();
  const auto handler = link->is_inbound() ? std::make_shared<TelemetryLink>(self, link)
                                          : std::make_shared<DeviceLink>(self, link);
  links_.push_back(handler);
  link->attach(handler, {.max_message_size = kAmqpMessageSizeMax});
}

void AmqpDevice::forget(const DeviceLink* handler) {
  std::erase_if(links_, [handler](const auto& link) { return link.get() == handler; });
  if (!links_.empty()) return;
  is_open_ = false;
  if (token_timer_ != 0) parts_.connection->executor().cancel(std::exchange(token_timer_, 0));
  if (ticket_ != 0) parts_.hubs.disconnect(parts_.hub, identity(), std::exchange(ticket_, 0));
  parts_.on_idle(this);
}

// What comes after the takeover by a newer connection is not taken and has no verdict: the device
// sends it again there, behind what was accepted here.
void AmqpDevice::take(const std::shared_ptr<amqp::Link>& link, const amqp::Delivery& delivery) {
  if (!is_open_) return;
  const auto message = amqp::split_message(delivery.payload);
  if (!message.has_value()) return reject(*link, delivery.id, bad_message(message.reason()));
  if (delivery.message_format == amqp::kBatchMessageFormat)
    return take_batch(link, delivery, *message);
  TextRoom room;
  auto event = read_telemetry(*message, room);
  if (!event) return reject(*link, delivery.id, event.error());
  send(*std::move(event),
       [self = shared_from_this(), link, id = delivery.id](const Result<store::Committed>& sent) {
         if (!sent) return self->reject(*link, id, sent.error());
         link->accept(id);
       });
}

// All of a batch is looked at before any of it is sent, so that a bad one leaves nothing behind.
void AmqpDevice::take_batch(const std::shared_ptr<amqp::Link>& link, const amqp::Delivery& delivery,
                            const amqp::MessageView& envelope) {
  TextRoom room;
  std::vector<events::EventView> events;
  amqp::BatchReader reader(envelope);
  std::size_t bytes = 0;
  while (auto item = reader.next()) {
    auto event = read_telemetry(item->view, room);
    if (!event) return reject(*link, delivery.id, event.error());
    bytes += counted_size(*event);
    events.push_back(*std::move(event));
  }
  if (!reader.error().empty()) return reject(*link, delivery.id, bad_message(reader.error()));
  // The limit is that of a message, whatever is in it (iot-hub.md section 17.3).
  if (bytes > kMessageSizeMax) {
    return reject(*link, delivery.id,
                  {.code = Code::too_large,
                   .message = std::string(errors::hub::kMessageTooLarge.text),
                   .service = &errors::hub::kMessageTooLarge});
  }
  auto batch = std::make_shared<Batch>(
      Batch{.device = shared_from_this(), .link = link, .id = delivery.id, .left = events.size()});
  for (auto& event : events)
    send(std::move(event), [batch](const Result<store::Committed>& sent) { batch->on_sent(sent); });
}

void AmqpDevice::send(events::EventView event, Hubs::Sent done) {
  DeviceMessageView message{.device_id = identity().device_id,
                            .module_id = identity().module_id,
                            .generation = identity().generation,
                            .auth_method = parts_.grant.auth_method,
                            .event = std::move(event)};
  if (!parts_.model_id.empty())
    message.event.annotations.emplace_back("dt-dataschema", parts_.model_id);
  received().add();
  parts_.hubs.send(parts_.hub, std::move(message), parts_.connection->executor(), std::move(done));
}

void AmqpDevice::reject(amqp::Link& link, std::uint32_t id, const Error& error) {
  const auto tracking_id = SystemRandom().uuid();
  log::info("hub.message_refused", {{"tracking_id", tracking_id},
                                    {"hub", parts_.hub.view()},
                                    {"device_id", identity().device_id.view()},
                                    {"reason", error.message}});
  link.reject(id, amqp_condition(error, tracking_id));
}

void AmqpDevice::close(CloseCause cause) {
  auto for_links = amqp_condition(cause);
  // The connection itself was not stolen.
  auto for_connection =
      cause == CloseCause::taken_over
          ? amqp::make_condition(condition::kConnectionForced, for_links.description)
          : for_links;
  end(std::move(for_links), std::move(for_connection));
}

void AmqpDevice::end(amqp::Condition for_links, amqp::Condition for_connection) {
  if (!std::exchange(is_open_, false)) return;
  log::info("hub.device_closed", {{"hub", parts_.hub.view()},
                                  {"device_id", identity().device_id.view()},
                                  {"module_id", identity().module_id.view()},
                                  {"reason", for_links.description}});
  const auto links = links_;
  for (const auto& link : links) link->detach(for_links);
  if (parts_.is_alone()) parts_.connection->close(std::move(for_connection));
}

}  // namespace doppel::hub
