// What devices see of an error (iot-hub.md sections 0.7 and 17.2).
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/http/message.h"

namespace doppel::hub {

// The status of an error: its service's, or that of its inner code.
int http_status(const Error& error);

// {"errorCode":400004,"trackingId":"..","message":"..","timestampUtc":".."}: the body of a twin
// answer over MQTT.
std::string device_error_body(const Error& error, TimePoint now);

// The classic envelope with the header iothub-errorcode, which every SDK understands.
http::Response error_response(const Error& error, const http::Request& request, TimePoint now);
http::Response error_response(const Error& error, std::string_view tracking_id, TimePoint now);

}  // namespace doppel::hub
