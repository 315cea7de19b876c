#include "hub/twin_merge.h"

#include <gtest/gtest.h>

#include "hub/twin_rules.h"

namespace doppel::hub {
namespace {

json::Object object(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << text;
  return value->get_object();
}
std::string text(const json::Object& value) { return json::write(value); }

const Stamp kFirst{.time = "T1", .version = 2};
const Stamp kSecond{.time = "T2", .version = 3};

TEST(TwinMerge, StampsEveryValueAndEveryObjectOnTheWay) {
  json::Object section, metadata = fresh_metadata();
  merge_section(section, &metadata, object(R"({"a":{"b":1},"list":[1,2]})"), kFirst);
  EXPECT_EQ(text(section), R"({"a":{"b":1},"list":[1,2]})");
  EXPECT_EQ(text(metadata), R"({"$lastUpdated":"T1","$lastUpdatedVersion":2,)"
                            R"("a":{"$lastUpdated":"T1","$lastUpdatedVersion":2,)"
                            R"("b":{"$lastUpdated":"T1","$lastUpdatedVersion":2}},)"
                            R"("list":{"$lastUpdated":"T1","$lastUpdatedVersion":2}})");

  merge_section(section, &metadata, object(R"({"a":{"c":2}})"), kSecond);
  EXPECT_EQ(text(section), R"({"a":{"b":1,"c":2},"list":[1,2]})");
  EXPECT_EQ(text(metadata), R"({"$lastUpdated":"T2","$lastUpdatedVersion":3,)"
                            R"("a":{"$lastUpdated":"T2","$lastUpdatedVersion":3,)"
                            R"("b":{"$lastUpdated":"T1","$lastUpdatedVersion":2},)"
                            R"("c":{"$lastUpdated":"T2","$lastUpdatedVersion":3}},)"
                            R"("list":{"$lastUpdated":"T1","$lastUpdatedVersion":2}})");
}

TEST(TwinMerge, ReportedPropertiesHaveNoVersionInTheirMetadata) {
  json::Object section, metadata = fresh_metadata();
  merge_section(section, &metadata, object(R"({"fw":"1.0"})"),
                {.time = "T", .version = std::nullopt});
  EXPECT_EQ(text(metadata), R"({"$lastUpdated":"T","fw":{"$lastUpdated":"T"}})");
}

TEST(TwinMerge, NullRemovesTheValueAndItsMetadata) {
  json::Object section = object(R"({"a":{"b":1,"c":2},"d":3})"), metadata = fresh_metadata();
  merge_section(section, &metadata, json::Object(section), kFirst);
  merge_section(section, &metadata, object(R"({"a":{"b":null},"d":null,"never":null})"), kSecond);
  EXPECT_EQ(text(section), R"({"a":{"c":2}})");
  EXPECT_FALSE(metadata.contains("d"));
  EXPECT_FALSE(metadata["a"].get_object().contains("b"));
}

TEST(TwinMerge, AValueBecomesAnObjectAndBack) {
  json::Object section = object(R"({"a":1,"o":{"x":1}})"), metadata = fresh_metadata();
  merge_section(section, &metadata, json::Object(section), kFirst);
  merge_section(section, &metadata, object(R"({"a":{"b":null,"c":2},"o":7})"), kSecond);
  EXPECT_EQ(text(section), R"({"a":{"c":2},"o":7})");
  EXPECT_EQ(text(metadata["o"].get_object()), R"({"$lastUpdated":"T2","$lastUpdatedVersion":3})");
}

TEST(TwinMerge, ReplacementForgetsWhatWasThere) {
  json::Object section = object(R"({"a":1,"b":2})"), metadata = fresh_metadata();
  merge_section(section, &metadata, json::Object(section), kFirst);
  replace_section(section, &metadata, object(R"({"b":3,"gone":null})"), kSecond);
  EXPECT_EQ(text(section), R"({"b":3})");
  EXPECT_FALSE(metadata.contains("a"));
}

// A device merges what it is sent; after a replacement it must end with the new document.
TEST(TwinMerge, TheDeltaOfAReplacementLeadsADeviceToTheNewDocument) {
  const auto from = object(R"({"a":{"b":1,"c":2},"d":3,"e":{"x":1}})");
  const auto to = object(R"({"a":{"c":5},"e":"text","f":[1]})");
  const auto delta = replacement_delta(from, to);
  EXPECT_EQ(text(delta), R"({"a":{"c":5,"b":null},"e":"text","f":[1],"d":null})");
  auto device = from;
  merge_section(device, nullptr, delta, kFirst);
  EXPECT_TRUE(json::equal(device, to));
}

TEST(TwinMerge, ShowsTheMetadataOfAPatch) {
  json::Object section, metadata = fresh_metadata();
  merge_section(section, &metadata, object(R"({"a":{"b":1,"c":2},"d":3})"), kFirst);
  const auto patch = object(R"({"a":{"b":9},"d":null})");
  merge_section(section, &metadata, patch, kSecond);
  EXPECT_EQ(text(metadata_of(metadata, patch)),
            R"({"$lastUpdated":"T2","$lastUpdatedVersion":3,)"
            R"("a":{"$lastUpdated":"T2","$lastUpdatedVersion":3,)"
            R"("b":{"$lastUpdated":"T2","$lastUpdatedVersion":3}}})");
}

TEST(TwinMerge, SystemMembersThatClientsSendBackAreDropped) {
  EXPECT_EQ(text(without_system_members(object(R"({"$metadata":{},"a":1,"$version":4})"))),
            R"({"a":1})");
}

// ---- What may stand in a twin ----

void expect_refused(std::string_view patch, std::string_view why,
                    TwinSection section = TwinSection::desired) {
  const auto checked = check_twin_patch(section, object(patch));
  ASSERT_FALSE(checked) << patch;
  EXPECT_EQ(checked.error().service->number, 400004);
  EXPECT_NE(checked.error().message.find(why), std::string::npos) << checked.error().message;
}

TEST(TwinRules, RefusesNamesAndSaysWhere) {
  expect_refused(R"({"a":{"x.y":1}})", "'.' at 'desired.a.x.y'");
  expect_refused(R"({"$x":2})", "a name with '$' at 'reported.$x'", TwinSection::reported);
  expect_refused(R"({"a":{"$version":2}})", "a name with '$'");
  expect_refused(R"({"a b":1})", "a space", TwinSection::tags);
  expect_refused("{\"a\\u0001\":1}", "a control character");
  expect_refused("{\"a\\u0085\":1}", "a control character");
  expect_refused(R"({"":1})", "an empty name");
  expect_refused("{\"" + std::string(1025, 'k') + "\":1}", "longer than 1024");
}

TEST(TwinRules, RefusesValues) {
  expect_refused(R"({"a":[1,null]})", "null inside an array");
  expect_refused(R"({"a":[{"b":null}]})", "null inside an array");
  expect_refused(R"({"a":4503599627370496})", "an integer beyond");
  expect_refused(R"({"a":-4503599627370497})", "an integer beyond");
  expect_refused(R"({"a":123456789012345678901234567890})", "an integer beyond");
  expect_refused("{\"a\":\"" + std::string(4097, 's') + "\"}", "longer than 4096");
  expect_refused(R"({"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":{"k":1}}}}}}}}}}})",
                 "more than 10 levels");
}

TEST(TwinRules, AcceptsWhatIsWithinTheLimits) {
  for (const auto patch :
       {R"({"a":4503599627370495,"b":-4503599627370496,"c":1e300,"d":0.1})",
        R"({"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":1}}}}}}}}}})",
        R"({"$version":7,"$metadata":{"$lastUpdated":"x"},"a":null,"b":[1,[2]],"__t":"c"})",
        R"({"grüße":"ü"})"}) {
    const auto checked = check_twin_patch(TwinSection::desired, object(patch));
    EXPECT_TRUE(checked) << patch << ": " << checked.error().message;
  }
}

TEST(TwinRules, CountsSizesAsDocumented) {
  EXPECT_EQ(section_size(object(R"({"ab":1,"c":true,"d":"xyz","e":{"f":2},"g":[1,"z"]})")),
            2u + 8 + 1 + 4 + 1 + 3 + 1 + 1 + 8 + 1 + 8 + 1);
  EXPECT_EQ(section_size(object("{\"\xC3\xBC\":\"\\u0001x\"}")), 1u + 1);
}

TEST(TwinRules, AnOverfullSectionMayOnlyShrink) {
  EXPECT_TRUE(check_section_growth(TwinSection::tags, 0, kTagsSizeMax));
  EXPECT_FALSE(check_section_growth(TwinSection::tags, 0, kTagsSizeMax + 1));
  EXPECT_FALSE(check_section_growth(TwinSection::reported, 0, kPropertiesSizeMax + 1));
  EXPECT_TRUE(check_section_growth(TwinSection::tags, 9000, 8500));
  EXPECT_FALSE(check_section_growth(TwinSection::tags, 9000, 9001));
}

}  // namespace
}  // namespace doppel::hub
