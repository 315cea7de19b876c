#include "base/encoding.h"

#include <gtest/gtest.h>

namespace doppel {
namespace {

// RFC 4648 section 10.
TEST(EncodingTest, Base64FollowsTheVectorsOfItsRfc) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base64_encode(plain), coded);
    EXPECT_EQ(base64_decode(coded), plain);
  }
}

TEST(EncodingTest, Base64RefusesWhatIsNotItsOwnForm) {
  for (const char* bad : {"Zg", "Zg=", "Zg===", "Z===", "Zm9v\n", "Zm 9", "Zh==", "====", "Zm-_"})
    EXPECT_FALSE(base64_decode(bad)) << bad;
  EXPECT_EQ(base64url_decode("-_8"), "\xFB\xFF");
}

TEST(EncodingTest, PercentDecodingKeepsPlusAndRefusesHalfEscapes) {
  EXPECT_EQ(percent_decode("a%2Fb+c%20d"), "a/b+c d");
  EXPECT_FALSE(percent_decode("%2"));
  EXPECT_FALSE(percent_decode("%zz"));
  EXPECT_EQ(percent_encode("a/b c~\xC3\xBC"), "a%2Fb%20c~%C3%BC");
}

TEST(EncodingTest, Utf8RefusesOverlongSurrogatesAndTruncation) {
  EXPECT_TRUE(is_valid_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"));
  for (const char* bad :
       {"\xC0\xAF", "\xED\xA0\x80", "\xE2\x82", "\xF4\x90\x80\x80", "\xFF", "\x80"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(EncodingTest, HexBothWays) {
  EXPECT_EQ(hex_encode(std::string("\0\xAB", 2)), "00ab");
  EXPECT_EQ(hex_decode("00AB"), std::string("\0\xAB", 2));
  EXPECT_FALSE(hex_decode("0"));
  EXPECT_FALSE(hex_decode("0g"));
}

}  // namespace
}  // namespace doppel
