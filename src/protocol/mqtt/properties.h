// Properties of MQTT 5 packets (OASIS MQTT Version 5.0, section 2.2.2): what each is called, what
// it holds and which packets may carry it stand in one table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::mqtt {

enum class PropertyId : std::uint8_t {
  payload_format_indicator = 0x01,
  message_expiry_interval = 0x02,
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_identifier = 0x0B,
  session_expiry_interval = 0x11,
  assigned_client_identifier = 0x12,
  server_keep_alive = 0x13,
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay_interval = 0x18,
  request_response_information = 0x19,
  response_information = 0x1A,
  server_reference = 0x1C,
  reason_string = 0x1F,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,
  wildcard_subscription_available = 0x28,
  subscription_identifier_available = 0x29,
  shared_subscription_available = 0x2A,
};

struct PacketProperty {
  PropertyId id{};
  std::uint32_t number = 0;  // of those that are numbers
  std::string text{};        // of those that are text or binary; of a user property the name
  std::string value{};       // of a user property

  bool operator==(const PacketProperty&) const = default;
};

// In the order of the wire. Mostly empty, and then without an allocation.
class Properties {
 public:
  bool is_empty() const { return all_.empty(); }
  std::size_t size() const { return all_.size(); }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }

  std::optional<std::uint32_t> number(PropertyId id) const;
  const std::string* text(PropertyId id) const;  // null without

  void add(PacketProperty property) { all_.push_back(std::move(property)); }
  Properties& add(PropertyId id, std::uint32_t number) {
    all_.push_back({.id = id, .number = number});
    return *this;
  }
  Properties& add(PropertyId id, std::string_view text) {
    all_.push_back({.id = id, .text = std::string(text)});
    return *this;
  }
  Properties& add_user(std::string_view name, std::string_view value) {
    all_.push_back(
        {.id = PropertyId::user_property, .text = std::string(name), .value = std::string(value)});
    return *this;
  }

  bool operator==(const Properties&) const = default;

 private:
  std::vector<PacketProperty> all_;
};

// Bits of the packets that may carry a property.
enum class Carrier : std::uint16_t {
  connect = 1,
  connack = 2,
  publish = 4,
  will = 8,
  acknowledgement = 16,  // PUBACK, PUBREC, PUBREL, PUBCOMP
  subscribe = 32,
  suback = 64,
  unsubscribe = 128,
  unsuback = 256,
  disconnect = 512,
  auth = 1024,
};

// What the value of a property is.
enum class PropertyKind : std::uint8_t {
  byte,
  two_bytes,
  four_bytes,
  variable,
  text,
  binary,
  pair
};

struct PropertyRule {
  PropertyId id{};
  PropertyKind kind{};
  std::uint16_t carriers = 0;    // bits of Carrier
  std::uint32_t number_min = 0;  // of numbers
  std::uint32_t number_max = 0;
  bool is_repeatable = false;
};
// Null for an identifier that is none.
const PropertyRule* find_rule(std::uint32_t id);

// Appends the length and the properties.
void append(std::string& out, const Properties& properties);
std::size_t encoded_size(const Properties& properties);  // with the length in front

inline constexpr std::uint32_t kVariableMax = 268'435'455;  // four bytes of seven bits
void append_variable(std::string& out, std::uint32_t value);
std::size_t variable_size(std::uint32_t value);

}  // namespace doppel::mqtt
