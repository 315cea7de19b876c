#include "protocol/mqtt/packet_writer.h"

#include "base/bytes.h"
#include "base/check.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_type.h"

namespace doppel::mqtt {
namespace {

constexpr std::size_t kTextBytesMax = 65'535;

void append_header(std::string& out, PacketType type, std::uint8_t flags, std::size_t length) {
  check(length <= kRemainingLengthMax, "an MQTT packet fits its remaining length");
  out += static_cast<char>((static_cast<unsigned>(type) << 4) | flags);
  do {
    const auto low = static_cast<unsigned>(length & 0x7F);
    length >>= 7;
    out += static_cast<char>(length > 0 ? low | 0x80U : low);
  } while (length > 0);
}

void append_header(std::string& out, PacketType type, std::size_t length) {
  append_header(out, type, required_flags(type), length);
}

void append_text(std::string& out, std::string_view text) {
  check(text.size() <= kTextBytesMax, "an MQTT text fits its 16-bit length");
  append_be(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

// Version 5 has them behind the fixed fields of nearly every packet; 3.1.1 nowhere.
std::size_t properties_size(const Properties& properties, Version version) {
  return version == Version::v5 ? encoded_size(properties) : 0;
}
void append_properties(std::string& out, const Properties& properties, Version version) {
  if (version == Version::v5) append(out, properties);
}

// A reason and properties at the end of a packet, both left out where they say nothing.
template <class Packet>
std::size_t tail_size(const Packet& packet, Version version) {
  if (version != Version::v5) return 0;
  if (!packet.properties.is_empty()) return 1 + encoded_size(packet.properties);
  return packet.reason == Reason::success ? 0 : 1;
}
template <class Packet>
void append_tail(std::string& out, const Packet& packet, Version version) {
  if (tail_size(packet, version) == 0) return;
  out += static_cast<char>(packet.reason);
  if (!packet.properties.is_empty()) append(out, packet.properties);
}

template <class Packet>
void append_acknowledgement(std::string& out, PacketType type, const Packet& packet,
                            Version version) {
  check(packet.packet_id != 0, "an acknowledgement names a packet");
  append_header(out, type, 2 + tail_size(packet, version));
  append_be(out, packet.packet_id);
  append_tail(out, packet, version);
}

std::size_t text_size(std::string_view text) { return 2 + text.size(); }

std::uint8_t connect_flags(const Connect& connect) {
  unsigned flags = connect.clean_session ? kConnectCleanSession : 0U;
  if (connect.will) {
    flags |= kConnectWill;
    flags |= static_cast<unsigned>(connect.will->qos) << kConnectWillQosShift;
    if (connect.will->retain) flags |= kConnectWillRetain;
  }
  if (connect.user_name) flags |= kConnectUserName;
  if (connect.password) flags |= kConnectPassword;
  return static_cast<std::uint8_t>(flags);
}

}  // namespace

void append(std::string& out, const Connect& connect, Version) {
  const auto version = connect.is_v5() ? Version::v5 : Version::v3_1_1;
  check(connect.is_v5() || !connect.password || connect.user_name,
        "a password comes with a user name");
  std::size_t length = text_size(connect.protocol_name) + 4 + text_size(connect.client_id) +
                       properties_size(connect.properties, version);
  if (connect.will) {
    length += text_size(connect.will->topic) + text_size(connect.will->payload) +
              properties_size(connect.will->properties, version);
  }
  if (connect.user_name) length += text_size(*connect.user_name);
  if (connect.password) length += text_size(*connect.password);

  append_header(out, PacketType::connect, length);
  append_text(out, connect.protocol_name);
  out += static_cast<char>(connect.protocol_level);
  out += static_cast<char>(connect_flags(connect));
  append_be(out, connect.keep_alive_s);
  append_properties(out, connect.properties, version);
  append_text(out, connect.client_id);
  if (connect.will) {
    append_properties(out, connect.will->properties, version);
    append_text(out, connect.will->topic);
    append_text(out, connect.will->payload);
  }
  if (connect.user_name) append_text(out, *connect.user_name);
  if (connect.password) append_text(out, *connect.password);
}

void append(std::string& out, const Connack& connack, Version version) {
  append_header(out, PacketType::connack, 2 + properties_size(connack.properties, version));
  out += connack.session_present ? '\1' : '\0';
  out +=
      version == Version::v5 ? static_cast<char>(connack.reason) : static_cast<char>(connack.code);
  append_properties(out, connack.properties, version);
}

void append(std::string& out, const Publish& publish, Version version) {
  check((publish.qos > 0) == (publish.packet_id != 0), "a packet id belongs to QoS 1 and 2");
  unsigned flags = static_cast<unsigned>(publish.qos) << kPublishQosShift;
  if (publish.dup) flags |= kPublishDup;
  if (publish.retain) flags |= kPublishRetain;
  const std::size_t id_size = publish.qos > 0 ? 2 : 0;
  append_header(out, PacketType::publish, static_cast<std::uint8_t>(flags),
                text_size(publish.topic) + id_size + publish.payload.size() +
                    properties_size(publish.properties, version));
  append_text(out, publish.topic);
  if (publish.qos > 0) append_be(out, publish.packet_id);
  append_properties(out, publish.properties, version);
  out += publish.payload;
}

void append(std::string& out, const Puback& puback, Version version) {
  append_acknowledgement(out, PacketType::puback, puback, version);
}
void append(std::string& out, const Pubrec& pubrec, Version version) {
  append_acknowledgement(out, PacketType::pubrec, pubrec, version);
}
void append(std::string& out, const Pubrel& pubrel, Version version) {
  append_acknowledgement(out, PacketType::pubrel, pubrel, version);
}
void append(std::string& out, const Pubcomp& pubcomp, Version version) {
  append_acknowledgement(out, PacketType::pubcomp, pubcomp, version);
}

void append(std::string& out, const Subscribe& subscribe, Version version) {
  std::size_t length = 2 + properties_size(subscribe.properties, version);
  for (const auto& filter : subscribe.filters) length += text_size(filter.topic) + 1;
  append_header(out, PacketType::subscribe, length);
  append_be(out, subscribe.packet_id);
  append_properties(out, subscribe.properties, version);
  for (const auto& filter : subscribe.filters) {
    append_text(out, filter.topic);
    unsigned options = filter.qos;
    if (version == Version::v5) {
      if (filter.no_local) options |= kSubscribeNoLocal;
      if (filter.retain_as_published) options |= kSubscribeRetainAsPublished;
      options |= static_cast<unsigned>(filter.retain_handling) << kSubscribeRetainShift;
    }
    out += static_cast<char>(options);
  }
}

void append(std::string& out, const Suback& suback, Version version) {
  append_header(out, PacketType::suback,
                2 + suback.codes.size() + properties_size(suback.properties, version));
  append_be(out, suback.packet_id);
  append_properties(out, suback.properties, version);
  for (const auto code : suback.codes) out += static_cast<char>(code);
}

void append(std::string& out, const Unsubscribe& unsubscribe, Version version) {
  std::size_t length = 2 + properties_size(unsubscribe.properties, version);
  for (const auto& topic : unsubscribe.topics) length += text_size(topic);
  append_header(out, PacketType::unsubscribe, length);
  append_be(out, unsubscribe.packet_id);
  append_properties(out, unsubscribe.properties, version);
  for (const auto& topic : unsubscribe.topics) append_text(out, topic);
}

void append(std::string& out, const Unsuback& unsuback, Version version) {
  check(unsuback.packet_id != 0, "an acknowledgement names a packet");
  const bool is_v5 = version == Version::v5;
  append_header(
      out, PacketType::unsuback,
      2 + (is_v5 ? unsuback.reasons.size() : 0) + properties_size(unsuback.properties, version));
  append_be(out, unsuback.packet_id);
  append_properties(out, unsuback.properties, version);
  if (!is_v5) return;
  for (const auto reason : unsuback.reasons) out += static_cast<char>(reason);
}

void append(std::string& out, Pingreq, Version) { append_header(out, PacketType::pingreq, 0); }
void append(std::string& out, Pingresp, Version) { append_header(out, PacketType::pingresp, 0); }

void append(std::string& out, const Disconnect& disconnect, Version version) {
  append_header(out, PacketType::disconnect, tail_size(disconnect, version));
  append_tail(out, disconnect, version);
}

void append(std::string& out, const Auth& auth, Version version) {
  check(version == Version::v5, "AUTH is a packet of version 5");
  append_header(out, PacketType::auth, tail_size(auth, version));
  append_tail(out, auth, version);
}

void append(std::string& out, const Packet& packet, Version version) {
  std::visit([&](const auto& held) { append(out, held, version); }, packet);
}

bool fits_publish(std::string_view topic, std::size_t payload_size) {
  return !topic.empty() && topic.size() <= kTextBytesMax &&
         payload_size <= kRemainingLengthMax - kTextBytesMax - 4;
}

}  // namespace doppel::mqtt
