#include "protocol/mqtt/properties.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/check.h"

namespace doppel::mqtt {
namespace {

using Id = PropertyId;
using Kind = PropertyKind;

constexpr std::uint32_t kByteMax = 0xFF;
constexpr std::uint32_t kTwoBytesMax = 0xFFFF;
constexpr std::uint32_t kFourBytesMax = 0xFFFF'FFFF;

template <class... C>
constexpr std::uint16_t in(C... carriers) {
  return static_cast<std::uint16_t>((static_cast<unsigned>(carriers) | ...));
}

constexpr auto kEverywhere =
    in(Carrier::connect, Carrier::connack, Carrier::publish, Carrier::will,
       Carrier::acknowledgement, Carrier::subscribe, Carrier::suback, Carrier::unsubscribe,
       Carrier::unsuback, Carrier::disconnect, Carrier::auth);
constexpr auto kMessages = in(Carrier::publish, Carrier::will);
constexpr auto kAnswers = in(Carrier::connack, Carrier::acknowledgement, Carrier::suback,
                             Carrier::unsuback, Carrier::disconnect, Carrier::auth);

// Table 2-4; the bounds are from the sections of the packets.
constexpr std::array kRules = {
    PropertyRule{Id::payload_format_indicator, Kind::byte, kMessages, 0, 1},
    PropertyRule{Id::message_expiry_interval, Kind::four_bytes, kMessages, 0, kFourBytesMax},
    PropertyRule{Id::content_type, Kind::text, kMessages},
    PropertyRule{Id::response_topic, Kind::text, kMessages},
    PropertyRule{Id::correlation_data, Kind::binary, kMessages},
    PropertyRule{Id::subscription_identifier, Kind::variable,
                 in(Carrier::publish, Carrier::subscribe), 1, kVariableMax, true},
    PropertyRule{Id::session_expiry_interval, Kind::four_bytes,
                 in(Carrier::connect, Carrier::connack, Carrier::disconnect), 0, kFourBytesMax},
    PropertyRule{Id::assigned_client_identifier, Kind::text, in(Carrier::connack)},
    PropertyRule{Id::server_keep_alive, Kind::two_bytes, in(Carrier::connack), 0, kTwoBytesMax},
    PropertyRule{Id::authentication_method, Kind::text,
                 in(Carrier::connect, Carrier::connack, Carrier::auth)},
    PropertyRule{Id::authentication_data, Kind::binary,
                 in(Carrier::connect, Carrier::connack, Carrier::auth)},
    PropertyRule{Id::request_problem_information, Kind::byte, in(Carrier::connect), 0, 1},
    PropertyRule{Id::will_delay_interval, Kind::four_bytes, in(Carrier::will), 0, kFourBytesMax},
    PropertyRule{Id::request_response_information, Kind::byte, in(Carrier::connect), 0, 1},
    PropertyRule{Id::response_information, Kind::text, in(Carrier::connack)},
    PropertyRule{Id::server_reference, Kind::text, in(Carrier::connack, Carrier::disconnect)},
    PropertyRule{Id::reason_string, Kind::text, kAnswers},
    PropertyRule{Id::receive_maximum, Kind::two_bytes, in(Carrier::connect, Carrier::connack), 1,
                 kTwoBytesMax},
    PropertyRule{Id::topic_alias_maximum, Kind::two_bytes, in(Carrier::connect, Carrier::connack),
                 0, kTwoBytesMax},
    PropertyRule{Id::topic_alias, Kind::two_bytes, in(Carrier::publish), 0, kTwoBytesMax},
    PropertyRule{Id::maximum_qos, Kind::byte, in(Carrier::connack), 0, 1},
    PropertyRule{Id::retain_available, Kind::byte, in(Carrier::connack), 0, 1},
    PropertyRule{Id::user_property, Kind::pair, kEverywhere, 0, 0, true},
    PropertyRule{Id::maximum_packet_size, Kind::four_bytes, in(Carrier::connect, Carrier::connack),
                 1, kFourBytesMax},
    PropertyRule{Id::wildcard_subscription_available, Kind::byte, in(Carrier::connack), 0, 1},
    PropertyRule{Id::subscription_identifier_available, Kind::byte, in(Carrier::connack), 0, 1},
    PropertyRule{Id::shared_subscription_available, Kind::byte, in(Carrier::connack), 0, 1},
};

void append_short_text(std::string& out, std::string_view text) {
  check(text.size() <= kTwoBytesMax, "an MQTT text fits its 16-bit length");
  append_be(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

std::size_t size_of(const PacketProperty& property) {
  const auto* rule = find_rule(static_cast<std::uint8_t>(property.id));
  check(rule != nullptr, "a property is one of the table");
  switch (rule->kind) {
    case Kind::byte:
      return 1 + 1;
    case Kind::two_bytes:
      return 1 + 2;
    case Kind::four_bytes:
      return 1 + 4;
    case Kind::variable:
      return 1 + variable_size(property.number);
    case Kind::text:
    case Kind::binary:
      return 1 + 2 + property.text.size();
    case Kind::pair:
      return 1 + 2 + property.text.size() + 2 + property.value.size();
  }
  return 0;
}

std::size_t content_size(const Properties& properties) {
  std::size_t size = 0;
  for (const auto& property : properties) size += size_of(property);
  return size;
}

void append_one(std::string& out, const PacketProperty& property) {
  out += static_cast<char>(property.id);
  switch (find_rule(static_cast<std::uint8_t>(property.id))->kind) {
    case Kind::byte:
      check(property.number <= kByteMax, "the number fits its byte");
      out += static_cast<char>(property.number);
      return;
    case Kind::two_bytes:
      check(property.number <= kTwoBytesMax, "the number fits its two bytes");
      return append_be(out, static_cast<std::uint16_t>(property.number));
    case Kind::four_bytes:
      return append_be(out, property.number);
    case Kind::variable:
      return append_variable(out, property.number);
    case Kind::text:
    case Kind::binary:
      return append_short_text(out, property.text);
    case Kind::pair:
      append_short_text(out, property.text);
      return append_short_text(out, property.value);
  }
}

}  // namespace

const PropertyRule* find_rule(std::uint32_t id) {
  const auto* const found = std::ranges::find_if(
      kRules, [id](const PropertyRule& rule) { return static_cast<std::uint32_t>(rule.id) == id; });
  return found == kRules.end() ? nullptr : found;
}

std::optional<std::uint32_t> Properties::number(PropertyId id) const {
  for (const auto& property : all_)
    if (property.id == id) return property.number;
  return std::nullopt;
}

const std::string* Properties::text(PropertyId id) const {
  for (const auto& property : all_)
    if (property.id == id) return &property.text;
  return nullptr;
}

std::size_t variable_size(std::uint32_t value) {
  std::size_t size = 1;
  while (value >>= 7) ++size;
  return size;
}

void append_variable(std::string& out, std::uint32_t value) {
  check(value <= kVariableMax, "a number fits four bytes of seven bits");
  do {
    const auto low = value & 0x7F;
    value >>= 7;
    out += static_cast<char>(value > 0 ? low | 0x80U : low);
  } while (value > 0);
}

void append(std::string& out, const Properties& properties) {
  append_variable(out, static_cast<std::uint32_t>(content_size(properties)));
  for (const auto& property : properties) append_one(out, property);
}

std::size_t encoded_size(const Properties& properties) {
  const auto size = content_size(properties);
  return variable_size(static_cast<std::uint32_t>(size)) + size;
}

}  // namespace doppel::mqtt
