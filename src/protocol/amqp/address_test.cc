#include "protocol/amqp/address.h"

#include <gtest/gtest.h>

namespace doppel::amqp {
namespace {

// event-hubs.md, fact 3: Node, .NET, Python.
TEST(AddressTest, BringsTheThreeSpellingsOfANodeToOne) {
  EXPECT_EQ(node_of("eh1/Partitions/0"), "eh1/Partitions/0");
  EXPECT_EQ(node_of("/eh1/Partitions/0"), "eh1/Partitions/0");
  EXPECT_EQ(node_of("amqps://host:5671/eh1/Partitions/0"), "eh1/Partitions/0");
  EXPECT_EQ(node_of("$cbs"), "$cbs");
  EXPECT_EQ(node_of("amqps://host"), "");
  EXPECT_EQ(node_of(""), "");
}

TEST(AddressTest, MakesResourcesOfAudiences) {
  EXPECT_EQ(resource_of("sb://Host:5671/eh1/"), "host/eh1");
  EXPECT_EQ(resource_of("amqps%3A%2f%2FHOST%2feh1"), "host/eh1");
  EXPECT_EQ(resource_of("localhost%3A8883%2Fdevices%2Fd1"), "localhost/devices/d1");
  EXPECT_EQ(resource_of("sb://[::1]:5671/Eh"), "[::1]/Eh");
  EXPECT_EQ(resource_of("host"), "host");
  EXPECT_EQ(resource_of("100%"), "100%");
  EXPECT_EQ(resource_of(""), "");
}

TEST(AddressTest, CoversWholeSegmentsWithoutRegardToCase) {
  EXPECT_TRUE(covers("host/eh1", "host/eh1"));
  EXPECT_TRUE(covers("host/eh1", "HOST/EH1/Partitions/0"));
  EXPECT_FALSE(covers("host/eh1", "host/eh10"));
  EXPECT_FALSE(covers("host/eh1", "host"));
  EXPECT_TRUE(covers("", "host"));
}

}  // namespace
}  // namespace doppel::amqp
