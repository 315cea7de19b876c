// How the hub's HTTP APIs say no (iot-hub.md section 17.2).
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/http/message.h"

namespace doppel::hub {

// The line of schemas/errors/hub.tsv that clients see for an error.
const ServiceError& service_error(const Error& error);

// {"Message":"ErrorCode:<Name>;<text>","ExceptionMessage":"Tracking ID:...-TimeStamp:..."} with
// header iothub-errorcode. Node takes Message apart at ';' and ':', .NET compares body and header.
// What a 401 says is always the same; its reason is logged here, with the tracking ID.
http::Response error_response(const Error& error, const http::Request& request, TimePoint now);

}  // namespace doppel::hub
