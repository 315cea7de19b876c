#include "net/socket_address.h"

#include <gtest/gtest.h>

namespace doppel::net {
namespace {

std::string text_of(const std::string& ip) {
  const auto address = SocketAddress::parse(ip, 8883);
  return address ? address->text() : "none";
}

bool is_loopback(const std::string& ip) {
  return SocketAddress::parse(ip, 1).value().is_loopback();
}

TEST(SocketAddressTest, ReadsAndWritesBothFamilies) {
  EXPECT_EQ(text_of("127.0.0.1"), "127.0.0.1:8883");
  EXPECT_EQ(text_of("0.0.0.0"), "0.0.0.0:8883");
  EXPECT_EQ(text_of("::1"), "[::1]:8883");
  EXPECT_EQ(text_of("2001:db8:0::7"), "[2001:db8::7]:8883");
}

TEST(SocketAddressTest, LooksNothingUp) {
  for (const auto* text : {"", "localhost", "127.0.0.1:80", "[::1]", "1.2.3", "::1%lo"})
    EXPECT_FALSE(SocketAddress::parse(text, 1).has_value()) << text;
}

// What only this machine can reach is judged by it, so the mapped form of a dual-stack socket
// counts.
TEST(SocketAddressTest, KnowsThisMachineInEveryForm) {
  for (const auto* text : {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_loopback(text)) << text;
  for (const auto* text : {"0.0.0.0", "128.0.0.1", "10.0.0.127", "::", "::2", "::ffff:10.0.0.1"})
    EXPECT_FALSE(is_loopback(text)) << text;
}

TEST(SocketAddressTest, ChangesThePortAlone) {
  for (const auto* ip : {"127.0.0.1", "::1"}) {
    auto address = SocketAddress::parse(ip, 1).value();
    EXPECT_EQ(address.port(), 1);
    address.set_port(65535);
    EXPECT_EQ(address.port(), 65535);
    address.set_port(1);
    EXPECT_EQ(address.text(), SocketAddress::parse(ip, 1)->text());
  }
}

}  // namespace
}  // namespace doppel::net
