#include "hub/hub_events.h"

#include <fmt/core.h>

#include "base/time_text.h"
#include "hub/documents.h"
#include "hub/twin_merge.h"

namespace doppel::hub {
namespace {

constexpr std::string_view kSchemaProperty = "iothub-message-schema";
constexpr std::string_view kModuleLifecycleSource = "moduleLifecycleEvents";

struct Kind {
  std::string_view source;
  std::string_view schema;
  std::string_view operation;
};

events::Event envelope(const EventContext& context, const Identity& identity, const Kind& kind,
                       std::string body) {
  const std::string now = to_iso8601(context.now);
  events::Event event{.body = std::move(body),
                      .correlation_id = context.correlation_id,
                      .user_id = context.hub.str(),
                      .content_type = "application/json",
                      .content_encoding = "utf-8"};
  auto& properties = event.application_properties;
  properties.emplace_back("hubName", context.hub.str());
  properties.emplace_back(kDeviceIdProperty, identity.device_id.str());
  if (!identity.module_id.empty()) properties.emplace_back("moduleId", identity.module_id.str());
  properties.emplace_back("operationTimestamp", now);
  properties.emplace_back(kOpType, kind.operation);
  properties.emplace_back(kSchemaProperty, kind.schema);

  auto& annotations = event.annotations;
  annotations.emplace_back(kConnectionDeviceId, identity.device_id.str());
  if (!identity.module_id.empty())
    annotations.emplace_back(kConnectionModuleId, identity.module_id.str());
  annotations.emplace_back(kEnqueuedTime, now);
  annotations.emplace_back(kMessageSource, kind.source);
  return event;
}

json::Object twin_head(const Identity& identity, const DeviceTwin& twin) {
  json::Object body{{"deviceId", identity.device_id.view()}};
  if (!identity.module_id.empty()) body["moduleId"] = identity.module_id.view();
  body["etag"] = twin_etag(twin);
  body["version"] = twin.version;
  return body;
}

// A module's own names, so that a consumer which removes a twin for every deleteDeviceIdentity does
// not remove a device's twin because one of its modules went (Azure's documents differ among
// themselves).
Kind lifecycle_kind(const Identity& identity, Lifecycle what) {
  const bool created = what == Lifecycle::created;
  if (identity.module_id.empty())
    return {kSourceLifecycle, "deviceLifecycleNotification",
            created ? kCreateDevice : kDeleteDevice};
  return {kModuleLifecycleSource, "moduleLifecycleNotification",
          created ? "createModuleIdentity" : "deleteModuleIdentity"};
}

}  // namespace

EventContext event_context(const HubName& hub, TimePoint now, Random& random) {
  return {.hub = hub, .now = now, .correlation_id = fmt::format("{:x}", random.next() >> 16)};
}

events::Event lifecycle_event(const EventContext& context, Lifecycle what, const Identity& identity,
                              const DeviceTwin& twin) {
  json::Object body = twin_head(identity, twin);
  if (!twin.tags.empty()) body["tags"] = twin.tags;
  body["properties"] = twin_properties(twin);
  auto event = envelope(context, identity, lifecycle_kind(identity, what), json::write(body));
  event.application_properties.emplace_back(kGenerationIdProperty, identity.generation.str());
  return event;
}

events::Event twin_change_event(const EventContext& context, const Identity& identity,
                                const DeviceTwin& twin, const TwinChangeView& change) {
  json::Object body;
  if (change.replaced) {
    body = twin_head(identity, twin);
    body["tags"] = twin.tags;
    body["properties"] = twin_properties(twin);
  } else {
    body["version"] = twin.version;
    if (change.tags != nullptr) body["tags"] = *change.tags;
    json::Object properties;
    if (change.desired != nullptr) {
      const auto metadata = metadata_of(twin.desired_metadata, *change.desired);
      properties["desired"] = shown_section(*change.desired, &metadata, twin.desired_version);
    }
    if (change.reported != nullptr) {
      const auto metadata = metadata_of(twin.reported_metadata, *change.reported);
      properties["reported"] = shown_section(*change.reported, &metadata, twin.reported_version);
    }
    if (!properties.empty()) body["properties"] = std::move(properties);
  }
  const Kind kind{kSourceTwinChange, "twinChangeNotification",
                  change.replaced ? "replaceTwin" : "updateTwin"};
  return envelope(context, identity, kind, json::write(body));
}

void annotate_telemetry(DeviceMessageView& message, std::string_view enqueued) {
  auto& annotations = message.event.annotations;
  annotations.reserve(annotations.size() + 6);
  annotations.emplace_back(kConnectionDeviceId, message.device_id.view());
  if (!message.module_id.empty())
    annotations.emplace_back(kConnectionModuleId, message.module_id.view());
  annotations.emplace_back(kConnectionAuthMethod, message.auth_method);
  annotations.emplace_back(kConnectionGenerationId, message.generation.view());
  annotations.emplace_back(kEnqueuedTime, enqueued);
  annotations.emplace_back(kMessageSource, kSourceTelemetry);
}

}  // namespace doppel::hub
