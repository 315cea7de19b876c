// MQTT control packets as values (OASIS MQTT Version 3.1.1, chapter 3, and Version 5.0, chapter 3).
// One type serves both versions: what only version 5 has is empty in packets of 3.1.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/mqtt/properties.h"

namespace doppel::mqtt {

// The protocol level of CONNECT.
enum class Version : std::uint8_t { v3_1_1 = 4, v5 = 5 };

// Version 5, section 2.4.
enum class Reason : std::uint8_t {
  success = 0x00,  // also "normal disconnection" and "granted QoS 0"
  granted_qos_1 = 0x01,
  granted_qos_2 = 0x02,
  disconnect_with_will = 0x04,
  no_matching_subscribers = 0x10,
  no_subscription_existed = 0x11,
  unspecified_error = 0x80,
  malformed_packet = 0x81,
  protocol_error = 0x82,
  implementation_specific = 0x83,
  unsupported_protocol_version = 0x84,
  client_identifier_not_valid = 0x85,
  bad_user_name_or_password = 0x86,
  not_authorized = 0x87,
  server_unavailable = 0x88,
  server_busy = 0x89,
  banned = 0x8A,
  server_shutting_down = 0x8B,
  bad_authentication_method = 0x8C,
  keep_alive_timeout = 0x8D,
  session_taken_over = 0x8E,
  topic_filter_invalid = 0x8F,
  topic_name_invalid = 0x90,
  packet_identifier_in_use = 0x91,
  packet_identifier_not_found = 0x92,
  receive_maximum_exceeded = 0x93,
  topic_alias_invalid = 0x94,
  packet_too_large = 0x95,
  message_rate_too_high = 0x96,
  quota_exceeded = 0x97,
  administrative_action = 0x98,
  payload_format_invalid = 0x99,
  retain_not_supported = 0x9A,
  qos_not_supported = 0x9B,
  use_another_server = 0x9C,
  server_moved = 0x9D,
  shared_subscriptions_not_supported = 0x9E,
  connection_rate_exceeded = 0x9F,
  maximum_connect_time = 0xA0,
  subscription_identifiers_not_supported = 0xA1,
  wildcard_subscriptions_not_supported = 0xA2,
};

struct Will {
  std::string topic{};
  std::string payload{};
  std::uint8_t qos = 0;
  bool retain = false;
  Properties properties{};
};

struct Connect {
  std::string protocol_name{};  // "MQTT"; anything else is refused by the session, not the decoder
  std::uint8_t protocol_level = 4;
  bool clean_session = true;  // version 5: "clean start", which says nothing of the end
  std::uint16_t keep_alive_s = 0;
  std::string client_id{};
  std::optional<Will> will{};
  std::optional<std::string> user_name{};
  std::optional<std::string> password{};
  Properties properties{};

  bool is_v5() const { return protocol_level == static_cast<std::uint8_t>(Version::v5); }
  // How long the client wants its session kept after the connection, in seconds.
  std::uint32_t session_expiry_s() const;
};
// Of session_expiry_s(): for ever.
inline constexpr std::uint32_t kSessionNeverExpires = 0xFFFF'FFFF;

// [MQTT-3.2.2-*] of 3.1.1
enum class ConnectReturn : std::uint8_t {
  accepted = 0,
  unacceptable_protocol_version = 1,
  identifier_rejected = 2,
  server_unavailable = 3,
  bad_user_name_or_password = 4,
  not_authorized = 5,
};

struct Connack {
  bool session_present = false;
  ConnectReturn code = ConnectReturn::accepted;
  // Version 5: what is on the wire, in place of `code`. Reading sets `code` to what is nearest.
  Reason reason = Reason::success;
  Properties properties{};
};

struct Publish {
  bool dup = false;
  std::uint8_t qos = 0;
  bool retain = false;
  std::string topic{};          // version 5: may be empty where a topic alias stands for it
  std::uint16_t packet_id = 0;  // only with qos > 0
  std::string payload{};
  Properties properties{};
};

// Of version 5: a reason, and properties behind it.
struct Puback {
  std::uint16_t packet_id = 0;
  Reason reason = Reason::success;
  Properties properties{};
};
struct Pubrec {
  std::uint16_t packet_id = 0;
  Reason reason = Reason::success;
  Properties properties{};
};
struct Pubrel {
  std::uint16_t packet_id = 0;
  Reason reason = Reason::success;
  Properties properties{};
};
struct Pubcomp {
  std::uint16_t packet_id = 0;
  Reason reason = Reason::success;
  Properties properties{};
};

struct Subscribe {
  std::uint16_t packet_id = 0;
  struct Filter {
    std::string topic{};
    std::uint8_t qos = 0;
    // Version 5.
    bool no_local = false;
    bool retain_as_published = false;
    std::uint8_t retain_handling = 0;
  };
  std::vector<Filter> filters{};
  Properties properties{};
};

inline constexpr std::uint8_t kSubscribeFailure = 0x80;

struct Suback {
  std::uint16_t packet_id = 0;
  // One for each filter: granted QoS or kSubscribeFailure; version 5: a Reason.
  std::vector<std::uint8_t> codes{};
  Properties properties{};
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string> topics{};
  Properties properties{};
};

struct Unsuback {
  std::uint16_t packet_id = 0;
  std::vector<Reason> reasons{};  // version 5: one for each topic
  Properties properties{};
};
struct Pingreq {};
struct Pingresp {};
struct Disconnect {
  Reason reason = Reason::success;  // version 5
  Properties properties{};
};
// Version 5: a step of an enhanced authentication.
struct Auth {
  Reason reason = Reason::success;
  Properties properties{};
};

using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe,
                            Suback, Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

}  // namespace doppel::mqtt
