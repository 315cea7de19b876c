// The state of a delivery, in transfers and dispositions (OASIS AMQP 1.0 part 3, section 3.4).
#pragma once

#include <string>
#include <variant>

#include "amqp/outcomes.h"

namespace doppel::amqp {

// A state that is not of part 3 (a transactional one, say) stays a described Value, so that its
// receiver decides what to make of it.
using DeliveryState = std::variant<Received, Accepted, Rejected, Released, Modified, Value>;

void append(std::string& out, const DeliveryState& state);
void read(Decoder& in, DeliveryState& out);

}  // namespace doppel::amqp
