// Numbers of the fixed header (section 2.2), shared by the reader and the writer.
#pragma once

#include <cstdint>

namespace doppel::mqtt {

enum class PacketType : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  pingreq = 12,
  pingresp = 13,
  disconnect = 14,
  auth = 15,  // version 5
};

// The low four bits that a packet of this type must carry [MQTT-2.2.2-1]; PUBLISH is not asked.
constexpr std::uint8_t required_flags(PacketType type) {
  const bool two = type == PacketType::pubrel || type == PacketType::subscribe ||
                   type == PacketType::unsubscribe;
  return two ? 0b0010 : 0;
}

// Connect flags (section 3.1.2.3).
inline constexpr std::uint8_t kConnectReserved = 0x01;
inline constexpr std::uint8_t kConnectCleanSession = 0x02;
inline constexpr std::uint8_t kConnectWill = 0x04;
inline constexpr std::uint8_t kConnectWillQosShift = 3;
inline constexpr std::uint8_t kConnectWillQosMask = 0x18;
inline constexpr std::uint8_t kConnectWillRetain = 0x20;
inline constexpr std::uint8_t kConnectPassword = 0x40;
inline constexpr std::uint8_t kConnectUserName = 0x80;

// Publish flags (section 3.3.1).
inline constexpr std::uint8_t kPublishRetain = 0x01;
inline constexpr std::uint8_t kPublishQosShift = 1;
inline constexpr std::uint8_t kPublishDup = 0x08;

// Subscription options of version 5 (its section 3.8.3.1).
inline constexpr std::uint8_t kSubscribeQosMask = 0x03;
inline constexpr std::uint8_t kSubscribeNoLocal = 0x04;
inline constexpr std::uint8_t kSubscribeRetainAsPublished = 0x08;
inline constexpr std::uint8_t kSubscribeRetainShift = 4;
inline constexpr std::uint8_t kSubscribeRetainMask = 0x30;
inline constexpr std::uint8_t kSubscribeReserved = 0xC0;

// Reasons of AUTH beside success (its section 3.15.2.1).
inline constexpr std::uint8_t kAuthContinue = 0x18;
inline constexpr std::uint8_t kAuthAgain = 0x19;

}  // namespace doppel::mqtt
