// What peers send to do harm, and the encodings that no encoder at hand writes.
#include "protocol/amqp/decoder.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "protocol/amqp/encoder.h"
#include "protocol/amqp/testing.h"

namespace doppel::amqp {
namespace {

std::string bytes(std::string_view hex) { return hex_decode(hex).value(); }

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// Both ways over the same bytes must agree: what is passed over is later given to consumers.
void expect_refused(const std::string& input, std::string_view reason) {
  const auto decoded = decode_value(input);
  ASSERT_TRUE(decoded.is_malformed()) << hex_encode(input.substr(0, 64));
  EXPECT_EQ(decoded.reason(), reason) << hex_encode(input.substr(0, 64));
  Decoder in(input);
  in.skip();
  const auto skipped = in.outcome(0);
  ASSERT_TRUE(skipped.is_malformed()) << hex_encode(input.substr(0, 64));
  EXPECT_EQ(skipped.reason(), reason) << hex_encode(input.substr(0, 64));
}

void expect_value(const std::string& input, std::string_view meaning) {
  const auto decoded = decode_value(input, Input::whole);
  ASSERT_TRUE(decoded.has_value()) << hex_encode(input) << ": " << decoded.reason();
  EXPECT_EQ(decoded->consumed, input.size());
  EXPECT_EQ(testing::describe(decoded->value), meaning);
  Decoder in(input, Input::whole);
  in.skip();
  EXPECT_TRUE(in.ok() && in.is_at_end()) << hex_encode(input);
}

TEST(AmqpDecoderTest, ReadsArraysWithSmallItemsAndWithoutItems) {
  expect_value(bytes("e00402540102"), "array<int>[int:1,int:2]");
  expect_value(bytes("e0020040"), "array<null>[]");
  expect_value(bytes("e00100"), "array<null>[]");  // as Python's azure-eventhub writes it
  expect_value(bytes("f00000000400000000"), "array<null>[]");
  expect_value(bytes("e0020345"), "array<list>[[],[],[]]");
  expect_value(bytes("e0060100a3016444"), "array<@symbol:d ulong>[ulong:0]");
  expect_value(bytes("e0080100530100530244"), "array<@ulong:1 @ulong:2 ulong>[ulong:0]");
}

TEST(AmqpDecoderTest, RefusesFormatCodesThatMeanNothing) {
  for (int code = 1; code < 256; ++code) {
    if (type_of(static_cast<FormatCode>(code))) continue;
    expect_refused(static_cast<char>(code) + std::string(16, '\0'), "unknown format code");
  }
  expect_refused(bytes("e0030157ff"), "unknown format code");
}

TEST(AmqpDecoderTest, RefusesSizesAndCountsThatLie) {
  constexpr std::string_view kPast = "a value ends past the end of what holds it";
  constexpr std::string_view kCount = "a count is larger than its bytes";
  constexpr std::string_view kTail = "a list, map or array has bytes past its items";
  expect_refused(bytes("c00002"), kPast);                 // no room for the count
  expect_refused(bytes("d00000000300000000"), kPast);     // nor here
  expect_refused(bytes("c00302c00440"), kPast);           // an inner list past the outer
  expect_refused(bytes("c00401a10561"), kPast);           // an inner string past the list
  expect_refused(bytes("c0020240"), kCount);              // two items in one byte
  expect_refused(bytes("d000000005ffffffff40"), kCount);  // 2^32 - 1 items
  expect_refused(bytes("d100000006fffffffe4040"), kCount);
  expect_refused(bytes("c003014040"), kTail);  // an item that is not counted
  expect_refused(bytes("c10403404040"), "a map has a key without a value");
  expect_refused(bytes("f000000006000000017000"), "an array's size does not suit its count");
  expect_refused(bytes("e003025001"), "an array's size does not suit its count");
  expect_refused(bytes("e003015602"), "a boolean is neither 0 nor 1");
  expect_refused(bytes("5602"), "a boolean is neither 0 nor 1");
}

TEST(AmqpDecoderTest, RefusesItemsWithoutBytesBeyondAFew) {
  constexpr std::string_view kTooMany = "an array has too many items without bytes";
  expect_refused(bytes("f000000005ffffffff40"), kTooMany);  // 2^32 - 1 nulls
  expect_refused(bytes("f000000005ffffffff45"), kTooMany);  // 2^32 - 1 empty lists
  expect_refused(bytes("f0000000050000040141"), kTooMany);
  const auto allowed = decode_value(bytes("f0000000050000040041"));
  ASSERT_TRUE(allowed.has_value());
  EXPECT_EQ(allowed->value.array_if()->items.size(), kZeroWidthItemsMax);

  // Many small ones in one input count together: an array of arrays of 255 nulls each.
  const auto inner = bytes("02ff40");
  std::string items;
  for (int i = 0; i < 100; ++i) items += inner;
  std::string input = bytes("f0");
  append_be(input, static_cast<std::uint32_t>(items.size() + 5));
  append_be(input, std::uint32_t{100});
  input += bytes("e0") + items;
  expect_refused(input, kTooMany);
}

TEST(AmqpDecoderTest, RefusesWhatIsNestedTooDeeply) {
  constexpr std::string_view kTooDeep = "values are nested too deeply";
  const auto nested = [](int depth) {
    Value value;
    for (int i = 0; i < depth; ++i) value = List{{std::move(value)}};
    std::string out;
    append(out, value);
    return out;
  };
  EXPECT_TRUE(decode_value(nested(kNestingMax)).has_value());
  expect_refused(nested(kNestingMax + 1), kTooDeep);
  expect_refused(repeated(bytes("005301"), 100'000) + bytes("40"), kTooDeep);  // described values
  expect_refused(repeated(bytes("00"), 100'000), kTooDeep);                    // descriptors
  std::string arrays;  // each holds the next one
  for (int i = 0; i < 40; ++i) {
    const std::string items = bytes("f0") + (arrays.empty() ? bytes("0000000400000000") : arrays);
    arrays.clear();
    append_be(arrays, static_cast<std::uint32_t>(items.size() + 4));
    append_be(arrays, std::uint32_t{1});
    arrays += items;
  }
  arrays = bytes("f0") + arrays;
  expect_refused(arrays, kTooDeep);
  // The descriptors of one array.
  std::string described = repeated(bytes("005301"), 60) + bytes("40");
  std::string array = bytes("f0");
  append_be(array, static_cast<std::uint32_t>(described.size() + 4));
  append_be(array, std::uint32_t{0});
  expect_refused(array + described, kTooDeep);
}

// 32 lists, each of which claims as many items as bytes are left: what they reserve must not add
// up.
TEST(AmqpDecoderTest, ReservesLittleForCountsThatAreNotTrueYet) {
  std::string input(1'000'000, '\x40');
  for (int i = 0; i < 31; ++i) {
    std::string outer = bytes("d0");
    append_be(outer, static_cast<std::uint32_t>(input.size() + 4));
    append_be(outer, static_cast<std::uint32_t>(input.size()));
    input = outer + input;
  }
  EXPECT_TRUE(decode_value(input).is_malformed());
}

TEST(AmqpDecoderTest, RefusesStringsThatAreNotUtf8) {
  expect_refused(bytes("a101") + "\xff", "a string is not UTF-8");
  expect_refused(bytes("a10c") + "abcdefghijk\xc3", "a string is not UTF-8");
  expect_refused(bytes("a109") + "abcdefgh\xff", "a string is not UTF-8");
  Decoder in(std::string_view("\xa1\x01\xff", 3));
  in.string();
  EXPECT_FALSE(in.ok());
  expect_value(bytes("a103e282ac"), "string:%e2%82%ac");
}

TEST(AmqpDecoderTest, RemembersTheFirstFailureAndMovesNoFurther) {
  const auto input = bytes("5005435205");
  Decoder in(input);
  EXPECT_EQ(in.ubyte(), 5);
  EXPECT_EQ(in.ushort(), 0);  // a uint stands there
  EXPECT_EQ(in.uint(), 0U);
  EXPECT_TRUE(in.string().empty());
  in.skip();
  in.fail("something else");
  const auto outcome = in.outcome(1);
  ASSERT_TRUE(outcome.is_malformed());
  EXPECT_EQ(outcome.reason(), "expected a ushort");
}

TEST(AmqpDecoderTest, ReadsEveryWidthOfANumberButNoOtherType) {
  const auto read = [](std::string_view hex, auto member) {
    const auto input = bytes(hex);
    Decoder in(input, Input::whole);
    const auto value = (in.*member)();
    return in.ok() && in.is_at_end() ? std::optional(value) : std::nullopt;
  };
  EXPECT_EQ(read("43", &Decoder::uint), 0U);
  EXPECT_EQ(read("52ff", &Decoder::uint), 255U);
  EXPECT_EQ(read("7000000001", &Decoder::uint), 1U);
  EXPECT_EQ(read("44", &Decoder::uint), std::nullopt);
  EXPECT_EQ(read("8000000000000000ff", &Decoder::ulong), 255U);
  EXPECT_EQ(read("5307", &Decoder::ulong), 7U);
  EXPECT_EQ(read("44", &Decoder::ulong), 0U);
  EXPECT_EQ(read("54ff", &Decoder::integer), -1);
  EXPECT_EQ(read("71ffffff7f", &Decoder::integer), -129);
  EXPECT_EQ(read("55ff", &Decoder::long_integer), -1);
  EXPECT_EQ(read("81ffffffffffffff7f", &Decoder::long_integer), -129);
  EXPECT_EQ(read("54ff", &Decoder::long_integer), std::nullopt);
  EXPECT_EQ(read("5180", &Decoder::byte), -128);
  EXPECT_EQ(read("618000", &Decoder::short_integer), -32768);
  EXPECT_EQ(read("5601", &Decoder::boolean), true);
  EXPECT_EQ(read("42", &Decoder::boolean), false);
  EXPECT_EQ(read("40", &Decoder::boolean), std::nullopt);
}

}  // namespace
}  // namespace doppel::amqp
