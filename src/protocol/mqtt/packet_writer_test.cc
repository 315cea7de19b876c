#include "protocol/mqtt/packet_writer.h"

#include <gtest/gtest.h>

#include "protocol/mqtt/packet_reader.h"

namespace doppel::mqtt {
namespace {

template <class T>
std::string encode(const T& packet) {
  std::string out;
  append(out, packet);
  return out;
}

// Decodes one packet and gives its bytes anew.
std::string again(Sender sender, const std::string& bytes) {
  auto decoded = PacketReader(sender).next(bytes);
  EXPECT_TRUE(decoded.has_value()) << (decoded.is_malformed() ? decoded.reason() : "needs more");
  if (!decoded.has_value()) return {};
  EXPECT_EQ(decoded->consumed, bytes.size());
  return encode(std::move(*decoded).to_owned());
}

TEST(PacketWriterTest, EveryClientPacketReadsBackAsItWasWritten) {
  const Connect connect{.protocol_name = "MQTT",
                        .clean_session = false,
                        .keep_alive_s = 180,
                        .client_id = "dev",
                        .will = Will{.topic = "t", .payload = std::string("\0x", 2), .qos = 1},
                        .user_name = "hub/dev/?api-version=2021-04-12",
                        .password = "SharedAccessSignature sr=x"};
  const Packet packets[] = {connect,
                            Publish{.topic = "a/b", .payload = "x"},
                            Publish{.dup = true, .qos = 1, .topic = "a", .packet_id = 65535},
                            Puback{7},
                            Pubrec{8},
                            Pubrel{9},
                            Pubcomp{10},
                            Subscribe{.packet_id = 1, .filters = {{"a/#", 1}, {"+/b", 0}}},
                            Unsubscribe{.packet_id = 2, .topics = {"a/#", "b"}},
                            Pingreq{},
                            Disconnect{}};
  for (const auto& packet : packets) {
    const auto bytes = encode(packet);
    EXPECT_EQ(again(Sender::client, bytes), bytes) << packet.index();
  }
}

TEST(PacketWriterTest, EveryServerPacketReadsBackAsItWasWritten) {
  const Packet packets[] = {Connack{.session_present = true},
                            Connack{.code = ConnectReturn::not_authorized},
                            Publish{.qos = 1, .topic = "$dps/x", .packet_id = 1, .payload = "{}"},
                            Puback{1},
                            Suback{.packet_id = 1, .codes = {0, 1, kSubscribeFailure}},
                            Unsuback{2},
                            Pingresp{}};
  for (const auto& packet : packets) {
    const auto bytes = encode(packet);
    EXPECT_EQ(again(Sender::server, bytes), bytes) << packet.index();
  }
}

// Section 2.2.3, table 2.4: where the length takes one byte more.
TEST(PacketWriterTest, RemainingLengthGrowsAtTheStepsOfTheSpecification) {
  for (const auto& [remaining, header_size] :
       {std::pair{127U, 2U}, {128U, 3U}, {16383U, 3U}, {16384U, 4U}, {300000U, 4U}}) {
    const auto bytes = encode(Publish{.topic = "t", .payload = std::string(remaining - 3, 'x')});
    EXPECT_EQ(bytes.size(), header_size + remaining);
    EXPECT_EQ(again(Sender::client, bytes), bytes);
  }
}

}  // namespace
}  // namespace doppel::mqtt
