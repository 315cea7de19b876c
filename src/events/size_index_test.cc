#include "events/size_index.h"

#include <gtest/gtest.h>

namespace doppel::events {
namespace {

constexpr SequenceNumber at(std::uint64_t value) { return {value}; }

// `count` events of `bytes` each.
void add(SizeIndex& index, std::uint64_t count, std::size_t bytes) {
  for (std::uint64_t i = 0; i < count; ++i) index.add(index.next(), bytes);
}

TEST(SizeIndexTest, KeepsAllThatFits) {
  SizeIndex index(1000, at(7));
  add(index, 10, 100);
  EXPECT_EQ(index.fit(), at(7));
  EXPECT_EQ(index.bytes(), 1000u);
  EXPECT_EQ(index.next(), at(17));
}

TEST(SizeIndexTest, ForgetsTheOldestAsFarAsItMust) {
  SizeIndex index(1000, at(0));
  add(index, 25, 100);
  EXPECT_EQ(index.fit(), at(15));
  EXPECT_EQ(index.bytes(), 1000u);
  add(index, 1, 100);
  EXPECT_EQ(index.fit(), at(16));
}

// A chunk goes as a whole: up to a hundredth less than the limit is kept.
TEST(SizeIndexTest, KeepsNoMoreThanTheLimitAndLittleLess) {
  SizeIndex index(1'000'000, at(0));
  for (int round = 0; round < 50; ++round) {
    add(index, 1000, 97);
    const auto first = index.fit();
    const auto kept = (index.next().value - first.value) * 97;
    EXPECT_EQ(kept, index.bytes());
    EXPECT_LE(kept, 1'000'000u);
    if (round > 20) EXPECT_GE(kept, 985'000u);
  }
}

TEST(SizeIndexTest, TakesOffWhatRetentionByTimeForgot) {
  SizeIndex index(1000, at(0));
  add(index, 10, 100);
  index.forget_before(at(4));
  EXPECT_EQ(index.bytes(), 600u);
  add(index, 4, 100);
  EXPECT_EQ(index.fit(), at(4));
}

TEST(SizeIndexTest, NeverForgetsTheNewestEvents) {
  SizeIndex index(1000, at(0));
  add(index, 3, 5000);
  EXPECT_EQ(index.fit(), at(2));
}

}  // namespace
}  // namespace doppel::events
