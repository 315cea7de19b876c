#include "base/time_text.h"

#include <gtest/gtest.h>

namespace doppel {
namespace {

TEST(TimeTextTest, WritesSevenFractionDigits) {
  const auto time = parse_iso8601("2022-08-31T22:02:50.5163352Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_iso8601(*time), "2022-08-31T22:02:50.5163352Z");
  EXPECT_EQ(to_iso8601(TimePoint{}), "1970-01-01T00:00:00.0000000Z");
}

TEST(TimeTextTest, ReadsOffsetsAndAnyFraction) {
  const auto plain = parse_iso8601("2022-08-31T22:02:50Z");
  EXPECT_EQ(parse_iso8601("2022-09-01T00:32:50+02:30"), plain);
  EXPECT_EQ(parse_iso8601("2022-08-31T22:02:50.0000000001Z"), plain);
  EXPECT_EQ(parse_iso8601("2022-08-31T22:02:50.5Z"), *plain + std::chrono::milliseconds(500));
}

TEST(TimeTextTest, RefusesWhatIsNoTime) {
  for (const char* bad : {"", "2022-08-31", "2022-08-31T22:02:50", "2022-02-30T00:00:00Z",
                          "2022-08-31T24:00:00Z", "2022-08-31T22:02:50.Z", "2022-08-31T22:02:50Zx",
                          "9999-08-31T22:02:50Z", "2022-08-31 22:02:50Z"})
    EXPECT_FALSE(parse_iso8601(bad)) << bad;
}

TEST(TimeTextTest, WritesHttpDates) {
  EXPECT_EQ(to_http_date(*parse_iso8601("2017-10-12T19:23:50Z")), "Thu, 12 Oct 2017 19:23:50 GMT");
}

}  // namespace
}  // namespace doppel
