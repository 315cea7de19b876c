#include "protocol/mqtt/packet_reader.h"

#include <optional>

#include "base/bytes.h"
#include "protocol/mqtt/packet_type.h"
#include "protocol/mqtt/text_rules.h"

namespace doppel::mqtt {
namespace {

struct FixedHeader {
  PacketType type{};
  std::uint8_t flags = 0;
  std::size_t size = 0;  // of the header itself: 2 to 5 bytes
  std::size_t remaining_length = 0;
};

// Reads fields off the front of a packet's body. The first field that does not fit or breaks a rule
// sets `error`; everything read after it is empty and means nothing.
class Cursor {
 public:
  explicit Cursor(std::string_view body) : rest_(body) {}

  std::uint8_t u8() {
    const auto bytes = take(1);
    return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
  }
  std::uint16_t u16() {
    const auto bytes = take(2);
    return bytes.empty() ? std::uint16_t{0} : load_be<std::uint16_t>(bytes.data());
  }
  // Binary data with a 16-bit length in front.
  std::string_view binary() { return take(u16()); }
  std::string_view text() {
    const auto bytes = binary();
    if (!is_valid_text(bytes)) refuse("text is not UTF-8 or holds U+0000 [MQTT-1.5.3-1]");
    return bytes;
  }
  std::uint16_t packet_id() {
    const auto id = u16();
    if (id == 0) refuse("packet identifier is missing or 0 [MQTT-2.3.1-1]");
    return id;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }

  bool at_end() const { return rest_.empty(); }
  bool failed() const { return !error_.empty(); }
  void refuse(std::string_view why) {
    if (error_.empty()) error_ = why;
    rest_ = {};
  }
  std::string_view error() const { return error_; }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      refuse("a field runs past the end of its packet");
      return {};
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  std::string_view error_;
};

Decoded<FixedHeader> decode_fixed_header(std::string_view input) {
  if (input.size() < 2) return NeedMore{};
  const auto first = static_cast<std::uint8_t>(input[0]);
  FixedHeader header{.type = PacketType{static_cast<std::uint8_t>(first >> 4)},
                     .flags = static_cast<std::uint8_t>(first & 0x0F)};
  if (header.type < PacketType::connect || header.type > PacketType::disconnect)
    return Malformed{"reserved packet type (section 2.2.1)"};
  if (header.type != PacketType::publish && header.flags != required_flags(header.type))
    return Malformed{"reserved flags are not as required [MQTT-2.2.2-2]"};

  // At most four bytes of seven bits, the lowest first (section 2.2.3).
  for (std::size_t i = 0; i < 4; ++i) {
    if (1 + i >= input.size()) return NeedMore{};
    const auto byte = static_cast<std::uint8_t>(input[1 + i]);
    header.remaining_length |= std::size_t{byte & 0x7FU} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    header.size = 2 + i;
    return header;
  }
  return Malformed{"remaining length takes more than four bytes (section 2.2.3)"};
}

void decode_will(Cursor& body, std::uint8_t flags, Connect& connect) {
  Will will{.qos = static_cast<std::uint8_t>((flags & kConnectWillQosMask) >> kConnectWillQosShift),
            .retain = (flags & kConnectWillRetain) != 0};
  if (will.qos == 3) return body.refuse("will QoS is 3 [MQTT-3.1.2-14]");
  will.topic = body.text();
  will.payload = body.binary();
  if (!body.failed() && !is_topic_name(will.topic))
    return body.refuse("will topic is empty or holds a wildcard [MQTT-3.3.2-2]");
  connect.will = std::move(will);
}

Connect decode_connect(Cursor& body) {
  Connect connect{.protocol_name = std::string(body.text())};
  connect.protocol_level = body.u8();
  if (body.failed()) return connect;
  if (connect.protocol_name != "MQTT" || connect.protocol_level != 4) {
    body.rest();  // another protocol's layout: not ours to judge
    return connect;
  }
  const auto flags = body.u8();
  connect.clean_session = (flags & kConnectCleanSession) != 0;
  connect.keep_alive_s = body.u16();
  connect.client_id = body.text();
  if ((flags & kConnectReserved) != 0) body.refuse("reserved connect flag is set [MQTT-3.1.2-3]");
  if ((flags & kConnectWill) == 0 && (flags & (kConnectWillQosMask | kConnectWillRetain)) != 0)
    body.refuse("will QoS or retain without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]");
  if ((flags & kConnectPassword) != 0 && (flags & kConnectUserName) == 0)
    body.refuse("password without user name [MQTT-3.1.2-22]");
  if ((flags & kConnectWill) != 0) decode_will(body, flags, connect);
  if ((flags & kConnectUserName) != 0) connect.user_name = body.text();
  if ((flags & kConnectPassword) != 0) connect.password = body.binary();
  return connect;
}

Connack decode_connack(Cursor& body) {
  const auto flags = body.u8();
  const auto code = body.u8();
  if ((flags & 0xFE) != 0) body.refuse("reserved acknowledge flag is set (section 3.2.2.1)");
  if (code > static_cast<std::uint8_t>(ConnectReturn::not_authorized))
    body.refuse("reserved connect return code (section 3.2.2.3)");
  const Connack connack{.session_present = flags == 1, .code = ConnectReturn{code}};
  if (connack.session_present && connack.code != ConnectReturn::accepted)
    body.refuse("session present in a refusal [MQTT-3.2.2-4]");
  return connack;
}

PublishView decode_publish(Cursor& body, std::uint8_t flags) {
  PublishView publish{.dup = (flags & kPublishDup) != 0,
                      .qos = static_cast<std::uint8_t>((flags >> kPublishQosShift) & 3),
                      .retain = (flags & kPublishRetain) != 0};
  if (publish.qos == 3) body.refuse("QoS is 3 [MQTT-3.3.1-4]");
  if (publish.dup && publish.qos == 0) body.refuse("DUP with QoS 0 [MQTT-3.3.1-2]");
  publish.topic = body.text();
  if (!is_topic_name(publish.topic))
    body.refuse("topic name is empty or holds a wildcard [MQTT-3.3.2-2]");
  if (publish.qos > 0) publish.packet_id = body.packet_id();
  publish.payload = body.rest();
  return publish;
}

std::string decode_filter(Cursor& body) {
  std::string filter(body.text());
  if (!body.failed() && !is_topic_filter(filter))
    body.refuse("topic filter is empty or misuses a wildcard [MQTT-4.7.1-2] [MQTT-4.7.3-1]");
  return filter;
}

Subscribe decode_subscribe(Cursor& body) {
  Subscribe subscribe{.packet_id = body.packet_id()};
  if (body.at_end()) body.refuse("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]");
  while (!body.at_end()) {
    Subscribe::Filter filter{.topic = decode_filter(body)};
    filter.qos = body.u8();
    if (filter.qos > 2) body.refuse("requested QoS is not 0, 1 or 2 [MQTT-3-8.3-4]");
    subscribe.filters.push_back(std::move(filter));
  }
  return subscribe;
}

Suback decode_suback(Cursor& body) {
  Suback suback{.packet_id = body.packet_id()};
  if (body.at_end()) body.refuse("SUBACK without a return code (section 3.9.3)");
  while (!body.at_end()) {
    const auto code = body.u8();
    if (code > 2 && code != kSubscribeFailure) body.refuse("reserved return code [MQTT-3.9.3-2]");
    suback.codes.push_back(code);
  }
  return suback;
}

Unsubscribe decode_unsubscribe(Cursor& body) {
  Unsubscribe unsubscribe{.packet_id = body.packet_id()};
  if (body.at_end()) body.refuse("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]");
  while (!body.at_end()) unsubscribe.topics.push_back(decode_filter(body));
  return unsubscribe;
}

bool may_send(Sender sender, PacketType type) {
  switch (type) {
    case PacketType::connect:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
    case PacketType::pingreq:
    case PacketType::disconnect:
      return sender == Sender::client;
    case PacketType::connack:
    case PacketType::suback:
    case PacketType::unsuback:
    case PacketType::pingresp:
      return sender == Sender::server;
    default:
      return true;
  }
}

PacketView decode_body(PacketType type, std::uint8_t flags, Cursor& body) {
  switch (type) {
    case PacketType::connect:
      return decode_connect(body);
    case PacketType::connack:
      return decode_connack(body);
    case PacketType::publish:
      return decode_publish(body, flags);
    case PacketType::puback:
      return Puback{body.packet_id()};
    case PacketType::pubrec:
      return Pubrec{body.packet_id()};
    case PacketType::pubrel:
      return Pubrel{body.packet_id()};
    case PacketType::pubcomp:
      return Pubcomp{body.packet_id()};
    case PacketType::subscribe:
      return decode_subscribe(body);
    case PacketType::suback:
      return decode_suback(body);
    case PacketType::unsubscribe:
      return decode_unsubscribe(body);
    case PacketType::unsuback:
      return Unsuback{body.packet_id()};
    case PacketType::pingreq:
      return Pingreq{};
    case PacketType::pingresp:
      return Pingresp{};
    case PacketType::disconnect:
      break;
  }
  return Disconnect{};
}

}  // namespace

Publish PublishView::to_owned() const {
  return {.dup = dup,
          .qos = qos,
          .retain = retain,
          .topic = std::string(topic),
          .packet_id = packet_id,
          .payload = std::string(payload)};
}

Packet DecodedPacket::to_owned() && {
  return std::visit(
      []<class T>(T&& held) -> Packet {
        if constexpr (std::is_same_v<std::remove_cvref_t<T>, PublishView>)
          return held.to_owned();
        else
          return std::forward<T>(held);
      },
      std::move(packet));
}

Decoded<DecodedPacket> PacketReader::next(std::string_view input) const {
  const auto header = decode_fixed_header(input);
  if (header.needs_more()) return NeedMore{};
  if (header.is_malformed()) return Malformed{header.reason()};

  // Judged from the header alone, so that nobody makes us buffer what we will refuse.
  if (!may_send(sender_, header->type)) return Malformed{"this side never sends such a packet"};
  const std::size_t size = header->size + header->remaining_length;
  if (size > packet_bytes_max_) return Malformed{"packet is larger than the limit"};
  if (input.size() < size) return NeedMore{};

  Cursor body(input.substr(header->size, header->remaining_length));
  DecodedPacket decoded{.packet = decode_body(header->type, header->flags, body), .consumed = size};
  if (!body.at_end()) body.refuse("bytes are left over behind the last field");
  if (body.failed()) return Malformed{body.error()};
  return decoded;
}

}  // namespace doppel::mqtt
