#include "protocol/mqtt/text_rules.h"

#include <string>

#include <gtest/gtest.h>

namespace doppel::mqtt {
namespace {

TEST(TextRulesTest, FindsBadBytesAtEveryPositionOfALongText) {
  const std::string good = "devices/d/messages/events/%24.mid=1";
  EXPECT_TRUE(is_valid_text(good));
  EXPECT_TRUE(is_valid_text(""));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char bad : {'\0', '\x80', '\xFF'}) {
      auto text = good;
      text[i] = bad;
      EXPECT_FALSE(is_valid_text(text)) << i;
    }
    auto text = good;
    text.insert(i, "\xF0\x9F\x98\x80");
    EXPECT_TRUE(is_valid_text(text)) << i;
    EXPECT_TRUE(is_valid_text(good.substr(0, i)));
  }
  EXPECT_TRUE(is_valid_text("\x01\x7F"));
}

TEST(TextRulesTest, FiltersKeepWildcardsToWholeLevels) {
  for (const auto* good : {"a", "#", "+", "/", "a/#", "+/a/+", "/+", "a//b", "$iothub/#"})
    EXPECT_TRUE(is_topic_filter(good)) << good;
  for (const auto* bad : {"", "a#", "#/a", "a/#/b", "a+", "+a/b", "++", "##"})
    EXPECT_FALSE(is_topic_filter(bad)) << bad;
}

// The examples of section 4.7.
TEST(TextRulesTest, MatchesAsTheSpecificationShows) {
  for (const auto& [filter, topic, expected] :
       {std::tuple{"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/#", "sport", true},
        {"#", "a/b", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/a", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"$SYS/#", "$SYS/a", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"a", "a/b", false},
        {"a/b", "a", false},
        {"ACCOUNTS", "Accounts", false}})
    EXPECT_EQ(matches_filter(filter, topic), expected) << filter << " " << topic;
}

}  // namespace
}  // namespace doppel::mqtt
