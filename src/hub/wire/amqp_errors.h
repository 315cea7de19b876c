// How the hub says no over AMQP (iot-hub.md section 17.3).
#pragma once

#include <string_view>

#include "base/result.h"
#include "hub/api.h"
#include "protocol/amqp/service.h"

namespace doppel::hub {

// What clients see of an error. Reasons for a refusal of who they are, and our own mistakes, are
// not told; `tracking_id` is, to be found in the log.
amqp::Condition amqp_condition(const Error& error, std::string_view tracking_id);

// With what a connection, or one link of many, ends.
amqp::Condition amqp_condition(CloseCause cause);

}  // namespace doppel::hub
