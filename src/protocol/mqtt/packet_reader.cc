#include "protocol/mqtt/packet_reader.h"

#include <optional>

#include "protocol/mqtt/cursor.h"
#include "protocol/mqtt/packet_type.h"
#include "protocol/mqtt/reason.h"
#include "protocol/mqtt/text_rules.h"

namespace doppel::mqtt {
namespace {

struct FixedHeader {
  PacketType type{};
  std::uint8_t flags = 0;
  std::size_t size = 0;  // of the header itself: 2 to 5 bytes
  std::size_t remaining_length = 0;
};

constexpr bool is_v5(Version version) { return version == Version::v5; }

Decoded<FixedHeader> decode_fixed_header(std::string_view input, Version version) {
  if (input.size() < 2) return NeedMore{};
  const auto first = static_cast<std::uint8_t>(input[0]);
  FixedHeader header{.type = PacketType{static_cast<std::uint8_t>(first >> 4)},
                     .flags = static_cast<std::uint8_t>(first & 0x0F)};
  const auto last = is_v5(version) ? PacketType::auth : PacketType::disconnect;
  if (header.type < PacketType::connect || header.type > last)
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
  if (connect.is_v5()) read_properties(body, Carrier::will, &will.properties);
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
  if (!is_known_protocol(connect)) {
    body.rest();  // another protocol's layout: not ours to judge
    return connect;
  }
  const auto flags = body.u8();
  connect.clean_session = (flags & kConnectCleanSession) != 0;
  connect.keep_alive_s = body.u16();
  if (connect.is_v5()) read_properties(body, Carrier::connect, &connect.properties);
  connect.client_id = body.text();
  if ((flags & kConnectReserved) != 0) body.refuse("reserved connect flag is set [MQTT-3.1.2-3]");
  if ((flags & kConnectWill) == 0 && (flags & (kConnectWillQosMask | kConnectWillRetain)) != 0)
    body.refuse("will QoS or retain without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]");
  if (!connect.is_v5() && (flags & kConnectPassword) != 0 && (flags & kConnectUserName) == 0)
    body.refuse("password without user name [MQTT-3.1.2-22]");
  if ((flags & kConnectWill) != 0) decode_will(body, flags, connect);
  if ((flags & kConnectUserName) != 0) connect.user_name = body.text();
  if ((flags & kConnectPassword) != 0) connect.password = body.binary();
  return connect;
}

// A reason of version 5, where one may stand or be left out for success.
template <class Judge>
Reason decode_reason(Cursor& body, Judge is_allowed) {
  if (body.at_end()) return Reason::success;
  const auto code = body.u8();
  if (!is_allowed(code)) body.refuse("a reason code that this packet cannot have [MQTT5-2.4]");
  return Reason{code};
}

// A reason and properties, both of which may be left out at the end.
template <class Packet, class Judge>
void decode_reason_and_properties(Cursor& body, Packet& packet, Carrier carrier, Judge is_allowed) {
  packet.reason = decode_reason(body, is_allowed);
  if (!body.at_end()) read_properties(body, carrier, &packet.properties);
}

template <class Packet>
Packet decode_acknowledgement(Cursor& body, Version version, bool (*is_allowed)(std::uint8_t)) {
  Packet packet{.packet_id = body.packet_id()};
  if (is_v5(version))
    decode_reason_and_properties(body, packet, Carrier::acknowledgement, is_allowed);
  return packet;
}

Connack decode_connack(Cursor& body, Version version) {
  const auto flags = body.u8();
  const auto code = body.u8();
  if ((flags & 0xFE) != 0) body.refuse("reserved acknowledge flag is set (section 3.2.2.1)");
  if (is_v5(version)) {
    if (!is_connack_reason(code)) body.refuse("reserved reason code [MQTT5-3.2.2-8]");
    Connack connack{.session_present = flags == 1,
                    .code = to_connect_return(Reason{code}),
                    .reason = Reason{code}};
    if (connack.session_present && connack.reason != Reason::success)
      body.refuse("session present in a refusal [MQTT5-3.2.2-6]");
    read_properties(body, Carrier::connack, &connack.properties);
    return connack;
  }
  if (code > static_cast<std::uint8_t>(ConnectReturn::not_authorized))
    body.refuse("reserved connect return code (section 3.2.2.3)");
  const Connack connack{.session_present = flags == 1,
                        .code = ConnectReturn{code},
                        .reason = to_reason(ConnectReturn{code})};
  if (connack.session_present && connack.code != ConnectReturn::accepted)
    body.refuse("session present in a refusal [MQTT-3.2.2-4]");
  return connack;
}

PublishView decode_publish(Cursor& body, std::uint8_t flags, Version version) {
  PublishView publish{.dup = (flags & kPublishDup) != 0,
                      .qos = static_cast<std::uint8_t>((flags >> kPublishQosShift) & 3),
                      .retain = (flags & kPublishRetain) != 0};
  if (publish.qos == 3) body.refuse("QoS is 3 [MQTT-3.3.1-4]");
  if (publish.dup && publish.qos == 0) body.refuse("DUP with QoS 0 [MQTT-3.3.1-2]");
  publish.topic = body.text();
  if (publish.qos > 0) publish.packet_id = body.packet_id();
  if (is_v5(version)) publish.properties = read_properties(body, Carrier::publish, nullptr);
  const bool may_be_empty =
      publish.topic.empty() && !body.failed() && publish.topic_alias().has_value();
  if (!may_be_empty && !is_topic_name(publish.topic))
    body.refuse("topic name is empty or holds a wildcard [MQTT-3.3.2-2]");
  publish.payload = body.rest();
  return publish;
}

std::string decode_filter(Cursor& body) {
  std::string filter(body.text());
  if (!body.failed() && !is_topic_filter(filter))
    body.refuse("topic filter is empty or misuses a wildcard [MQTT-4.7.1-2] [MQTT-4.7.3-1]");
  return filter;
}

void decode_options(Cursor& body, Version version, Subscribe::Filter& filter) {
  const auto options = body.u8();
  if (!is_v5(version)) {
    filter.qos = options;
    if (filter.qos > 2) body.refuse("requested QoS is not 0, 1 or 2 [MQTT-3-8.3-4]");
    return;
  }
  filter.qos = options & kSubscribeQosMask;
  filter.no_local = (options & kSubscribeNoLocal) != 0;
  filter.retain_as_published = (options & kSubscribeRetainAsPublished) != 0;
  filter.retain_handling =
      static_cast<std::uint8_t>((options & kSubscribeRetainMask) >> kSubscribeRetainShift);
  if (filter.qos > 2 || filter.retain_handling > 2 || (options & kSubscribeReserved) != 0)
    body.refuse("subscription options are not as allowed [MQTT5-3.8.3.1]");
}

Subscribe decode_subscribe(Cursor& body, Version version) {
  Subscribe subscribe{.packet_id = body.packet_id()};
  if (is_v5(version)) read_properties(body, Carrier::subscribe, &subscribe.properties);
  if (body.at_end()) body.refuse("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]");
  while (!body.at_end()) {
    Subscribe::Filter filter{.topic = decode_filter(body)};
    decode_options(body, version, filter);
    subscribe.filters.push_back(std::move(filter));
  }
  return subscribe;
}

Suback decode_suback(Cursor& body, Version version) {
  Suback suback{.packet_id = body.packet_id()};
  if (is_v5(version)) read_properties(body, Carrier::suback, &suback.properties);
  if (body.at_end()) body.refuse("SUBACK without a return code (section 3.9.3)");
  while (!body.at_end()) {
    const auto code = body.u8();
    const bool is_allowed =
        is_v5(version) ? is_suback_reason(code) : code <= 2 || code == kSubscribeFailure;
    if (!is_allowed) body.refuse("reserved return code [MQTT-3.9.3-2]");
    suback.codes.push_back(code);
  }
  return suback;
}

Unsubscribe decode_unsubscribe(Cursor& body, Version version) {
  Unsubscribe unsubscribe{.packet_id = body.packet_id()};
  if (is_v5(version)) read_properties(body, Carrier::unsubscribe, &unsubscribe.properties);
  if (body.at_end()) body.refuse("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]");
  while (!body.at_end()) unsubscribe.topics.push_back(decode_filter(body));
  return unsubscribe;
}

Unsuback decode_unsuback(Cursor& body, Version version) {
  Unsuback unsuback{.packet_id = body.packet_id()};
  if (!is_v5(version)) return unsuback;
  read_properties(body, Carrier::unsuback, &unsuback.properties);
  if (body.at_end()) body.refuse("UNSUBACK without a reason code [MQTT5-3.11.3-1]");
  while (!body.at_end()) unsuback.reasons.push_back(decode_reason(body, is_unsuback_reason));
  return unsuback;
}

Disconnect decode_disconnect(Cursor& body, Version version) {
  Disconnect disconnect;
  if (is_v5(version))
    decode_reason_and_properties(body, disconnect, Carrier::disconnect, is_disconnect_reason);
  return disconnect;
}

Auth decode_auth(Cursor& body) {
  Auth auth;
  decode_reason_and_properties(body, auth, Carrier::auth, [](std::uint8_t code) {
    return code == 0 || code == kAuthContinue || code == kAuthAgain;
  });
  return auth;
}

bool may_send(Sender sender, PacketType type, Version version) {
  switch (type) {
    case PacketType::connect:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
    case PacketType::pingreq:
      return sender == Sender::client;
    case PacketType::disconnect:
      return sender == Sender::client || is_v5(version);
    case PacketType::connack:
    case PacketType::suback:
    case PacketType::unsuback:
    case PacketType::pingresp:
      return sender == Sender::server;
    default:
      return true;
  }
}

PacketView decode_body(PacketType type, std::uint8_t flags, Version version, Cursor& body) {
  switch (type) {
    case PacketType::connect:
      return decode_connect(body);
    case PacketType::connack:
      return decode_connack(body, version);
    case PacketType::publish:
      return decode_publish(body, flags, version);
    case PacketType::puback:
      return decode_acknowledgement<Puback>(body, version, is_acknowledgement_reason);
    case PacketType::pubrec:
      return decode_acknowledgement<Pubrec>(body, version, is_acknowledgement_reason);
    case PacketType::pubrel:
      return decode_acknowledgement<Pubrel>(body, version, is_release_reason);
    case PacketType::pubcomp:
      return decode_acknowledgement<Pubcomp>(body, version, is_release_reason);
    case PacketType::subscribe:
      return decode_subscribe(body, version);
    case PacketType::suback:
      return decode_suback(body, version);
    case PacketType::unsubscribe:
      return decode_unsubscribe(body, version);
    case PacketType::unsuback:
      return decode_unsuback(body, version);
    case PacketType::pingreq:
      return Pingreq{};
    case PacketType::pingresp:
      return Pingresp{};
    case PacketType::disconnect:
      return decode_disconnect(body, version);
    case PacketType::auth:
      break;
  }
  return decode_auth(body);
}

}  // namespace

std::uint32_t Connect::session_expiry_s() const {
  if (!is_v5()) return clean_session ? 0 : kSessionNeverExpires;
  return properties.number(PropertyId::session_expiry_interval).value_or(0);
}

bool is_known_protocol(const Connect& connect) {
  return connect.protocol_name == "MQTT" &&
         (connect.protocol_level == static_cast<std::uint8_t>(Version::v3_1_1) || connect.is_v5());
}

std::optional<std::uint16_t> PublishView::topic_alias() const {
  const auto alias = find_number(properties, PropertyId::topic_alias);
  if (!alias) return std::nullopt;
  return static_cast<std::uint16_t>(*alias);
}

Properties PublishView::owned_properties() const {
  return take_apart(properties, Carrier::publish);
}

Publish PublishView::to_owned() const {
  return {.dup = dup,
          .qos = qos,
          .retain = retain,
          .topic = std::string(topic),
          .packet_id = packet_id,
          .payload = std::string(payload),
          .properties = owned_properties()};
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
  const auto header = decode_fixed_header(input, version_);
  if (header.needs_more()) return NeedMore{};
  if (header.is_malformed()) return Malformed{header.reason()};

  // Judged from the header alone, so that nobody makes us buffer what we will refuse.
  if (!may_send(sender_, header->type, version_))
    return Malformed{"this side never sends such a packet"};
  const std::size_t size = header->size + header->remaining_length;
  if (size > packet_bytes_max_) return Malformed{kPacketTooLarge};
  if (input.size() < size) return NeedMore{};

  Cursor body(input.substr(header->size, header->remaining_length));
  DecodedPacket decoded{.packet = decode_body(header->type, header->flags, version_, body),
                        .consumed = size};
  if (!body.at_end()) body.refuse("bytes are left over behind the last field");
  if (body.failed()) return Malformed{body.error()};
  return decoded;
}

}  // namespace doppel::mqtt
