#include "cli/output.h"

#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

json::Value parsed(std::string_view text) { return json::parse(text).value(); }

TEST(Table, AlignsColumnsUnderTheirTitles) {
  EXPECT_EQ(as_table(parsed(R"([{"name": "a", "properties": {"state": "Active"}},
                                {"name": "long name", "properties": {}}])"),
                     {"name", "properties.state"}),
            "Name       State\n"
            "---------  ------\n"
            "a          Active\n"
            "long name  \n");
}

TEST(Table, ColumnsMayBeNamed) {
  EXPECT_EQ(
      as_table(parsed(R"([{"displayName": {"en": "Room"}}])"), {"DisplayName=displayName.en"}),
      "DisplayName\n-----------\nRoom\n");
}

TEST(Table, ValuesAreShownAsPeopleReadThem) {
  EXPECT_EQ(as_table(parsed(R"({"list": ["a", "b"], "no": null, "number": 22.75, "object": {"a": 1},
                                "text": "Zürich", "yes": true})"),
                     {"list", "no", "number", "object", "text", "yes"}),
            "List  No  Number  Object   Text    Yes\n"
            "----  --  ------  -------  ------  ----\n"
            "a, b      22.75   {\"a\":1}  Zürich  true\n");
}

TEST(Table, WithoutColumnsShowsTheScalarsOfTheFirstRow) {
  EXPECT_EQ(as_table(parsed(R"([{"a": 1, "b": {}, "c": "x"}])"), {}), "A  C\n-  -\n1  x\n");
}

TEST(Table, NoRowsIsNoTable) { EXPECT_EQ(as_table(parsed("[]"), {"a"}), ""); }

TEST(Json, NumbersKeepTheirText) {
  EXPECT_NE(as_json(parsed(R"({"t": 22.75})")).find("22.75"), std::string::npos);
}

}  // namespace
}  // namespace doppel::cli
