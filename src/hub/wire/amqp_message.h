// A device's AMQP message as the hub's event (iot-hub.md section 2.3).
#pragma once

#include <list>
#include <string>

#include "base/result.h"
#include "events/api.h"
#include "protocol/amqp/message.h"

namespace doppel::hub {

// What is no text on the wire (a UUID, a number) and is one in the event. The texts stay where they
// are until the room goes.
using TextRoom = std::list<std::string>;

// Views into the message and into `room`. What only the hub may set is dropped; of annotations
// those that a device may set stay. Errors: ArgumentInvalid, with a text for the client.
Result<events::EventView> read_telemetry(const amqp::MessageView& message, TextRoom& room);

}  // namespace doppel::hub
