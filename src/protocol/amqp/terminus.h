// What stands in the source and target of an attach (OASIS AMQP 1.0 part 3, section 3.5).
#pragma once

#include <string>
#include <variant>

#include "amqp/termini.h"

namespace doppel::amqp {

// std::monostate is null: how an attach says that a link is refused (or its end unknown). A Value
// is a described value of another type, for instance the coordinator of transactions: it decodes,
// so that the link can be refused instead of the connection.
using AnySource = std::variant<std::monostate, Source, Value>;
using AnyTarget = std::variant<std::monostate, Target, Value>;

void append(std::string& out, const AnySource& source);
void append(std::string& out, const AnyTarget& target);
void read(Decoder& in, AnySource& out);
void read(Decoder& in, AnyTarget& out);

}  // namespace doppel::amqp
