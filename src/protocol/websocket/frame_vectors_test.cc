// Frames made by the ws package (tests/vectors/make_mqtt.mjs).
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/websocket/frame.h"

namespace doppel::websocket {
namespace {

constexpr std::uint32_t kMask = 0xA1B2C3D4;

TEST(FrameVectorsTest, WritesAndReadsWhatWsWrites) {
  std::ifstream file("tests/vectors/websocket.txt");
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    ++count;
    std::istringstream cells(line);
    std::string kind;
    std::string sender;
    std::string hex;
    std::size_t size = 0;
    cells >> kind >> sender >> size >> hex;
    const bool is_client = sender == "client";
    std::string payload;
    for (std::size_t i = 0; i < size; ++i) payload += static_cast<char>(i * 7 + size);
    const auto opcode = kind == "binary" ? Opcode::binary
                        : kind == "ping" ? Opcode::ping
                                         : Opcode::pong;

    std::string ours;
    append_frame(ours, opcode, payload, is_client ? std::optional(kMask) : std::nullopt);
    const auto shown = hex_encode(ours);
    EXPECT_EQ(shown.substr(0, hex.size()), hex) << line;
    EXPECT_TRUE(hex.size() == 64 || shown.size() == hex.size()) << line;

    FrameReader reader(is_client ? Sender::client : Sender::server);
    const auto event = reader.next(ours);
    EXPECT_EQ(event.payload, payload) << line;
    EXPECT_EQ(event.consumed, ours.size()) << line;
  }
  EXPECT_EQ(count, 18U);
}

}  // namespace
}  // namespace doppel::websocket
