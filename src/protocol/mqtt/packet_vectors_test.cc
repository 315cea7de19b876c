// Bytes made by mqtt-packet, the encoder under Azure's Node SDKs (tests/vectors/make_mqtt.mjs): we
// read them as they were meant, and write the same bytes.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/mqtt/packet_reader.h"
#include "protocol/mqtt/packet_writer.h"
#include "protocol/mqtt/vectors_testing.h"

namespace doppel::mqtt {
namespace {

using testing::read_vectors;
using testing::text;

std::string payload_text(std::string_view bytes) {
  return bytes.size() > 1000 ? fmt::format("x*{}", bytes.size()) : text(bytes);
}

struct Describe {
  std::string operator()(const Connect& p) const {
    auto out = fmt::format("connect level={} protocol={} clean={:d} keep_alive={} client={}",
                           p.protocol_level, text(p.protocol_name), p.clean_session, p.keep_alive_s,
                           text(p.client_id));
    if (p.will)
      out += fmt::format(" will={} will_payload={} will_qos={} will_retain={:d}",
                         text(p.will->topic), text(p.will->payload), p.will->qos, p.will->retain);
    if (p.user_name) out += " user=" + text(*p.user_name);
    if (p.password) out += " password=" + text(*p.password);
    return out;
  }
  std::string operator()(const Connack& p) const {
    return fmt::format("connack code={} session={:d}", static_cast<int>(p.code), p.session_present);
  }
  std::string operator()(const Publish& p) const {
    return fmt::format("publish qos={} dup={:d} retain={:d} id={} topic={} payload={}", p.qos,
                       p.dup, p.retain, p.packet_id, text(p.topic), payload_text(p.payload));
  }
  std::string operator()(const Subscribe& p) const {
    auto out = fmt::format("subscribe id={}", p.packet_id);
    for (const auto& f : p.filters) out += fmt::format(" filter={},{}", text(f.topic), f.qos);
    return out;
  }
  std::string operator()(const Suback& p) const {
    auto out = fmt::format("suback id={}", p.packet_id);
    for (const auto code : p.codes) out += fmt::format(" code={}", code);
    return out;
  }
  std::string operator()(const Unsubscribe& p) const {
    auto out = fmt::format("unsubscribe id={}", p.packet_id);
    for (const auto& topic : p.topics) out += " topic=" + text(topic);
    return out;
  }
  std::string operator()(const Puback& p) const { return fmt::format("puback id={}", p.packet_id); }
  std::string operator()(const Pubrec& p) const { return fmt::format("pubrec id={}", p.packet_id); }
  std::string operator()(const Pubrel& p) const { return fmt::format("pubrel id={}", p.packet_id); }
  std::string operator()(const Pubcomp& p) const {
    return fmt::format("pubcomp id={}", p.packet_id);
  }
  std::string operator()(const Unsuback& p) const {
    return fmt::format("unsuback id={}", p.packet_id);
  }
  std::string operator()(Pingreq) const { return "pingreq"; }
  std::string operator()(Pingresp) const { return "pingresp"; }
  std::string operator()(const Disconnect&) const { return "disconnect"; }
  std::string operator()(const Auth&) const { return "auth"; }
};

TEST(PacketVectorsTest, ReadsAndWritesWhatMqttPacketWrites) {
  const auto vectors = read_vectors("tests/vectors/mqtt.txt");
  ASSERT_GE(vectors.size(), 40U);
  for (const auto& vector : vectors) {
    auto decoded = PacketReader(vector.sender).next(vector.bytes);
    ASSERT_TRUE(decoded.has_value()) << vector.name;
    EXPECT_EQ(decoded->consumed, vector.bytes.size()) << vector.name;
    const auto packet = std::move(*decoded).to_owned();
    EXPECT_EQ(std::visit(Describe{}, packet), vector.meaning) << vector.name;
    std::string again;
    append(again, packet);
    EXPECT_EQ(hex_encode(again), hex_encode(vector.bytes)) << vector.name;
  }
}

TEST(PacketVectorsTest, APacketIsWholeExactlyWhenItsLastByteIsThere) {
  for (const auto& vector : read_vectors("tests/vectors/mqtt.txt")) {
    const PacketReader reader(vector.sender);
    const std::string_view bytes = vector.bytes;
    const std::size_t step = bytes.size() > 1000 ? 97 : 1;
    for (std::size_t size = 0; size < bytes.size(); size += step)
      EXPECT_TRUE(reader.next(bytes.substr(0, size)).needs_more()) << vector.name << " " << size;
    const auto followed = reader.next(vector.bytes + vector.bytes);
    ASSERT_TRUE(followed.has_value()) << vector.name;
    EXPECT_EQ(followed->consumed, bytes.size()) << vector.name;
  }
}

}  // namespace
}  // namespace doppel::mqtt
