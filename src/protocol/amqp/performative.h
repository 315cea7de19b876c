// The nine performatives as bodies of AMQP frames (OASIS AMQP 1.0 part 2, section 2.7). The
// structs, with their fields and defaults, are generated from schemas/amqp/performatives.tsv.
//
// Written with every field, trailing nulls included, because clients in the field take the fields
// of a decoded list by position (Python's azure-eventhub: _pyamqp/session.py). Read in every legal
// encoding: descriptors as number or symbol, short lists, defaults applied.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "amqp/performatives.h"
#include "base/decoded.h"

namespace doppel::amqp {

using Performative =
    std::variant<Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close>;

struct DecodedPerformative {
  Performative performative;
  std::size_t consumed = 0;  // bytes of the frame body; a transfer's payload is what follows
};

// Reads the performative at the front of a frame body. The body is whole, so one that ends early is
// malformed; the answer is never "need more". An empty body (a heartbeat) is the caller's to know.
// Allocates nothing for transfers, flows, begins and dispositions without maps and errors.
Decoded<DecodedPerformative> decode_performative(std::string_view frame_body);

void append(std::string& out, const Performative& performative);
// Each alternative has its own append(std::string&, const Open&) and so on: amqp/performatives.h.

// For logs: "open", "attach", ...
std::string_view name_of(const Performative& performative);

}  // namespace doppel::amqp
