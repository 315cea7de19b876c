// Addresses of Event Hubs links and what their filters ask for (docs/wire/event-hubs.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/amqp/value.h"

namespace doppel::events {

// "eh1", "eh1/Partitions/0", "eh1/Publishers/p", "eh1/ConsumerGroups/g/Partitions/0",
// "eh1/$management". The fixed words compare without case. Views into the address.
struct LinkAddress {
  std::string_view event_hub{};
  std::string_view consumer_group{};  // empty: none
  std::string_view publisher{};
  std::optional<std::uint32_t> partition{};
  bool is_management = false;
};
// Nothing when it is no such address.
std::optional<LinkAddress> parse_address(std::string_view node);

// Where a receiver begins.
struct Position {
  enum class Kind : std::uint8_t {
    earliest,
    latest,  // what comes after the attach
    sequence,
    time,
  };
  Kind kind = Kind::earliest;
  bool is_inclusive = false;
  std::int64_t value = 0;  // a sequence number, or milliseconds since 1970
};

// `x-opt-offset` of an event: opaque to clients, which only give it back. It is the sequence
// number: dense, and increasing as theirs.
std::string offset_text(std::int64_t sequence);

// From the filter set of an attach's source. Found by the key of the map: clients agree neither on
// the descriptor nor on whether the right side of the comparison is quoted. None: from the start.
// Errors: invalid_argument, with a text for the client.
Result<Position> parse_filter(const amqp::Map* filter);
Result<Position> parse_selector(std::string_view selector);

}  // namespace doppel::events
