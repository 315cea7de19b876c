// Decodes control packets of MQTT 3.1.1 and 5 from the front of a byte buffer (OASIS MQTT Version
// 3.1.1, OASIS MQTT Version 5.0). Strict: whatever the specification calls a protocol violation is
// malformed, with the rule's number in the reason, and the connection must be closed
// [MQTT-4.8.0-1].
//
// No I/O and no state between packets: bytes that do not make a whole packet stay with the caller.
// A PUBLISH is decoded without allocation; its views point into the caller's buffer.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>

#include "base/decoded.h"
#include "protocol/mqtt/packet.h"

namespace doppel::mqtt {

// A PUBLISH as it lies in the input buffer: valid only until that buffer changes.
struct PublishView {
  bool dup = false;
  std::uint8_t qos = 0;
  bool retain = false;
  std::string_view topic{};
  std::uint16_t packet_id = 0;  // only with qos > 0
  std::string_view payload{};
  std::string_view properties{};  // version 5: checked, but not taken apart

  std::optional<std::uint16_t> topic_alias() const;
  Properties owned_properties() const;
  Publish to_owned() const;
};

using PacketView =
    std::variant<Connect, Connack, PublishView, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Suback,
                 Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

struct DecodedPacket {
  PacketView packet;
  std::size_t consumed = 0;  // bytes of the input that the packet took

  // The owned form, for callers that keep packets.
  Packet to_owned() &&;
};

// The four bytes of a remaining length hold this much [section 2.2.3].
inline constexpr std::size_t kRemainingLengthMax = 268'435'455;
// Room for a 256 KiB message (iot-hub quotas) with the longest topic and headers.
inline constexpr std::size_t kPacketBytesMax = 262'144 + 65'535 + 64;
// What a CONNECT may take: a user name and a password with a token, an identifier, a will. Before
// a peer has proved who it is, it gets no more memory than that.
inline constexpr std::size_t kConnectBytesMax = 16 * 1024;

// The reason of Malformed for a packet over the limit: version 5 has a code of its own for it.
inline constexpr std::string_view kPacketTooLarge = "packet is larger than the limit";

// A CONNECT of version 3.1.1 or 5.
bool is_known_protocol(const Connect& connect);

// Which side's packets are read: a server that meets a CONNACK has met a violation.
enum class Sender : std::uint8_t { client, server };

class PacketReader {
 public:
  // `packet_bytes_max` counts the whole packet with its fixed header; a longer one is malformed as
  // soon as its length is known, before its body arrives.
  explicit PacketReader(Sender sender, std::size_t packet_bytes_max = kPacketBytesMax,
                        Version version = Version::v3_1_1)
      : sender_(sender), version_(version), packet_bytes_max_(packet_bytes_max) {}

  // Decodes the packet at the front of `input`. A CONNECT says itself which version it is; one of
  // another protocol than MQTT 3.1.1 or 5 comes with nothing but its name and level, because its
  // layout is not known: the session answers it with CONNACK 1 [MQTT-3.1.2-2].
  Decoded<DecodedPacket> next(std::string_view input) const;

  void set_packet_bytes_max(std::size_t bytes) { packet_bytes_max_ = bytes; }
  // Of the packets after CONNECT.
  void set_version(Version version) { version_ = version; }

 private:
  Sender sender_;
  Version version_;
  std::size_t packet_bytes_max_;
};

}  // namespace doppel::mqtt
