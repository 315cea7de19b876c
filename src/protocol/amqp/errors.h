// Errors and outcomes between the wire's types and those of service.h.
#pragma once

#include <optional>
#include <string_view>

#include "protocol/amqp/conditions.h"
#include "protocol/amqp/performative.h"
#include "protocol/amqp/service.h"

namespace doppel::amqp {

Condition make_condition(std::string_view name, std::string_view description);

AmqpError to_error(const Condition& condition);
std::optional<Condition> from_error(const std::optional<AmqpError>& error);

// Nothing: no outcome yet ("received"), or none that we know.
std::optional<Verdict> verdict_of(const std::optional<DeliveryState>& state);

}  // namespace doppel::amqp
