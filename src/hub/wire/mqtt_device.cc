#include "hub/wire/mqtt_device.h"

#include <utility>

#include "base/log.h"
#include "base/metrics.h"
#include "errors/hub.h"
#include "hub/wire/device_errors.h"
#include "hub/wire/http_errors.h"
#include "hub/wire/kept_subscriptions.h"
#include "hub/wire/message_properties.h"
#include "json/value.h"
#include "protocol/mqtt/property_bag.h"
#include "protocol/mqtt/request_topic.h"

namespace doppel::hub {
namespace {

metrics::Counter& received() {
  static auto& counter = metrics::counter("doppel_hub_messages_received_total",
                                          "Telemetry messages", {{"protocol", "mqtt"}});
  return counter;
}

// Larger property bags are not worth the memory of a connection.
constexpr std::size_t kKeptBagBytesMax = 1024;

}  // namespace

MqttDevice::MqttDevice(Parts parts) : parts_(std::move(parts)) {}

void MqttDevice::begin(Connections::Ticket ticket) {
  ticket_ = ticket;
  watch_token();
}

// MQTT 3.1.1 has no way to renew a token within a connection: when it is over, so is the
// connection.
void MqttDevice::watch_token() {
  if (!parts_.grant.expires) return;
  const Duration left = *parts_.grant.expires - parts_.hubs.clock().now();
  token_timer_ = parts_.connection->executor().post_after(left, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->close("the SAS token expired");
  });
}

std::optional<std::uint64_t> MqttDevice::expect_ack(const mqtt::Publish& message) {
  if (message.qos == 0) return std::nullopt;
  unacked_.push_back({.number = ++last_number_, .packet_id = message.packet_id, .is_done = false});
  return last_number_;
}

void MqttDevice::acknowledge(std::uint64_t number) {
  for (auto& waiting : unacked_)
    if (waiting.number == number) waiting.is_done = true;
  while (!unacked_.empty() && unacked_.front().is_done) {
    if (is_open_) parts_.connection->puback(unacked_.front().packet_id);
    unacked_.pop_front();
  }
}

void MqttDevice::on_publish(mqtt::Publish message) {
  // What comes after the takeover by a newer connection is not taken and not acknowledged: the
  // device sends it again there, behind what it was acknowledged here.
  if (is_closing_) return;
  if (const auto bag =
          parse_telemetry_topic(message.topic, identity().device_id, identity().module_id))
    return take_telemetry(*bag, message.payload, message.retain, expect_ack(message));
  const auto request = mqtt::parse_request_topic(message.topic);
  // There is no error topic for this, and Azure closes too.
  if (!request) return close("published to a topic that is not its own");
  const auto ack = expect_ack(message);
  if (ack) acknowledge(*ack);
  if (const auto* get = std::get_if<mqtt::TwinGet>(&*request)) {
    if (!admit_twin_request(get->rid)) return;
    spawn(answer_twin_get(get->rid), [self = shared_from_this()] { --self->twin_requests_; });
  } else if (const auto* patch = std::get_if<mqtt::TwinPatchReported>(&*request)) {
    if (!admit_twin_request(patch->rid)) return;
    spawn(answer_twin_patch(patch->rid, std::move(message.payload), patch->base_version),
          [self = shared_from_this()] { --self->twin_requests_; });
  } else if (!std::holds_alternative<mqtt::MethodReply>(*request)) {
    return close("published to a topic of another service");
  }
  // Nobody waits for a method's reply: one that is late is ignored, as Azure does.
}

void MqttDevice::take_telemetry(std::string_view bag, std::string_view body, bool retain,
                                std::optional<std::uint64_t> ack) {
  const auto* const properties = properties_of(bag);
  if (properties == nullptr) return;
  DeviceMessageView message{.device_id = identity().device_id,
                            .module_id = identity().module_id,
                            .generation = identity().generation,
                            .auth_method = parts_.grant.auth_method,
                            .event = *properties};
  // Not stored as retained; consumers can see that the device asked (iot-hub.md section 1.4).
  if (retain) message.event.application_properties.emplace_back("mqtt-retain", "true");
  if (!parts_.model_id.empty())
    message.event.annotations.emplace_back("dt-dataschema", parts_.model_id);
  message.event.body = body;
  received().add();
  parts_.hubs.send(parts_.hub, std::move(message), parts_.connection->executor(),
                   [self = shared_from_this(), ack](const Result<store::Committed>& sent) {
                     // Without a PUBACK the device sends again, here or after it has reconnected.
                     if (!sent) return self->close(sent.error().message);
                     if (ack) self->acknowledge(*ack);
                   });
  if (bag.size() > kKeptBagBytesMax) last_bag_.reset();
}

// Devices send the same bag over and over, so the last one is kept as it was understood. Null: the
// connection was closed because it is malformed.
const events::EventView* MqttDevice::properties_of(std::string_view bag) {
  if (last_bag_ && last_bag_->text == bag) return &last_bag_->view;
  auto fresh = std::make_unique<Bag>();
  if (!bag.empty()) {
    const auto properties = mqtt::parse_property_bag(bag);
    if (!properties) {
      close("the property bag of a message is malformed");
      return nullptr;
    }
    if (auto applied = apply_bag(fresh->event, *properties); !applied) {
      close(applied.error().message);
      return nullptr;
    }
  }
  fresh->text = bag;
  fresh->view = events::view(fresh->event);
  last_bag_ = std::move(fresh);
  return &last_bag_->view;
}

bool MqttDevice::admit_twin_request(std::string_view request_id) {
  if (twin_requests_ < kTwinRequestsInFlightMax) {
    ++twin_requests_;
    return true;
  }
  respond_error(request_id, {.code = Code::throttled,
                             .message = std::string(errors::hub::kThrottlingException.text),
                             .service = &errors::hub::kThrottlingException});
  return false;
}

Task<void> MqttDevice::answer_twin_get(std::string request_id) {
  const auto self = shared_from_this();
  auto twin = co_await parts_.hubs.get_twin_for_device(parts_.hub, identity().device_id,
                                                       identity().module_id);
  if (twin)
    respond(200, request_id, std::nullopt, std::move(*twin));
  else
    respond_error(request_id, twin.error());
}

Task<void> MqttDevice::answer_twin_patch(std::string request_id, std::string body,
                                         std::optional<std::int64_t> base_version) {
  const auto self = shared_from_this();
  auto patch = json::parse(body);
  if (!patch || !patch->is_object()) {
    const Error error{.code = Code::invalid_argument,
                      .message = "The reported properties are not a JSON object: " +
                                 (patch ? "another value" : patch.error().message),
                      .service = &errors::hub::kArgumentInvalid};
    respond_error(request_id, error);
    co_return;
  }
  auto version = co_await parts_.hubs.patch_reported(parts_.hub, identity().device_id,
                                                     identity().module_id, identity().generation,
                                                     std::move(patch->as_object()), base_version);
  // Node takes any body for a document: a 204 must not have one.
  if (version)
    respond(204, request_id, *version, "");
  else
    respond_error(request_id, version.error());
}

void MqttDevice::respond(int status, std::string_view request_id,
                         std::optional<std::int64_t> version, std::string body) {
  // Nobody would read it: Azure, too, does not answer where nothing is subscribed.
  if (!is_open_ || !has(Subscription::twin_responses)) return;
  mqtt::Publish answer{.topic = mqtt::twin_response_topic(status, request_id, version)};
  answer.payload = std::move(body);
  parts_.connection->publish(std::move(answer));
}

void MqttDevice::respond_error(std::string_view request_id, const Error& error) {
  // Node ignores the status in the topic; only errorCode in the body makes it an error.
  // (azure-iot-sdk-node: device/transport/mqtt/src/mqtt_twin_client.ts)
  respond(service_error(error).http_status, request_id, std::nullopt,
          device_error_body(error, parts_.hubs.clock().now()));
}

void MqttDevice::push_desired(const std::string& body, std::int64_t version) {
  if (!is_open_ || !has(Subscription::desired_properties)) return;
  mqtt::Publish push{.topic = mqtt::twin_desired_topic(version)};
  push.payload = body;
  parts_.connection->publish(std::move(push));
}

void MqttDevice::on_subscribe(const mqtt::Subscribe& subscribe) {
  mqtt::Suback suback{.packet_id = subscribe.packet_id};
  for (const auto& filter : subscribe.filters) {
    const auto wanted = parse_filter(filter.topic, identity().device_id, identity().module_id);
    if (wanted == Subscription::none) {
      suback.codes.push_back(mqtt::kSubscribeFailure);
      continue;
    }
    parts_.subscriptions =
        static_cast<std::uint8_t>(parts_.subscriptions | static_cast<std::uint8_t>(wanted));
    suback.codes.push_back(std::min<std::uint8_t>(filter.qos, 1));
  }
  parts_.connection->suback(std::move(suback));
  if (!parts_.is_clean_session) parts_.kept.keep(parts_.hub, identity(), parts_.subscriptions);
}

void MqttDevice::on_unsubscribe(const mqtt::Unsubscribe& unsubscribe) {
  for (const auto& topic : unsubscribe.topics) {
    const auto gone =
        static_cast<std::uint8_t>(parse_filter(topic, identity().device_id, identity().module_id));
    parts_.subscriptions = static_cast<std::uint8_t>(parts_.subscriptions & ~gone);
  }
  parts_.connection->unsuback(unsubscribe.packet_id);
  if (!parts_.is_clean_session) parts_.kept.keep(parts_.hub, identity(), parts_.subscriptions);
}

void MqttDevice::close(std::string_view reason) {
  if (!is_open_ || std::exchange(is_closing_, true)) return;
  log::info("hub.device_closed", {{"hub", parts_.hub.view()},
                                  {"device_id", identity().device_id.view()},
                                  {"module_id", identity().module_id.view()},
                                  {"reason", reason}});
  parts_.connection->close(reason);
}

// A will is injected as telemetry when the connection ends without DISCONNECT (iot-hub.md
// section 1.4).
void MqttDevice::send_will() {
  const auto bag =
      parse_telemetry_topic(parts_.will->topic, identity().device_id, identity().module_id);
  if (!bag) return;
  DeviceMessage message{.device_id = identity().device_id,
                        .module_id = identity().module_id,
                        .generation = identity().generation,
                        .auth_method = parts_.grant.auth_method,
                        .event = {}};
  if (const auto properties = mqtt::parse_property_bag(*bag)) {
    if (!apply_bag(message.event, *properties)) message.event.application_properties.clear();
  }
  message.event.application_properties.emplace_back("iothub-MessageType", "Will");
  message.event.body = std::move(parts_.will->payload);
  parts_.hubs.send(parts_.hub, message, parts_.connection->executor(),
                   [self = shared_from_this()](const Result<store::Committed>& sent) {
                     if (!sent)
                       log::warn("hub.will_lost", {{"device_id", self->identity().device_id.view()},
                                                   {"reason", sent.error().message}});
                   });
}

void MqttDevice::on_closed(bool orderly) {
  is_open_ = false;
  if (token_timer_ != 0) parts_.connection->executor().cancel(token_timer_);
  if (!orderly && parts_.will) send_will();
  if (ticket_ != 0) parts_.hubs.disconnect(parts_.hub, identity(), ticket_);
}

}  // namespace doppel::hub
