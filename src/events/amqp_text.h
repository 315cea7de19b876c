// AMQP's types as text, for readers that know only text.
#pragma once

#include <string>

#include "protocol/amqp/value.h"

namespace doppel::events {

// Numbers in decimal, UUIDs in hex groups, maps and lists as JSON.
std::string amqp_text(const amqp::Value& value);

}  // namespace doppel::events
