#include "protocol/mqtt/property_bag.h"

#include <gtest/gtest.h>

namespace doppel::mqtt {
namespace {

// The bag that Node's device client sent (docs/wire: seen on the wire), system keys encoded.
TEST(PropertyBagTest, DecodesWhatNodeSends) {
  const auto bag = parse_property_bag(
      "%24.mid=m-0&%24.cid=corr%201&%24.ct=application%2Fjson&%24.ce=utf-8&seq=0&"
      "odd%20name%2F%C3%BC=a%3Db%26c%20d%25");
  ASSERT_TRUE(bag);
  EXPECT_EQ(*bag, (PropertyBag{{"$.mid", "m-0"},
                               {"$.cid", "corr 1"},
                               {"$.ct", "application/json"},
                               {"$.ce", "utf-8"},
                               {"seq", "0"},
                               {"odd name/\xC3\xBC", "a=b&c d%"}}));
}

TEST(PropertyBagTest, TakesTheFourShapesThatEdgeHubTakes) {
  const PropertyBag expected{{"$.mid", "1"}, {"a", "b"}};
  for (const auto* text : {"$.mid=1&a=b", "?$.mid=1&a=b", "$.mid=1&a=b/", "?$.mid=1&a=b/"})
    EXPECT_EQ(parse_property_bag(text), expected) << text;
  for (const auto* text : {"", "?", "/", "&&"}) EXPECT_EQ(parse_property_bag(text), PropertyBag{});
}

TEST(PropertyBagTest, KeepsNullApartFromEmptyAndPlusFromBlank) {
  const auto bag = parse_property_bag("null&empty=&plus=a+b&eq=a=b");
  ASSERT_TRUE(bag);
  EXPECT_EQ((*bag)[0], (Property{"null"}));
  EXPECT_EQ((*bag)[1], (Property{"empty", ""}));
  EXPECT_EQ(*find_property(*bag, "plus"), "a+b");
  EXPECT_EQ(*find_property(*bag, "eq"), "a=b");
  EXPECT_EQ(find_property(*bag, "null"), nullptr);
  EXPECT_EQ(find_property(*bag, "Plus"), nullptr);
}

// The C SDK sends properties as the application gave them unless told to encode.
TEST(PropertyBagTest, ABrokenEscapeStaysAsItIs) {
  EXPECT_EQ(parse_property_bag("humidity=50%&%=b&a=%2&b=%zz%20"),
            (PropertyBag{{"humidity", "50%"}, {"%", "b"}, {"a", "%2"}, {"b", "%zz%20"}}));
}

TEST(PropertyBagTest, RefusesWhatIsNoText) {
  for (const auto* text : {"=b", "a=%FF", "a=%C3", "a=\xFF"})
    EXPECT_FALSE(parse_property_bag(text)) << text;
  std::string many;
  for (std::size_t i = 0; i < kPropertiesMax; ++i) many += "a=b&";
  EXPECT_TRUE(parse_property_bag(many));
  EXPECT_FALSE(parse_property_bag(many + "a=b"));
}

// The C2D topic of a real hub, and what each SDK needs of it (see the header).
TEST(PropertyBagTest, EncodesAsTheHubDoes) {
  EXPECT_EQ(encode_property_bag({{"$.to", "/devices/D/messages/deviceBound"},
                                 {"myKey", "myValue"},
                                 {"null"},
                                 {"a b", "c+d/e&f=g%"}}),
            "%24.to=%2Fdevices%2FD%2Fmessages%2FdeviceBound&myKey=myValue&null=&"
            "a%20b=c%2Bd%2Fe%26f%3Dg%25");
}

}  // namespace
}  // namespace doppel::mqtt
