// Reason codes of MQTT 5 (OASIS MQTT Version 5.0, section 2.4), and the return codes of 3.1.1 that
// mean the same.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/mqtt/packet.h"

namespace doppel::mqtt {

// The reason of an answer to CONNECT that says the same.
Reason to_reason(ConnectReturn code);
ConnectReturn to_connect_return(Reason reason);

// "Not authorized": what may be told of a reason.
std::string_view to_text(Reason reason);

// Whether a packet of this type may carry the code.
bool is_connack_reason(std::uint8_t code);
bool is_acknowledgement_reason(std::uint8_t code);  // PUBACK, PUBREC
bool is_release_reason(std::uint8_t code);          // PUBREL, PUBCOMP
bool is_suback_reason(std::uint8_t code);
bool is_unsuback_reason(std::uint8_t code);
bool is_disconnect_reason(std::uint8_t code);

}  // namespace doppel::mqtt
