#include "twins/dtdl/schema.h"

#include <gtest/gtest.h>

#include "twins/dtdl/time_values.h"

namespace doppel::twins::dtdl {
namespace {

bool fits(std::string_view term, std::string_view value) {
  return dtdl::fits(*primitive_schema(term), json::parse(value).value());
}

TEST(SchemaTest, TakesTheJsonKindsThatTheLanguageNames) {
  EXPECT_TRUE(fits("boolean", "true"));
  EXPECT_FALSE(fits("boolean", "1"));
  EXPECT_FALSE(fits("boolean", "\"true\""));
  EXPECT_TRUE(fits("integer", "-2147483648"));
  EXPECT_TRUE(fits("integer", "5.0"));
  EXPECT_FALSE(fits("integer", "2147483648"));
  EXPECT_FALSE(fits("integer", "5.5"));
  EXPECT_TRUE(fits("long", "9223372036854775807"));
  EXPECT_FALSE(fits("long", "9223372036854775808"));
  EXPECT_TRUE(fits("double", "5"));
  EXPECT_TRUE(fits("double", "-1e300"));
  EXPECT_FALSE(fits("double", "\"5\""));
  EXPECT_TRUE(fits("float", "3.4e38"));
  EXPECT_FALSE(fits("float", "1e39"));
  EXPECT_TRUE(fits("string", "\"\""));
  EXPECT_FALSE(fits("string", "5"));
  EXPECT_FALSE(fits("string", "null"));
  EXPECT_TRUE(fits("string", "\"" + std::string(4096, 'a') + "\""));
  EXPECT_FALSE(fits("string", "\"" + std::string(4097, 'a') + "\""));
  EXPECT_TRUE(fits("point", R"({"type": "Point", "coordinates": [1, 2]})"));
  EXPECT_FALSE(fits("point", R"({"type": "point", "coordinates": [1, 2]})"));
  EXPECT_FALSE(fits("point", R"({"type": "Point"})"));
}

TEST(SchemaTest, TakesTimesOfTheStandardsForms) {
  for (const auto* text : {"2024-02-29", "0001-01-01"}) EXPECT_TRUE(is_date(text)) << text;
  for (const auto* text : {"2023-02-29", "2023-13-01", "23-01-01", "2023-1-1", "2023-01-01T", ""})
    EXPECT_FALSE(is_date(text)) << text;
  for (const auto* text :
       {"2023-01-01T00:00:00Z", "2023-01-01T23:59:60.5+02:00", "2023-01-01t00:00:00z"})
    EXPECT_TRUE(is_date_time(text)) << text;
  for (const auto* text :
       {"2023-01-01T00:00:00", "2023-01-01", "2023-01-01T24:00:00Z", "2023-01-01T00:00Z",
        "2023-01-01T00:00:00.Z", "2023-01-01T00:00:00+0200", "2023-01-01 00:00:00Z"})
    EXPECT_FALSE(is_date_time(text)) << text;
  for (const auto* text : {"12:30:00Z", "12:30:00.25-01:00"}) EXPECT_TRUE(is_time(text)) << text;
  for (const auto* text : {"12:30", "25:00:00Z", "12:30:00"}) EXPECT_FALSE(is_time(text)) << text;
  for (const auto* text : {"P1Y2M3DT4H5M6.7S", "PT0.5S", "P2W", "P1M", "PT1M", "-P1D", "P0.5Y"})
    EXPECT_TRUE(is_duration(text)) << text;
  for (const auto* text :
       {"P", "PT", "P1", "1D", "P1S", "PT1D", "P1DT", "P1.5YT1H", "P1W2D", "P1D1Y", "P.5D", ""})
    EXPECT_FALSE(is_duration(text)) << text;
}

}  // namespace
}  // namespace doppel::twins::dtdl
