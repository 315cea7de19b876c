// Packets of MQTT 5: bytes made by mqtt-packet (tests/vectors/make_mqtt5.mjs), and what is refused
// (OASIS MQTT Version 5.0).
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_writer.h"
#include "protocol/mqtt/reason.h"
#include "protocol/mqtt/vectors_testing.h"

namespace doppel::mqtt {
namespace {

using testing::read_vectors;
using testing::text;

PacketReader reader_for(Sender sender) {
  return PacketReader(sender, kPacketBytesMax, Version::v5);
}

std::string text(const Properties& properties, char prefix = 'p') {
  std::string out;
  for (const auto& property : properties) {
    const auto id = static_cast<std::uint8_t>(property.id);
    switch (find_rule(id)->kind) {
      case PropertyKind::text:
      case PropertyKind::binary:
        out += fmt::format(" {}{}={}", prefix, id, text(property.text));
        break;
      case PropertyKind::pair:
        out += fmt::format(" {}{}={}:{}", prefix, id, text(property.text), text(property.value));
        break;
      default:
        out += fmt::format(" {}{}={}", prefix, id, property.number);
    }
  }
  return out;
}

// The description that make_mqtt5.mjs writes, made from what we decoded.
struct Describe {
  std::string operator()(const Connect& p) const {
    auto out = fmt::format("connect clean={:d} keep_alive={} client={}", p.clean_session,
                           p.keep_alive_s, text(p.client_id));
    if (p.will) {
      out += fmt::format(" will={} will_payload={} will_qos={} will_retain={:d}",
                         text(p.will->topic), text(p.will->payload), p.will->qos, p.will->retain);
      out += text(p.will->properties, 'w');
    }
    if (p.user_name) out += " user=" + text(*p.user_name);
    if (p.password) out += " password=" + text(*p.password);
    return out + text(p.properties);
  }
  std::string operator()(const Connack& p) const {
    return fmt::format("connack reason={} session={:d}", static_cast<int>(p.reason),
                       p.session_present) +
           text(p.properties);
  }
  std::string operator()(const Publish& p) const {
    return fmt::format("publish qos={} dup={:d} retain={:d} id={} topic={} payload={}", p.qos,
                       p.dup, p.retain, p.packet_id, text(p.topic), text(p.payload)) +
           text(p.properties);
  }
  std::string operator()(const Subscribe& p) const {
    auto out = fmt::format("subscribe id={}", p.packet_id);
    for (const auto& f : p.filters)
      out += fmt::format(" filter={},{},{:d},{:d},{}", text(f.topic), f.qos, f.no_local,
                         f.retain_as_published, f.retain_handling);
    return out + text(p.properties);
  }
  std::string operator()(const Suback& p) const {
    auto out = fmt::format("suback id={}", p.packet_id);
    for (const auto code : p.codes) out += fmt::format(" code={}", code);
    return out + text(p.properties);
  }
  std::string operator()(const Unsubscribe& p) const {
    auto out = fmt::format("unsubscribe id={}", p.packet_id);
    for (const auto& topic : p.topics) out += " topic=" + text(topic);
    return out + text(p.properties);
  }
  std::string operator()(const Unsuback& p) const {
    auto out = fmt::format("unsuback id={}", p.packet_id);
    for (const auto reason : p.reasons) out += fmt::format(" code={}", static_cast<int>(reason));
    return out + text(p.properties);
  }
  std::string operator()(const Puback& p) const { return acknowledgement("puback", p); }
  std::string operator()(const Pubrec& p) const { return acknowledgement("pubrec", p); }
  std::string operator()(const Pubrel& p) const { return acknowledgement("pubrel", p); }
  std::string operator()(const Pubcomp& p) const { return acknowledgement("pubcomp", p); }
  std::string operator()(Pingreq) const { return "pingreq"; }
  std::string operator()(Pingresp) const { return "pingresp"; }
  std::string operator()(const Disconnect& p) const {
    return fmt::format("disconnect reason={}", static_cast<int>(p.reason)) + text(p.properties);
  }
  std::string operator()(const Auth& p) const {
    return fmt::format("auth reason={}", static_cast<int>(p.reason)) + text(p.properties);
  }

  template <class P>
  static std::string acknowledgement(std::string_view name, const P& p) {
    return fmt::format("{} id={} reason={}", name, p.packet_id, static_cast<int>(p.reason)) +
           text(p.properties);
  }
};

TEST(PacketV5Test, ReadsAndWritesWhatMqttPacketWrites) {
  const auto vectors = read_vectors("tests/vectors/mqtt5.txt");
  ASSERT_GE(vectors.size(), 30U);
  for (const auto& vector : vectors) {
    auto decoded = reader_for(vector.sender).next(vector.bytes);
    ASSERT_TRUE(decoded.has_value())
        << vector.name << " " << (decoded.is_malformed() ? decoded.reason() : "short");
    EXPECT_EQ(decoded->consumed, vector.bytes.size()) << vector.name;
    const auto packet = std::move(*decoded).to_owned();
    EXPECT_EQ(std::visit(Describe{}, packet), vector.meaning) << vector.name;
    std::string again;
    append(again, packet, Version::v5);
    // Success without properties may be left out, and we leave it out.
    if (!vector.name.ends_with("-ok")) {
      EXPECT_EQ(hex_encode(again), hex_encode(vector.bytes)) << vector.name;
    }
    const auto once_more = reader_for(vector.sender).next(again);
    ASSERT_TRUE(once_more.has_value()) << vector.name;
  }
}

TEST(PacketV5Test, APacketIsWholeExactlyWhenItsLastByteIsThere) {
  for (const auto& vector : read_vectors("tests/vectors/mqtt5.txt")) {
    const auto reader = reader_for(vector.sender);
    const std::string_view bytes = vector.bytes;
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_TRUE(reader.next(bytes.substr(0, size)).needs_more()) << vector.name << " " << size;
  }
}

// A CONNECT says itself which version it is; a reader that waits for one of 3.1.1 takes it too.
TEST(PacketV5Test, AConnectOfVersion5NeedsNoWordBefore) {
  const auto bytes = hex_decode("101200044d5154540502003c0000056465762d31").value();
  const auto decoded = PacketReader(Sender::client).next(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_TRUE(std::get<Connect>(decoded->packet).is_v5());
  EXPECT_TRUE(is_known_protocol(std::get<Connect>(decoded->packet)));
}

TEST(PacketV5Test, TheShortestFormsMeanSuccess) {
  for (const auto* hex : {"40020001", "4003000100", "400400010000", "e000", "e00100", "e0020000"}) {
    const auto bytes = hex_decode(hex).value();
    const auto decoded = reader_for(Sender::client).next(bytes);
    ASSERT_TRUE(decoded.has_value()) << hex;
    std::visit(
        []<class P>(const P& packet) {
          if constexpr (requires { packet.reason; }) {
            EXPECT_EQ(packet.reason, Reason::success);
          }
        },
        decoded->packet);
  }
}

TEST(PacketV5Test, SessionsAreKeptAsTheClientSays) {
  Connect connect{.protocol_name = "MQTT"};
  EXPECT_EQ(connect.session_expiry_s(), 0u);
  connect.clean_session = false;
  EXPECT_EQ(connect.session_expiry_s(), kSessionNeverExpires);
  // Of version 5 the flag tells of the start only.
  connect.protocol_level = 5;
  EXPECT_EQ(connect.session_expiry_s(), 0u);
  connect.properties.add(PropertyId::session_expiry_interval, 7);
  EXPECT_EQ(connect.session_expiry_s(), 7u);
}

TEST(PacketV5Test, RefusesWhatTheSpecificationForbids) {
  struct Case {
    const char* hex;
    const char* why;
  };
  // PUBLISH: topic "t", then properties, then the payload.
  constexpr Case kCases[] = {
      {"30050001740158", "a property that is none"},
      {"3006000174020102", "payload format 2"},
      {"300600017402"
       "2401",
       "maximum QoS in PUBLISH"},
      {"30080001740401000100", "payload format twice"},
      {"300400017405", "properties run past the end"},
      {"30060001740326"
       "0001",
       "user property cut short"},
      {"3009000174060300"
       "02c328",
       "content type is no UTF-8"},
      {"300900017405"
       "0bffffffff",
       "subscription identifier of five bytes"},
      {"3006000174020b00", "subscription identifier 0"},
      {"3003000000", "no topic and no alias"},
      {"3008000174ffffffff7f", "a length of five bytes"},
      {"101800044d5154540502003c06210000"
       "2100"
       "0000056465762d31",
       "receive maximum 0"},
      {"82060001000001"
       "61",
       "subscription without options"},
      {"820700010000016103", "QoS 3"},
      {"820700010000016130", "retain handling 3"},
      {"820700010000016140", "reserved option"},
      {"82030001"
       "00",
       "no filter"},
      {"4003000101", "PUBACK with a reason of others"},
      {"4003000010", "packet id 0"},
      {"62030001"
       "80",
       "PUBREL refused with a reason it cannot have"},
      {"e00101", "DISCONNECT with granted QoS 1"},
      {"e0060005"
       "2600016100",
       "a property cut short"},
      {"f00101", "AUTH with a reason it cannot have"},
      {"f100", "flags of AUTH"},
      {"e100", "flags of DISCONNECT"},
  };
  for (const auto& [hex, why] : kCases) {
    const auto bytes = hex_decode(hex).value();
    const auto decoded = reader_for(Sender::client).next(bytes);
    EXPECT_TRUE(decoded.is_malformed()) << why << ": " << hex;
  }
  // A server's.
  for (const auto* hex : {"2003010200", "2003018700",
                          "b0030001"
                          "00",
                          "b004000100"
                          "01",
                          "9004000100"
                          "03"}) {
    const auto bytes = hex_decode(hex).value();
    EXPECT_TRUE(reader_for(Sender::server).next(bytes).is_malformed()) << hex;
  }
}

// What version 5 added is no packet of 3.1.1.
TEST(PacketV5Test, AReaderOfVersion311KnowsNothingOfIt) {
  for (const auto* hex : {"f000", "4003000100", "e00100", "3003000000"}) {
    const auto bytes = hex_decode(hex).value();
    EXPECT_TRUE(PacketReader(Sender::client).next(bytes).is_malformed()) << hex;
  }
  EXPECT_TRUE(PacketReader(Sender::server).next(std::string("\xe0\x00", 2)).is_malformed());
  // The server may leave with a word since version 5.
  EXPECT_TRUE(reader_for(Sender::server).next(std::string("\xe0\x00", 2)).has_value());
}

TEST(PacketV5Test, ATopicAliasIsFoundWithoutTakingTheRestApart) {
  const auto bytes = hex_decode(
                         "3015"
                         "000174"
                         "10"
                         "2600016b000176"
                         "0300016a"
                         "2300ff"
                         "0101"
                         "78")
                         .value();
  const auto decoded = reader_for(Sender::client).next(bytes);
  ASSERT_TRUE(decoded.has_value());
  const auto& publish = std::get<PublishView>(decoded->packet);
  EXPECT_EQ(publish.topic_alias(), 255);
  EXPECT_EQ(publish.owned_properties().size(), 4u);
  EXPECT_EQ(publish.payload, "x");
}

TEST(PacketV5Test, CodesOfBothVersionsSayTheSame) {
  for (const auto code :
       {ConnectReturn::accepted, ConnectReturn::unacceptable_protocol_version,
        ConnectReturn::identifier_rejected, ConnectReturn::server_unavailable,
        ConnectReturn::bad_user_name_or_password, ConnectReturn::not_authorized}) {
    EXPECT_EQ(to_connect_return(to_reason(code)), code);
    EXPECT_TRUE(is_connack_reason(static_cast<std::uint8_t>(to_reason(code))));
  }
  EXPECT_EQ(to_text(Reason::session_taken_over), "Session taken over");
}

}  // namespace
}  // namespace doppel::mqtt
