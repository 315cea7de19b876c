#include "protocol/websocket/frame.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace doppel::websocket {
namespace {

std::string bytes(std::string_view hex) { return hex_decode(hex).value(); }

// Everything a reader says about `input` given in pieces, as text.
std::string read(Sender sender, std::string input, std::size_t piece = std::string::npos,
                 std::uint64_t frame_bytes_max = kFrameBytesMax) {
  FrameReader reader(sender, frame_bytes_max);
  std::string said;
  std::string data;
  std::string buffer;
  const auto flush = [&] {
    if (!data.empty()) said += "data(" + std::exchange(data, {}) + ")";
  };
  for (std::size_t at = 0; at < input.size(); at += std::min(piece, input.size())) {
    buffer += input.substr(at, piece);
    for (;;) {
      const auto event = reader.next(buffer);
      if (event.kind == EventKind::data) data += event.payload;
      if (event.kind != EventKind::data && event.kind != EventKind::needs_more) flush();
      if (event.kind == EventKind::ping) said += "ping(" + std::string(event.payload) + ")";
      if (event.kind == EventKind::pong) said += "pong(" + std::string(event.payload) + ")";
      if (event.kind == EventKind::close)
        said += "close(" + std::to_string(static_cast<int>(event.code)) +
                std::string(event.reason) + ")";
      if (event.kind == EventKind::failed)
        said += "failed(" + std::to_string(static_cast<int>(event.code)) + ")";
      buffer.erase(0, event.consumed);
      if (event.kind == EventKind::needs_more || event.kind == EventKind::failed) break;
    }
  }
  flush();
  return said;
}

// RFC 6455 section 5.7, the text examples turned into binary ones.
TEST(FrameReaderTest, ReadsTheExamplesOfTheSpecification) {
  EXPECT_EQ(read(Sender::server, bytes("820548656c6c6f")), "data(Hello)");
  EXPECT_EQ(read(Sender::client, bytes("828537fa213d7f9f4d5158")), "data(Hello)");
  EXPECT_EQ(read(Sender::server, bytes("020348656c80026c6f")), "data(Hello)");
  EXPECT_EQ(read(Sender::server, bytes("890548656c6c6f")), "ping(Hello)");
  EXPECT_EQ(read(Sender::client, bytes("8a8537fa213d7f9f4d5158")), "pong(Hello)");
}

TEST(FrameReaderTest, SaysTheSameHoweverTheBytesArrive) {
  std::string input;
  append_frame(input, Opcode::binary, std::string(300, 'a'), 0x01020304);
  append_frame(input, Opcode::binary, "", 0x01020304);
  append_frame(input, Opcode::ping, "are you there", 0xFFEEDDCC);
  append_frame(input, Opcode::binary, std::string(70'000, 'b'), 0xA1B2C3D4);
  append_close(input, CloseCode::normal, "bye", 0x0A0B0C0D);
  const auto whole = read(Sender::client, input);
  EXPECT_EQ(whole, "data(" + std::string(300, 'a') + ")ping(are you there)data(" +
                       std::string(70'000, 'b') + ")close(1000bye)");
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 1000U})
    EXPECT_EQ(read(Sender::client, input, piece), whole) << piece;
}

TEST(FrameReaderTest, TakesControlFramesBetweenFragments) {
  EXPECT_EQ(read(Sender::server, bytes("0201"
                                       "61"
                                       "8900"
                                       "0001"
                                       "62"
                                       "8001"
                                       "63")),
            "data(a)ping()data(bc)");
}

TEST(FrameReaderTest, RefusesWhatTheSpecificationForbids) {
  const std::pair<const char*, int> bad[] = {
      {"820161", 1002},  // a client's frame without mask
      {"c28100000000"
       "61",
       1002},  // reserved bit
      {"838100000000"
       "61",
       1002},                  // reserved data opcode
      {"8b8000000000", 1002},  // reserved control opcode
      {"818100000000"
       "61",
       1003},                      // text
      {"098000000000", 1002},      // fragmented ping
      {"89fe007e00000000", 1002},  // ping of 126 bytes
      {"808100000000"
       "61",
       1002},  // continuation of nothing
      {"028100000000"
       "61"
       "828100000000",
       1002},                                  // a message inside another
      {"82fe007d00000000", 1002},              // 125 in 16 bits
      {"82ff000000000000ffff00000000", 1002},  // 65535 in 64 bits
      {"82ff800000000000000000000000", 1009},  // the highest bit
      {"82ff000000000100000100000000", 1009},  // one byte over the limit
      {"888100000000"
       "03",
       1002},  // half a close code
      {"888200000000"
       "03ed",
       1002},  // 1005 is never on the wire
      {"888200000000"
       "03e7",
       1002},  // 999
      {"888200000000"
       "1388",
       1002},  // 5000
      {"888300000000"
       "03e8ff",
       1007},  // reason is not UTF-8
  };
  for (const auto& [hex, code] : bad) {
    const auto expected = "failed(" + std::to_string(code) + ")";
    EXPECT_TRUE(read(Sender::client, bytes(hex), 1).ends_with(expected)) << hex;
    EXPECT_TRUE(read(Sender::client, bytes(hex)).ends_with(expected)) << hex;
  }
  EXPECT_EQ(read(Sender::server, bytes("828100000000"
                                       "61")),
            "failed(1002)");
}

TEST(FrameReaderTest, ReadsNothingAfterAClose) {
  EXPECT_EQ(read(Sender::client, bytes("888000000000"
                                       "828100000000"
                                       "61")),
            "close(1005)");
}

TEST(FrameWriterTest, CutsAReasonAtACharacter) {
  std::string reason = std::string(122, 'a') + "\xC3\xBC";
  std::string out;
  append_close(out, CloseCode::policy_violation, reason);
  EXPECT_EQ(read(Sender::server, out), "close(1008" + std::string(122, 'a') + ")");
}

}  // namespace
}  // namespace doppel::websocket
