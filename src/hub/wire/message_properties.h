// How the properties of a device's message are written, over MQTT (property bag of the topic) and
// HTTPS (headers), and what they become in the event (iot-hub.md sections 1.5, 2.3 and 3).
#pragma once

#include <string_view>

#include "base/result.h"
#include "events/api.h"
#include "protocol/http/message.h"
#include "protocol/mqtt/property_bag.h"

namespace doppel::hub {

// Decoded pairs of an MQTT property bag. System properties ($.mid, $.ct, ...) go to their places,
// the rest are application properties. What only the hub may set ($.cdid, $.cmid) is dropped.
// Errors: invalid_argument (a time that is none).
Status apply_bag(events::Event& event, const mqtt::PropertyBag& bag);

// Headers of POST /devices/{id}/messages/events: IoTHub-MessageId and its kin, iothub-app-*.
Status apply_headers(events::Event& event, const http::Headers& headers);

// One item of a batch's "properties": the same names as headers.
Status apply_batch_property(events::Event& event, std::string_view name, std::string_view value);

}  // namespace doppel::hub
