#include "json/value.h"

#include <gtest/gtest.h>

#include "json/number.h"

namespace doppel::json {
namespace {

std::string round_trip(std::string_view text) {
  auto value = parse(text);
  return value ? write(*value) : "refused: " + value.error().message;
}

// Twin values and telemetry must come back as they were sent.
TEST(JsonNumbers, ComeBackWithTheSameValue) {
  for (const std::string_view text : {"0",
                                      "-1",
                                      "22.75",
                                      "0.1",
                                      "-0.0",
                                      "1.0",
                                      "21.5",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "100000000000000000000",
                                      "-9223372036854775809",
                                      "123456789012345678901234567890",
                                      "3.141592653589793238462643",
                                      "0.30000000000000004",
                                      "123456789.123456",
                                      "0.00000012345",
                                      "1e+300",
                                      "1e400",
                                      "-1e-400",
                                      "0.10000000000000001",
                                      "999999999999999.0",
                                      "100000000000000000000.0",
                                      "2.2250738585072014e-308",
                                      "5e-324",
                                      "1.7976931348623157e+308",
                                      "1e9999999",
                                      "98765432109876544.0"}) {
    EXPECT_EQ(round_trip(text), text);
    EXPECT_EQ(round_trip("[" + std::string(text) + ",true]"), "[" + std::string(text) + ",true]");
    EXPECT_EQ(round_trip("{\"padding\":\"" + std::string(40, 'x') + "\",\"n\":" +
                         std::string(text) + ",\"after\":\"" + std::string(40, 'y') + "\"}"),
              "{\"padding\":\"" + std::string(40, 'x') + "\",\"n\":" + std::string(text) +
                  ",\"after\":\"" + std::string(40, 'y') + "\"}");
  }
}

TEST(JsonNumbers, AreWrittenWithoutExponentsWherePeopleReadThem) {
  EXPECT_EQ(round_trip("1e5"), "100000.0");
  EXPECT_EQ(round_trip("2.275E1"), "22.75");
  EXPECT_EQ(round_trip("1E0"), "1.0");
  EXPECT_EQ(round_trip("1.50"), "1.5");
  EXPECT_EQ(round_trip("-0"), "-0.0");
  EXPECT_EQ(round_trip("1e20"), "100000000000000000000.0");
  EXPECT_EQ(round_trip("1e21"), "1e+21");
  EXPECT_EQ(round_trip("0.0000001"), "0.0000001");
  EXPECT_EQ(round_trip("1e-8"), "1e-08");
}

TEST(JsonNumbers, TheKindIsWhatItHolds) {
  EXPECT_TRUE(parse("5")->is_int64());
  EXPECT_TRUE(parse("18446744073709551615")->is_uint64());
  EXPECT_TRUE(parse("5.0")->is_double());
  const auto huge = *parse("100000000000000000000");
  EXPECT_TRUE(is_number(huge));
  EXPECT_FALSE(is_string(huge));
  EXPECT_EQ(number_text(huge), "100000000000000000000");
  EXPECT_EQ(to_double(huge), 1e20);
  EXPECT_EQ(to_int64(huge), std::nullopt);
  EXPECT_EQ(to_int64(*parse("5")), 5);
  EXPECT_EQ(to_int64(*parse("5.0")), 5);
  EXPECT_EQ(to_int64(*parse("9223372036854775807.0")), INT64_MAX);
  EXPECT_EQ(to_int64(*parse("9223372036854775808")), std::nullopt);
  EXPECT_EQ(to_int64(*parse("5.5")), std::nullopt);
  EXPECT_EQ(to_int64(*parse("\"5\"")), std::nullopt);
}

TEST(JsonNumbers, CompareByValue) {
  EXPECT_TRUE(equal(*parse("1"), *parse("1.0")));
  EXPECT_TRUE(equal(*parse("1"), *parse("10e-1")));
  EXPECT_TRUE(equal(*parse("0"), *parse("-0.0")));
  EXPECT_TRUE(equal(*parse("1e400"), *parse("10e399")));
  EXPECT_TRUE(equal(*parse("100000000000000000000"), *parse("100000000000000000000.0")));
  EXPECT_FALSE(equal(*parse("100000000000000000000"), *parse("100000000000000000001")));
  EXPECT_FALSE(equal(*parse("9007199254740993"), *parse("9007199254740992.0")));
  EXPECT_FALSE(equal(*parse("1"), *parse("-1")));
  EXPECT_FALSE(equal(*parse("1"), *parse("\"1\"")));
  EXPECT_TRUE(equal_decimals("0.00120", "12e-4"));
  EXPECT_TRUE(equal_decimals("1200", "1.2e3"));
  EXPECT_FALSE(equal_decimals("12", "1.2"));
}

TEST(JsonEqual, IgnoresTheOrderOfMembersButNotOfElements) {
  EXPECT_TRUE(
      equal(*parse(R"({"a":1,"b":[1,{"c":null}]})"), *parse(R"({"b":[1,{"c":null}],"a":1})")));
  EXPECT_FALSE(equal(*parse("[1,2]"), *parse("[2,1]")));
  EXPECT_FALSE(equal(*parse(R"({"a":1})"), *parse(R"({"a":1,"b":2})")));
  EXPECT_FALSE(equal(*parse(R"({"a":null})"), *parse(R"({"b":null})")));
}

TEST(JsonParse, KeepsTheOrderOfMembersAndTheLastOfARepeatedName) {
  EXPECT_EQ(round_trip(R"( { "z" : 1, "a" : [ ] , "m":{}, "z":2 } )"), R"({"z":2,"a":[],"m":{}})");
}

TEST(JsonParse, RefusesWhatIsNotExactlyOneDocument) {
  for (
      const std::string_view text :
      {"",       " ",        "{",    "[1,]",  "{\"a\":1,}",    "{'a':1}",  "01",  "+1",   "1.",
       ".5",     "1e",       "-",    "nul",   "NaN",           "Infinity", "1 2", "{} x", "// c\n1",
       "\"\t\"", "\"\x01\"", "[1]]", "\"abc", "\xEF\xBB\xBF{}"}) {
    const auto value = parse(text);
    ASSERT_FALSE(value.has_value()) << text;
    EXPECT_EQ(value.error().code, Code::invalid_argument);
  }
}

TEST(JsonParse, RefusesTextThatIsNotUtf8AndHalfSurrogates) {
  for (const std::string_view text :
       {"\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF5\x80\x80\x80\"", "\"\xE2\x82\"",
        "{\"\xFF\":1}", R"("\ud800")", R"("\udc00")", R"("\ud800A")", R"("\ud800x")"}) {
    EXPECT_FALSE(parse(text).has_value()) << text;
  }
  EXPECT_EQ(round_trip(R"("\ud83d\ude00")"), "\"\xF0\x9F\x98\x80\"");
}

TEST(JsonParse, HasLimits) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') + "1" +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_TRUE(parse(nested(32)).has_value());
  EXPECT_FALSE(parse(nested(33)).has_value());
  EXPECT_FALSE(parse(nested(1'000'000)).has_value());
  EXPECT_TRUE(parse(nested(2), {.depth_max = 2}).has_value());
  EXPECT_EQ(parse("[1,2,3]", {.size_max = 6}).error().code, Code::too_large);
  EXPECT_TRUE(parse("[1,2,3]", {.size_max = 7}).has_value());
}

TEST(JsonWrite, EscapesWhatJsonAndOldScriptsCannotTake) {
  const auto value =
      *parse(R"({"a\"b":"\\ \/ \b\f\n\r\t \u0000 \u001f \u007f \u2028 \u2029 \u20ac"})");
  EXPECT_EQ(write(value),
            "{\"a\\\"b\":\"\\\\ / \\b\\f\\n\\r\\t \\u0000 \\u001f \x7F \\u2028 \\u2029 "
            "\xE2\x82\xAC\"}");
}

TEST(JsonWrite, PrettyTextIsForPeople) {
  EXPECT_EQ(
      write_pretty(*parse(R"({"a":[1,{"b":null}],"c":{},"d":[]})")),
      "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}");
}

TEST(JsonFind, KnowsMembersAndTheirKinds) {
  const auto value = *parse(R"({"Name":"x","n":1e400})");
  EXPECT_EQ(find_string(value, "Name"), "x");
  EXPECT_EQ(find_string(value, "n"), std::nullopt);
  EXPECT_EQ(find_string(value, "name"), std::nullopt);
  EXPECT_EQ(get_string_or(value, "name", "none"), "none");
  ASSERT_NE(find_ignoring_case(value, "NAME"), nullptr);
  EXPECT_EQ(find_ignoring_case(value, "other"), nullptr);
  EXPECT_EQ(find(Value(1), "a"), nullptr);
}

}  // namespace
}  // namespace doppel::json
