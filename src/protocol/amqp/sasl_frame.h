// The bodies of SASL frames (OASIS AMQP 1.0 part 5, section 5.3.3). The structs are generated from
// schemas/amqp/sasl_frames.tsv; written and read as performatives are.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "amqp/sasl_frames.h"
#include "base/decoded.h"

namespace doppel::amqp {

using SaslFrame = std::variant<SaslMechanisms, SaslInit, SaslChallenge, SaslResponse, SaslOutcome>;

// The body is whole and holds nothing else: what ends early and what follows are malformed.
Decoded<SaslFrame> decode_sasl_frame(std::string_view frame_body);

void append(std::string& out, const SaslFrame& frame);

}  // namespace doppel::amqp
