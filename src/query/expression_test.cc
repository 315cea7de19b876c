#include <gtest/gtest.h>

#include "query/condition.h"
#include "query/evaluate.h"
#include "query/twin_query.h"

namespace doppel::query {
namespace {

std::string tree(std::string_view condition) {
  const auto parsed = parse_twin_condition(condition);
  return parsed ? describe(parsed->expression()) : parsed.error().message;
}

TEST(Precedence, BindsAsTheHeaderSays) {
  EXPECT_EQ(tree("a = 1 OR b = 2 AND NOT c = 3"), "(OR (= a 1) (AND (= b 2) (NOT (= c 3))))");
  EXPECT_EQ(tree("(a = 1 or b = 2) and c"), "(AND (OR (= a 1) (= b 2)) c)");
  EXPECT_EQ(tree("a + b * -c - 2 < 7 % 4"), "(< (- (+ a (* b (neg c))) 2) (% 7 4))");
  EXPECT_EQ(tree("a < 1 = b < 2"), "(= (< a 1) (< b 2))");
  EXPECT_EQ(tree("a - b - c"), "(- (- a b) c)");
  EXPECT_EQ(tree("NOT NOT a"), "(NOT (NOT a))");
  EXPECT_EQ(tree("a AND b AND c OR d"), "(OR (AND a b c) d)");
  EXPECT_EQ(tree("a IN ['x', -1, null] AND b NIN [1]"),
            R"((AND (IN a (list "x" -1 null)) (NIN b (list 1))))");
  EXPECT_EQ(tree("'x' IN tags.list AND 1 NOT IN [2]"),
            R"((AND (IN "x" tags.list) (NIN 1 (list 2))))");
  EXPECT_EQ(tree("a <> 0x1F"), "(!= a 31)");
  EXPECT_EQ(tree("-9007199254740993 = a"), "(= -9007199254740993 a)");
}

TEST(Precedence, OfRoutingHasConcatenationAndDefaults) {
  const auto routing = [](std::string_view text) {
    const auto parsed = parse_condition(text);
    return parsed ? describe(parsed->expression()) : parsed.error().message;
  };
  EXPECT_EQ(routing("a || b = 'x' \?\? c = 'y' AND d = 'z'"),
            R"((?? (= (|| a b) "x") (AND (= c "y") (= d "z"))))");
  EXPECT_EQ(routing("NOT a = 'x' /* said\n twice */ OR $body.a[0].b-c > 1"),
            R"((OR (NOT (= a "x")) (> $body.a[0].b-c 1)))");
  EXPECT_EQ(routing("$iothub-creation-time-utc >= 'x' and {$userId} = 'y'"),
            R"((AND (>= $iothub-creation-time-utc "x") (= $userId "y")))");
}

TEST(Paths, HaveIndexesEscapesAndQualifiers) {
  const auto parsed = parse_twin_condition("devices.configurations.[[deploy-1.x]].list[2].STATUS");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  const auto& path = parsed->expression().path;
  ASSERT_EQ(path.steps.size(), 5u);
  EXPECT_EQ(path.steps[0].name, "configurations");
  EXPECT_EQ(path.steps[1].name, "deploy-1.x");
  EXPECT_EQ(path.steps[2].name, "list");
  EXPECT_TRUE(path.steps[3].is_index);
  EXPECT_EQ(path.steps[3].index, 2u);
  EXPECT_EQ(path.steps[4].name, "STATUS");
}

// What a row without anything makes of an expression of constants.
std::string result(std::string_view condition) {
  const auto parsed = parse_twin_condition(condition);
  if (!parsed) return parsed.error().message;
  const json::Value document(json::Object{});
  const JsonRow row(document);
  Evaluator evaluator(row);
  const auto value = to_json(evaluator.evaluate(parsed->expression()));
  return value ? json::write(*value) : "undefined";
}

TEST(Logic, HasThreeValues) {
  for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, const char*>>{
           {"true AND true", "true"},   {"true AND false", "false"},   {"true AND x", "undefined"},
           {"false AND x", "false"},    {"x AND false", "false"},      {"x AND x", "undefined"},
           {"true OR x", "true"},       {"x OR true", "true"},         {"false OR x", "undefined"},
           {"false OR false", "false"}, {"NOT x", "undefined"},        {"NOT false", "true"},
           {"1 AND true", "undefined"}, {"'a' OR false", "undefined"}, {"NOT null", "undefined"},
           {"x = 1", "undefined"},      {"x != 1", "undefined"},       {"x = x", "undefined"},
           {"x IN [1]", "undefined"},   {"x NIN [1]", "undefined"},    {"1 = '1'", "undefined"},
           {"1 != '1'", "undefined"},   {"null = null", "true"},       {"1 = null", "false"},
           {"1 != null", "true"},       {"null < 1", "undefined"},     {"true > false", "true"},
           {"'b' > 'a'", "true"},       {"'B' = 'b'", "false"},        {"1 = 1.0", "true"},
           {"is_defined(x)", "false"},  {"is_null(x)", "false"},       {"is_null(null)", "true"},
           {"is_primitive(1)", "true"}, {"1 IN [2, 1.0]", "true"},     {"'a' NIN ['b']", "true"},
           {"null IN [null]", "true"},  {"1 IN 'text'", "undefined"}}) {
    EXPECT_EQ(result(text), expected) << text;
  }
}

TEST(Arithmetic, IsUndefinedWhereItMeansNothing) {
  EXPECT_EQ(result("1 + 2 * 3"), "7");
  EXPECT_EQ(result("7 % 4 - -1"), "4");
  EXPECT_EQ(result("1 / 4"), "0.25");
  EXPECT_EQ(result("1 / 0"), "undefined");
  EXPECT_EQ(result("1 % 0"), "undefined");
  EXPECT_EQ(result("'a' + 1"), "undefined");
  EXPECT_EQ(result("-x"), "undefined");
  EXPECT_EQ(result("1e308 * 10"), "undefined");
}

TEST(Numbers, BeyondDoublesCompareExactly) {
  EXPECT_EQ(result("9007199254740993 = 9007199254740992"), "false");
  EXPECT_EQ(result("9007199254740993 > 9007199254740992"), "true");
  EXPECT_EQ(result("100000000000000000000 = 100000000000000000001"), "false");
  EXPECT_EQ(result("100000000000000000000 < 100000000000000000001"), "undefined");
  EXPECT_EQ(result("100000000000000000000 = 100000000000000000000"), "true");
}

// Everything a peer can make deep or long ends in an error, never in the stack.
TEST(Limits, HoldForDepthLengthAndLists) {
  const auto repeat = [](std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  EXPECT_TRUE(tree(repeat("(", 60) + "a" + repeat(")", 60)) == "a");
  EXPECT_TRUE(tree(repeat("(", 4000) + "a").contains("nested too deeply"));
  EXPECT_TRUE(tree(repeat("NOT ", 2000) + "a").contains("nested too deeply"));
  EXPECT_TRUE(tree(repeat("-", 4000) + "a").contains("nested too deeply"));
  EXPECT_TRUE(tree(repeat("is_null(", 1000) + "a").contains("nested too deeply"));
  EXPECT_TRUE(tree("1" + repeat("+1", 200)).contains("nested too deeply"));
  EXPECT_TRUE(tree("a" + repeat(".a", 40)).contains("too many steps"));
  EXPECT_TRUE(parse_twin_condition("a" + repeat(" OR a", 1600)).has_value());
  EXPECT_EQ(parse_twin_condition(repeat(" ", 8192) + "a").error().code, Code::too_large);
  EXPECT_TRUE(parse_twin_condition("a IN [1" + repeat(",1", 4000) + "]").has_value());
}

TEST(Errors, NameTheLineTheColumnAndTheWord) {
  EXPECT_EQ(tree("a =\n  AND b"), "line 2, column 3: a name or a value is expected near 'AND'");
  EXPECT_EQ(tree("a = 'x"), "line 1, column 5: this string has no end");
  EXPECT_EQ(tree("\xC3\xA9 = ("),
            "line 1, column 6: a name, a value or '(' is expected, but the text ends");
  EXPECT_EQ(tree("a b"), "line 1, column 3: an operator or the end is expected near 'b'");
  EXPECT_EQ(tree("a = 1)"), "line 1, column 6: an operator or the end is expected near ')'");
  EXPECT_EQ(tree("nope(1)"), "line 1, column 1: there is no function 'nope'");
  EXPECT_EQ(tree("is_null()"), "line 1, column 9: is_null takes at least 1 arguments near ')'");
  EXPECT_EQ(tree("is_null(1, 2)"), "line 1, column 12: is_null takes at most 1 arguments near '2'");
  EXPECT_EQ(tree("a IN []"), "line 1, column 7: the list of IN is empty near ']'");
  EXPECT_EQ(tree("a IN [b]"), "line 1, column 7: the list of IN has constants only");
  EXPECT_EQ(tree("12ab = 1"), "line 1, column 3: a number cannot be followed by a name");
  EXPECT_EQ(tree("a = 1e999"), "line 1, column 5: this number is too large");
  EXPECT_EQ(tree("a = '\\q'"), "line 1, column 6: there is no such escape in a string");
  EXPECT_EQ(tree("a ; b"), "line 1, column 3: the character ';' has no meaning here");
  EXPECT_EQ(tree("a[x]"), "line 1, column 3: the index of an element is expected near 'x'");
  EXPECT_EQ(tree("\xFF"), "a query must be UTF-8");
}

TEST(Strings, HaveEscapes) {
  EXPECT_EQ(result(R"('it\'s "\u00e9\ud83d\ude00" \\ it''s')"),
            "\"it's \\\"\xC3\xA9\xF0\x9F\x98\x80\\\" \\\\ it's\"");
  EXPECT_EQ(result(R"("a'b""c")"), R"("a'b\"c")");
  EXPECT_TRUE(result(R"('\ud83d')").contains("half a surrogate pair"));
  EXPECT_TRUE(result(R"('\u12')").contains("four hexadecimal digits"));
}

}  // namespace
}  // namespace doppel::query
