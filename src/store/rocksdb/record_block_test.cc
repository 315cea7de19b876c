#include "store/rocksdb/record_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::store {
namespace {

using ::testing::ElementsAre;

constexpr TimePoint kTime{std::chrono::seconds(1'800'000'000)};

std::string block_of(std::vector<std::string> records, std::uint64_t last) {
  BlockWriter writer;
  auto sequence = last + 1 - records.size();
  for (const auto& record : records) writer.add(7, {sequence++}, record);
  return std::string(writer.head(kTime)) + std::string(writer.records());
}

// "12=abc"; "damaged" in place of a record that is not there.
std::vector<std::string> read(std::string_view value, std::uint64_t last) {
  auto block = BlockReader::open(value, {last});
  if (!block) return {"no block"};
  std::vector<std::string> lines;
  while (!block->at_end()) {
    const auto sequence = block->sequence();
    const auto record = block->next();
    if (!record) {
      lines.push_back("damaged");
      break;
    }
    lines.push_back(std::to_string(sequence.value) + "=" + std::string(*record));
  }
  return lines;
}

TEST(RecordBlockTest, YieldsWhatWasPutIn) {
  const std::string large(300, 'x');
  EXPECT_THAT(read(block_of({"a", "", large}, 12), 12), ElementsAre("10=a", "11=", "12=" + large));
  EXPECT_THAT(read(block_of({"only"}, 0), 0), ElementsAre("0=only"));
  EXPECT_EQ(BlockReader::open(block_of({"a"}, 3), {3})->enqueued(), kTime);
}

// 1,800,000,000 s are 0x18FAE27693B40000 ns; the rest is written out by hand from the header.
TEST(RecordBlockTest, HasTheBytesThatTheHeaderDescribes) {
  const std::string expected(
      "\x98\xFA\xE2\x76\x93\xB4\x00\x00\x02\x01"
      "a\x02"
      "bc",
      14);
  EXPECT_EQ(block_of({"a", "bc"}, 1), expected);
}

TEST(RecordBlockTest, ReadsARecordOfFormat1) {
  const std::string stored("\x18\xFA\xE2\x76\x93\xB4\x00\x00record", 14);
  EXPECT_THAT(read(stored, 5), ElementsAre("5=record"));
  EXPECT_EQ(BlockReader::open(stored, {5})->enqueued(), kTime);
}

TEST(RecordBlockTest, IsFullBeforeItGetsLargeAndHoldsOneStream) {
  BlockWriter writer;
  const std::string half(kBlockBytesMax / 2, 'x');
  EXPECT_TRUE(writer.takes(7, std::string(kBlockBytesMax * 2, 'x')));
  writer.add(7, {0}, half);
  EXPECT_TRUE(writer.takes(7, "small"));
  EXPECT_FALSE(writer.takes(8, "small"));
  EXPECT_FALSE(writer.takes(7, half + half));
  writer.clear();
  EXPECT_TRUE(writer.takes(8, half));
}

TEST(RecordBlockTest, FindsDamageInsteadOfReadingOn) {
  const auto whole = block_of({"abc", "defg"}, 9);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto lines = read(whole.substr(0, size), 9);
    EXPECT_THAT(lines.back(), ::testing::AnyOf("no block", "damaged")) << size;
  }
  EXPECT_THAT(read(block_of({"a", "b"}, 1), 0), ElementsAre("no block"));  // begins before 0
  auto many = whole;
  many[8] = '\x7F';
  EXPECT_THAT(read(many, 1000), ElementsAre("no block"));
}

}  // namespace
}  // namespace doppel::store
