// MQTT 3.1.1 control packets as values (OASIS MQTT Version 3.1.1, chapter 3). Protocol version 5
// will add properties to the same types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace doppel::mqtt {

struct Will {
  std::string topic{};
  std::string payload{};
  std::uint8_t qos = 0;
  bool retain = false;
};

struct Connect {
  std::string protocol_name{};  // "MQTT"; anything else is refused by the session, not the decoder
  std::uint8_t protocol_level = 4;
  bool clean_session = true;
  std::uint16_t keep_alive_s = 0;
  std::string client_id{};
  std::optional<Will> will{};
  std::optional<std::string> user_name{};
  std::optional<std::string> password{};
};

// [MQTT-3.2.2-*]
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
};

struct Publish {
  bool dup = false;
  std::uint8_t qos = 0;
  bool retain = false;
  std::string topic{};
  std::uint16_t packet_id = 0;  // only with qos > 0
  std::string payload{};
};

struct Puback {
  std::uint16_t packet_id = 0;
};
struct Pubrec {
  std::uint16_t packet_id = 0;
};
struct Pubrel {
  std::uint16_t packet_id = 0;
};
struct Pubcomp {
  std::uint16_t packet_id = 0;
};

struct Subscribe {
  std::uint16_t packet_id = 0;
  struct Filter {
    std::string topic{};
    std::uint8_t qos = 0;
  };
  std::vector<Filter> filters{};
};

inline constexpr std::uint8_t kSubscribeFailure = 0x80;

struct Suback {
  std::uint16_t packet_id = 0;
  std::vector<std::uint8_t> codes{};  // granted QoS or kSubscribeFailure, one for each filter
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string> topics{};
};

struct Unsuback {
  std::uint16_t packet_id = 0;
};
struct Pingreq {};
struct Pingresp {};
struct Disconnect {};

using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe,
                            Suback, Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect>;

}  // namespace doppel::mqtt
