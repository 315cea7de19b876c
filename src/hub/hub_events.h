// The events a hub makes itself (iot-hub.md section 9): their bodies, properties and annotations.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "events/api.h"
#include "hub/api.h"
#include "json/value.h"

namespace doppel::hub {

struct EventContext {
  HubName hub;
  TimePoint now;
  std::string correlation_id;  // short hex
};
EventContext event_context(const HubName& hub, TimePoint now, Random& random);

enum class Lifecycle : std::uint8_t { created, deleted };

// The body is the twin's own part; the generation is our addition, as a property.
events::Event lifecycle_event(const EventContext& context, Lifecycle what, const Identity& identity,
                              const DeviceTwin& twin);

// What a twin write changed, by section: a patch, or the whole section after a replacement. A
// section that was not written is absent.
struct TwinChangeView {
  bool replaced = false;
  const json::Object* tags = nullptr;
  const json::Object* desired = nullptr;
  const json::Object* reported = nullptr;
};
events::Event twin_change_event(const EventContext& context, const Identity& identity,
                                const DeviceTwin& twin, const TwinChangeView& change);

// Adds what the hub says of a telemetry message to its event. `enqueued`, in ISO 8601, must last as
// long as the event.
void annotate_telemetry(DeviceMessageView& message, std::string_view enqueued);

}  // namespace doppel::hub
