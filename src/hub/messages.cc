// Messages from devices, and how events reach the logs. send() is the hot path: no coroutine, no
// JSON, one encoding of the event however many logs it goes to. Who brings a message counts it,
// with the protocol.
#include "base/time_text.h"
#include "errors/hub.h"
#include "hub/hubs.h"
#include "hub/keys.h"

namespace doppel::hub {

std::size_t counted_size(const events::EventView& event) {
  std::size_t size = event.body.size() + event.message_id.size() + event.correlation_id.size() +
                     event.user_id.size() + event.to.size() + event.content_type.size() +
                     event.content_encoding.size();
  for (const auto& [name, value] : event.application_properties) size += name.size() + value.size();
  return size;
}

void HubService::send(const HubName& hub, DeviceMessageView message, Executor& home, Sent done) {
  const auto refuse = [&](const ServiceError& error) {
    home.post([&error, done = std::move(done)]() mutable { done(fail(error)); });
  };
  if (counted_size(message.event) > kMessageSizeMax) return refuse(errors::hub::kMessageTooLarge);
  const auto routing = routing_.get(parts_.catalog());
  const auto* routes = routing->find(hub);
  if (routes == nullptr) return refuse(errors::hub::kIotHubNotFound);

  const Iso8601Text enqueued(parts_.clock.now());
  annotate_telemetry(message, enqueued.view());
  std::string record = events::encode(message.event);
  const auto device = message.device_id.view();
  store::WriteSet changes;
  store::StreamNames streams = routes->activity().stream_for(device);
  routes->for_each_target(RouteSource::device_messages, RoutedEvent{message.event},
                          [&](const LogTarget& target) {
                            if (streams.is_full()) {
                              changes.appends.push_back({.streams = streams, .record = record});
                              streams = {};
                            }
                            streams.add(target.stream_for(device));
                          });
  changes.appends.push_back({.streams = streams, .record = std::move(record)});
  connections_.touch(entity_key(hub, message.device_id, message.module_id));
  parts_.store.commit(std::move(changes), home, std::move(done));
}

void HubService::stage_event(store::Transaction& tx, const HubName& hub, RouteSource source,
                             const events::Event& event, bool to_activity) {
  const auto device = event.annotation(kConnectionDeviceId).value_or(std::string_view());
  const auto record = events::encode(event);
  const auto routing = routing_.get(parts_.catalog());
  if (const auto* routes = routing->find(hub)) {
    const auto seen = events::view(event);
    routes->for_each_target(source, RoutedEvent{seen}, [&](const LogTarget& target) {
      tx.append(target.stream_for(device), record);
    });
  }
  if (!to_activity) return;
  const events::Partition partition{.log = activity_log(hub),
                                    .index = events::partition_of(device, kActivityPartitions)};
  tx.append(events::stream_name(partition), record);
}

}  // namespace doppel::hub
