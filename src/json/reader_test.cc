#include "json/reader.h"

#include <array>

#include <gtest/gtest.h>

namespace doppel::json {
namespace {

using Kind = Found::Kind;

template <class... Names>
auto path(Names... names) {
  return std::array<PathStep, sizeof...(Names)>{PathStep{.name = names}...};
}

constexpr std::string_view kTelemetry =
    R"({"Temperature":22.75,"id":"a\"b","on":true,"no":null,"list":[1,{"x":2}],"in":{"Name":"n"}})";

TEST(FastDocument, FindsEveryKind) {
  const auto document = FastDocument::parse(kTelemetry);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->find(path("Temperature")).kind, Kind::number);
  EXPECT_EQ(document->find(path("Temperature")).number, 22.75);
  EXPECT_EQ(document->find(path("id")).text, "a\"b");
  EXPECT_TRUE(document->find(path("on")).boolean);
  EXPECT_EQ(document->find(path("no")).kind, Kind::null);
  EXPECT_EQ(document->find(path("list")).kind, Kind::array);
  EXPECT_EQ(document->find(path("in")).kind, Kind::object);
  EXPECT_EQ(document->find({}).kind, Kind::object);
  EXPECT_EQ(document->find(path("in", "Name")).text, "n");
  EXPECT_EQ(document->find(path("in", "name")).kind, Kind::missing);
  EXPECT_EQ(document->find(path("IN", "name"), NameCase::ignored).text, "n");
  EXPECT_EQ(document->find(path("list", "x")).kind, Kind::missing);
  const std::array<PathStep, 3> second{
      PathStep{.name = "list"}, PathStep{.index = 1, .is_index = true}, PathStep{.name = "x"}};
  EXPECT_EQ(document->find(second).number, 2);
  EXPECT_EQ(write(*document->value(path("in"))), R"({"Name":"n"})");
}

TEST(FastDocument, KeepsNumbersExactWhenAskedForTheValue) {
  const auto text = [](std::string_view number) {
    const std::string body = "{\"n\":" + std::string(number) + "}";
    const auto document = FastDocument::parse(body);
    EXPECT_TRUE(document.has_value()) << number;
    return document ? write(*document->value(path("n"))) : "";
  };
  for (const std::string_view number :
       {"22.75", "-0.0", "0", "5", "100000000000000000000", "22.750000000000000001",
        "0.30000000000000004", "18446744073709551615", "1e400", "1.2345678901234e-320"}) {
    EXPECT_EQ(text(number), number);
  }
  EXPECT_EQ(text("-0"), "-0.0");
}

TEST(FastDocument, RefusesWhatTheParserRefuses) {
  std::string deepest(32, '[');
  deepest += "1" + std::string(32, ']');
  EXPECT_TRUE(FastDocument::parse(deepest).has_value());
  const std::string deeper = "[" + deepest + "]";
  const std::string large_and_deep = deeper + std::string(100'000, ' ');
  for (const std::string_view text :
       {std::string_view(R"({"Temperature":22)"), std::string_view(R"({"a":1 "b":2})"),
        std::string_view(""), std::string_view("{} {}"), std::string_view(R"(["\udc00"])"),
        std::string_view("[\"\xFF\"]"), std::string_view("[01]"), std::string_view(deeper),
        std::string_view(large_and_deep)}) {
    EXPECT_FALSE(FastDocument::parse(text).has_value()) << text.substr(0, 40);
    EXPECT_FALSE(json::parse(text).has_value()) << text.substr(0, 40);
  }
}

TEST(FastDocument, TheLastOfARepeatedNameCountsAsInTheParser) {
  const auto document = FastDocument::parse(R"({"a":1,"A":2,"a":3,"A":4})");
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->find(path("a")).number, 3);
  EXPECT_EQ(document->find(path("a"), NameCase::ignored).number, 3);
}

TEST(FastDocument, SeveralMayBeAliveAndTheirParsersAreUsedAgain) {
  for (int round = 0; round < 3; ++round) {
    auto first = FastDocument::parse(R"({"a":"one"})");
    auto second = FastDocument::parse(R"({"a":"two"})");
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->find(path("a")).text, "one");
    EXPECT_EQ(second->find(path("a")).text, "two");
    first = std::move(second);
    EXPECT_EQ(first->find(path("a")).text, "two");
  }
}

}  // namespace
}  // namespace doppel::json
