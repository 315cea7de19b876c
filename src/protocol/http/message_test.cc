#include "protocol/http/message.h"

#include <gtest/gtest.h>

#include "protocol/http/target.h"

namespace doppel::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(HeadersTest, ComparesNamesWithoutCaseAndKeepsSpellingAndOrder) {
  Headers headers;
  headers.add("iothub-app-A", "1");
  headers.add("X", "2");
  headers.add("IOTHUB-APP-a", "3");
  EXPECT_EQ(headers.find("Iothub-App-a"), "1");
  EXPECT_FALSE(headers.find("iothub-app"));
  EXPECT_EQ(headers.begin()->first, "iothub-app-A");
  headers.set("iothub-app-a", *headers.find("iothub-app-a"));
  EXPECT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers.find("iothub-app-a"), "1");
}

TEST(RequestTest, HostIsWithoutPort) {
  const auto host = [](std::string_view value) {
    Request request;
    request.headers.add("host", value);
    return std::string(request.host());
  };
  EXPECT_EQ(host("localhost"), "localhost");
  EXPECT_EQ(host("hub1.example:8443"), "hub1.example");
  EXPECT_EQ(host("[::1]:8443"), "[::1]");
  EXPECT_EQ(host(""), "");
  EXPECT_EQ(Request().host(), "");
}

TEST(QueryTest, DecodesEscapesAndPlusAndKeepsOrder) {
  EXPECT_EQ(parse_query("api-version=2021-04-12&a=b%26c&a=&d&&=e&f=g+h&i=%2B"),
            (Pairs{{"api-version", "2021-04-12"},
                   {"a", "b&c"},
                   {"a", ""},
                   {"d", ""},
                   {"", "e"},
                   {"f", "g h"},
                   {"i", "+"}}));
  EXPECT_EQ(parse_query("a=50%&b=%zz"), (Pairs{{"a", "50%"}, {"b", "%zz"}}));
  EXPECT_EQ(parse_query(""), Pairs{});
}

TEST(TargetTest, SplitsPathAndQueryAtTheFirstQuestionMark) {
  const auto target = split_target("/a%3Fb?c=?d");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a%3Fb");
  EXPECT_EQ(target->query, "c=?d");
  EXPECT_FALSE(split_target("a/b"));
  EXPECT_FALSE(split_target(""));
  EXPECT_FALSE(split_target("ftp://h/"));
}

}  // namespace
}  // namespace doppel::http
