#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/recent_writes.h"

namespace doppel::store {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::Optional;

TEST(KeyTest, SortsPartByPart) {
  EXPECT_LT(key({"a", "z"}), key({"ab", "a"}));
  EXPECT_LT(key({"a"}), key({"a", ""}));
  EXPECT_LT(key({"a", "b"}), key({"a\0"s, "b"}));
  EXPECT_LT(key({"a\0"s}), key({"a\1"s}));
  EXPECT_LT(key({number_part(9)}), key({number_part(10)}));
}

TEST(KeyTest, ComesApartIntoItsParts) {
  EXPECT_THAT(split_key(key({"hub", "", "dev\0ice"s, "\xFF\x01"})),
              Optional(ElementsAre("hub", "", "dev\0ice"s, "\xFF\x01")));
  EXPECT_THAT(split_key(""), Optional(ElementsAre()));
}

TEST(KeyTest, RefusesWhatIsNoKey) {
  EXPECT_EQ(split_key("abc"), std::nullopt);
  EXPECT_EQ(split_key("abc\0"s), std::nullopt);
  EXPECT_EQ(split_key("abc\0\2"s), std::nullopt);
  EXPECT_EQ(split_key("a\0\1b"s), std::nullopt);
}

TEST(KeyTest, AfterPrefixIsTheFirstKeyBeyondIt) {
  const auto prefix = key({"a"});
  EXPECT_GT(after_prefix(prefix), key({"a", "\xFF\xFF\xFF"}));
  EXPECT_LT(after_prefix(prefix), key({"a\0"s}));
  EXPECT_EQ(after_prefix("a\xFF"), "b");
  EXPECT_EQ(after_prefix("\xFF\xFF"), "");
}

TEST(StreamNameTest, IsTheSameForTheSameText) {
  const StreamName name = "some stream";
  EXPECT_EQ(name, StreamName(std::string("some stream")));
  EXPECT_EQ(name.number(), StreamName("some stream").number());
  EXPECT_NE(name, StreamName("another stream"));
  EXPECT_EQ(name.view(), "some stream");
  EXPECT_EQ(StreamName().view(), "");
}

TEST(RecentWritesTest, KnowsWhoWroteSince) {
  RecentWrites recent(16);
  recent.note("a", CommitVersion{5});
  EXPECT_TRUE(recent.written_since("a", CommitVersion{4}));
  EXPECT_FALSE(recent.written_since("a", CommitVersion{5}));
  EXPECT_FALSE(recent.written_since("b", CommitVersion{0}));
}

TEST(RecentWritesTest, CallsWhatItHasForgottenAConflict) {
  RecentWrites recent(4);
  for (std::uint64_t i = 1; i <= 10; ++i) recent.note("key " + std::to_string(i), CommitVersion{i});
  // 7 to 10 are remembered; before version 6 anything may have happened to any key.
  EXPECT_TRUE(recent.written_since("never", CommitVersion{5}));
  EXPECT_FALSE(recent.written_since("never", CommitVersion{6}));
  EXPECT_TRUE(recent.written_since("key 7", CommitVersion{6}));
  EXPECT_FALSE(recent.written_since("key 7", CommitVersion{7}));
}

// Removal moves other keys' slots; a key that got lost there would let a stale decision through.
TEST(RecentWritesTest, FindsEveryRememberedKeyWhileOldOnesLeave) {
  constexpr std::uint64_t kCapacity = 64;
  RecentWrites recent(kCapacity);
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    recent.note("key " + std::to_string(i % 150), CommitVersion{i});
    for (std::uint64_t back = 0; back < std::min(i, kCapacity); ++back) {
      const auto last = i - back;
      const auto name = "key " + std::to_string(last % 150);
      ASSERT_TRUE(recent.written_since(name, CommitVersion{last - 1}));
      ASSERT_FALSE(recent.written_since(name, CommitVersion{last}));
    }
  }
}

TEST(RecentWritesTest, ResetForgetsAllAndRaisesTheFloor) {
  RecentWrites recent(4);
  recent.note("a", CommitVersion{3});
  recent.reset(CommitVersion{2});
  EXPECT_FALSE(recent.written_since("a", CommitVersion{2}));
  EXPECT_TRUE(recent.written_since("a", CommitVersion{1}));
}

}  // namespace
}  // namespace doppel::store
