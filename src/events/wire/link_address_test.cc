#include "events/wire/link_address.h"

#include <gtest/gtest.h>

namespace doppel::events {
namespace {

TEST(LinkAddress, TakesTheAddressesOfSendersAndReceivers) {
  EXPECT_EQ(parse_address("eh1")->event_hub, "eh1");
  EXPECT_EQ(parse_address("eh1/Partitions/3")->partition, 3u);
  EXPECT_EQ(parse_address("eh1/publishers/p")->publisher, "p");
  const auto receiver = parse_address("eh1/consumergroups/$default/partitions/12");
  ASSERT_TRUE(receiver);
  EXPECT_EQ(receiver->consumer_group, "$default");
  EXPECT_EQ(receiver->partition, 12u);
  EXPECT_TRUE(parse_address("eh1/$management")->is_management);
}

TEST(LinkAddress, RefusesAnythingElse) {
  for (const auto* bad : {"", "/", "eh1/x", "eh1/Partitions", "eh1/Partitions/x",
                          "eh1/Partitions/-1", "eh1/Partitions/0/more", "eh1/Publishers/",
                          "eh1/ConsumerGroups//x", "eh1/Partitions/99999999999"})
    EXPECT_FALSE(parse_address(bad)) << bad;
}

amqp::Map filter_with(amqp::Value descriptor, std::string_view selector) {
  amqp::Map map;
  map.add_symbol("apache.org:selector-filter:string",
                 amqp::Described{.descriptor = std::move(descriptor), .value = selector});
  return map;
}

// Node, .NET and Python describe the same filter in three ways.
TEST(LinkAddress, TakesTheFilterUnderEveryDescriptor) {
  for (const amqp::Value& descriptor :
       {amqp::Value(std::uint64_t{0x0000468C00000004}),
        amqp::Value(std::uint64_t{0x000001370000000A}),
        amqp::Value(amqp::Symbol("apache.org:selector-filter:string"))}) {
    const auto map = filter_with(descriptor, "amqp.annotation.x-opt-offset >= '12345'");
    const auto position = parse_filter(&map);
    ASSERT_TRUE(position);
    EXPECT_EQ(position->kind, Position::Kind::sequence);
    EXPECT_TRUE(position->is_inclusive);
    EXPECT_EQ(position->value, 12345);
  }
  EXPECT_EQ(parse_filter(nullptr)->kind, Position::Kind::earliest);
}

TEST(LinkAddress, ReadsPositionsQuotedAndBare) {
  EXPECT_EQ(parse_selector("amqp.annotation.x-opt-offset > '@latest'")->kind,
            Position::Kind::latest);
  EXPECT_EQ(parse_selector("amqp.annotation.x-opt-offset > @latest")->kind, Position::Kind::latest);
  EXPECT_EQ(parse_selector("amqp.annotation.x-opt-offset > -1")->kind, Position::Kind::earliest);
  const auto time = parse_selector("amqp.annotation.x-opt-enqueued-time > 1700000000000");
  EXPECT_EQ(time->kind, Position::Kind::time);
  EXPECT_EQ(time->value, 1'700'000'000'000);
  EXPECT_FALSE(time->is_inclusive);
}

TEST(LinkAddress, RefusesPositionsItDoesNotUnderstand) {
  for (const auto* bad :
       {"", "x", "amqp.annotation.x-opt-offset", "amqp.annotation.x-opt-offset > ''",
        "amqp.annotation.x-opt-offset > '1' OR 1 = 1", "amqp.annotation.x-opt-offset < '1'",
        "amqp.annotation.x-opt-offset > '-2'", "amqp.annotation.else > '1'",
        "amqp.annotation.x-opt-sequence-number > '99999999999999999999'"})
    EXPECT_FALSE(parse_selector(bad)) << bad;
}

}  // namespace
}  // namespace doppel::events
