#include "protocol/amqp/errors.h"

#include <string>
#include <utility>
#include <variant>

namespace doppel::amqp {
namespace {

// So that an error always fits the smallest frame a peer may ask for, with room for its redirect.
constexpr std::size_t kDescriptionBytesMax = 1024;

}  // namespace

Condition make_condition(std::string_view name, std::string_view description) {
  return {.condition = std::string(name), .description = std::string(description)};
}

AmqpError to_error(const Condition& condition) {
  AmqpError error;
  error.condition = Symbol(condition.condition);
  error.description = condition.description.substr(0, kDescriptionBytesMax);
  if (!condition.info.is_empty()) error.info = condition.info;
  return error;
}

std::optional<Condition> from_error(const std::optional<AmqpError>& error) {
  if (!error) return std::nullopt;
  return Condition{.condition = error->condition.text,
                   .description = error->description.value_or(std::string{}),
                   .info = error->info.value_or(Map{})};
}

std::optional<Verdict> verdict_of(const std::optional<DeliveryState>& state) {
  if (!state) return std::nullopt;
  if (std::holds_alternative<Accepted>(*state)) return Verdict{.kind = Verdict::Kind::accepted};
  if (std::holds_alternative<Released>(*state)) return Verdict{.kind = Verdict::Kind::released};
  if (const auto* rejected = std::get_if<Rejected>(&*state)) {
    return Verdict{.kind = Verdict::Kind::rejected,
                   .error = from_error(rejected->error).value_or(Condition{})};
  }
  if (const auto* modified = std::get_if<Modified>(&*state)) {
    return Verdict{.kind = Verdict::Kind::modified,
                   .is_delivery_failed = modified->delivery_failed.value_or(false),
                   .is_undeliverable_here = modified->undeliverable_here.value_or(false)};
  }
  return std::nullopt;
}

}  // namespace doppel::amqp
