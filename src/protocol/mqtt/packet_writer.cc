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

void append_acknowledgement(std::string& out, PacketType type, std::uint16_t packet_id) {
  check(packet_id != 0, "an acknowledgement names a packet");
  append_header(out, type, 2);
  append_be(out, packet_id);
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

void append(std::string& out, const Connect& connect) {
  check(!connect.password || connect.user_name, "a password comes with a user name");
  std::size_t length = text_size(connect.protocol_name) + 4 + text_size(connect.client_id);
  if (connect.will) length += text_size(connect.will->topic) + text_size(connect.will->payload);
  if (connect.user_name) length += text_size(*connect.user_name);
  if (connect.password) length += text_size(*connect.password);

  append_header(out, PacketType::connect, length);
  append_text(out, connect.protocol_name);
  out += static_cast<char>(connect.protocol_level);
  out += static_cast<char>(connect_flags(connect));
  append_be(out, connect.keep_alive_s);
  append_text(out, connect.client_id);
  if (connect.will) {
    append_text(out, connect.will->topic);
    append_text(out, connect.will->payload);
  }
  if (connect.user_name) append_text(out, *connect.user_name);
  if (connect.password) append_text(out, *connect.password);
}

void append(std::string& out, const Connack& connack) {
  append_header(out, PacketType::connack, 2);
  out += connack.session_present ? '\1' : '\0';
  out += static_cast<char>(connack.code);
}

void append(std::string& out, const Publish& publish) {
  check((publish.qos > 0) == (publish.packet_id != 0), "a packet id belongs to QoS 1 and 2");
  unsigned flags = static_cast<unsigned>(publish.qos) << kPublishQosShift;
  if (publish.dup) flags |= kPublishDup;
  if (publish.retain) flags |= kPublishRetain;
  const std::size_t id_size = publish.qos > 0 ? 2 : 0;
  append_header(out, PacketType::publish, static_cast<std::uint8_t>(flags),
                text_size(publish.topic) + id_size + publish.payload.size());
  append_text(out, publish.topic);
  if (publish.qos > 0) append_be(out, publish.packet_id);
  out += publish.payload;
}

void append(std::string& out, Puback puback) {
  append_acknowledgement(out, PacketType::puback, puback.packet_id);
}
void append(std::string& out, Pubrec pubrec) {
  append_acknowledgement(out, PacketType::pubrec, pubrec.packet_id);
}
void append(std::string& out, Pubrel pubrel) {
  append_acknowledgement(out, PacketType::pubrel, pubrel.packet_id);
}
void append(std::string& out, Pubcomp pubcomp) {
  append_acknowledgement(out, PacketType::pubcomp, pubcomp.packet_id);
}

void append(std::string& out, const Subscribe& subscribe) {
  std::size_t length = 2;
  for (const auto& filter : subscribe.filters) length += text_size(filter.topic) + 1;
  append_header(out, PacketType::subscribe, length);
  append_be(out, subscribe.packet_id);
  for (const auto& filter : subscribe.filters) {
    append_text(out, filter.topic);
    out += static_cast<char>(filter.qos);
  }
}

void append(std::string& out, const Suback& suback) {
  append_header(out, PacketType::suback, 2 + suback.codes.size());
  append_be(out, suback.packet_id);
  for (const auto code : suback.codes) out += static_cast<char>(code);
}

void append(std::string& out, const Unsubscribe& unsubscribe) {
  std::size_t length = 2;
  for (const auto& topic : unsubscribe.topics) length += text_size(topic);
  append_header(out, PacketType::unsubscribe, length);
  append_be(out, unsubscribe.packet_id);
  for (const auto& topic : unsubscribe.topics) append_text(out, topic);
}

void append(std::string& out, Unsuback unsuback) {
  append_acknowledgement(out, PacketType::unsuback, unsuback.packet_id);
}

void append(std::string& out, Pingreq) { append_header(out, PacketType::pingreq, 0); }
void append(std::string& out, Pingresp) { append_header(out, PacketType::pingresp, 0); }
void append(std::string& out, Disconnect) { append_header(out, PacketType::disconnect, 0); }

void append(std::string& out, const Packet& packet) {
  std::visit([&](const auto& held) { append(out, held); }, packet);
}

bool fits_publish(std::string_view topic, std::size_t payload_size) {
  return !topic.empty() && topic.size() <= kTextBytesMax &&
         payload_size <= kRemainingLengthMax - kTextBytesMax - 4;
}

}  // namespace doppel::mqtt
