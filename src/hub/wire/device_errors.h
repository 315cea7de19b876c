// What a device sees of an error over MQTT (iot-hub.md section 0.7). Over HTTPS: http_errors.h.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"

namespace doppel::hub {

// {"errorCode":400004,"trackingId":"..","message":"..","timestampUtc":".."}: the body of a twin
// answer.
std::string device_error_body(const Error& error, TimePoint now);

}  // namespace doppel::hub
