#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "twins/dtdl/interface.h"
#include "twins/dtdl/model.h"
#include "twins/dtdl/terms.h"

namespace doppel::twins::dtdl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What is wrong with an upload, one line each; empty: nothing.
std::string problems_of(std::string_view upload) {
  const auto document = json::parse(upload, {.depth_max = 64, .size_max = 4 * 1024 * 1024});
  if (!document || !document->is_array()) return "not a JSON array";
  Problems problems;
  std::vector<Interface> interfaces;
  for (const auto& entry : document->get_array())
    interfaces.push_back(parse_interface(entry, problems));
  if (problems.empty())
    link(std::move(interfaces), [](std::string_view) { return nullptr; }, problems);
  std::string all;
  for (const auto& line : problems.lines()) all += line + "\n";
  return all;
}

std::string interface(std::string_view members, int version = 2,
                      std::string_view id = "dtmi:t:I;1") {
  return fmt::format(
      R"({{"@id": "{}", "@type": "Interface", "@context": "dtmi:dtdl:context;{}"{}{}}})", id,
      version, members.empty() ? "" : ", ", members);
}
std::string of_members(std::string_view members, int version = 2) {
  return problems_of("[" + interface(members, version) + "]");
}
std::string of_content(std::string_view content, int version = 2) {
  return of_members(fmt::format(R"("contents": [{}])", content), version);
}
std::string of_schema(std::string_view schema, int version = 2,
                      std::string_view kind = "Property") {
  return of_content(fmt::format(R"({{"@type": "{}", "name": "p", "schema": {}}})", kind, schema),
                    version);
}

TEST(DtdlParserTest, AcceptsEveryFormThatTheLanguageHasForOneThing) {
  EXPECT_EQ(of_members(""), "");
  EXPECT_EQ(
      of_members(R"("displayName": "x", "description": {"en": "x", "pt-BR": "y"}, "comment": "c")"),
      "");
  EXPECT_EQ(of_members(R"("displayName": [{"@value": "x", "@language": "en"}])"), "");
  EXPECT_EQ(of_members(R"("contents": {"@type": "Property", "name": "p", "schema": "double"})"),
            "");
  EXPECT_EQ(
      of_content(
          R"({"@type": ["Property"], "name": "p", "schema": "dtmi:dtdl:instance:Schema:double;2"})"),
      "");
  EXPECT_EQ(
      of_content(R"({"@type": "dtmi:dtdl:class:Telemetry;2", "name": "p", "schema": "point"})"),
      "");
  EXPECT_EQ(of_content(
                R"({"@type": "Relationship", "name": "r", "@id": "dtmi:t:r;1", "minMultiplicity": 0,
      "maxMultiplicity": 500, "target": "dtmi:not:there;1", "writable": true,
      "properties": {"@type": "Property", "name": "p", "schema": "integer", "writable": false}})"),
            "");
  EXPECT_EQ(
      problems_of(
          R"([{"@id": "dtmi:t:I;1", "@type": ["Interface"], "@context": ["dtmi:dtdl:context;2"]}])"),
      "");
}

TEST(DtdlParserTest, WantsAnInterfaceWithContextIdAndType) {
  EXPECT_THAT(problems_of(R"(["x"])"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(problems_of(R"([{"@id": "dtmi:t:I;1", "@type": "Interface"}])"),
              HasSubstr("has no @context"));
  EXPECT_THAT(problems_of(R"([{"@type": "Interface", "@context": "dtmi:dtdl:context;2"}])"),
              HasSubstr("has no @id"));
  EXPECT_THAT(problems_of(R"([{"@id": "dtmi:t:I;1", "@context": "dtmi:dtdl:context;2"}])"),
              HasSubstr("needs an @type that is one of: Interface"));
  EXPECT_THAT(
      problems_of(
          R"([{"@id": "dtmi:t:I;1", "@type": "Property", "@context": "dtmi:dtdl:context;2"}])"),
      HasSubstr("needs an @type"));
  EXPECT_THAT(
      problems_of(
          R"([{"@id": "dtmi:t:I;1", "@type": "Interface", "@context": "dtmi:dtdl:context;4"}])"),
      HasSubstr("must begin with"));
  EXPECT_THAT(problems_of(R"([{"@id": "dtmi:t:I;1", "@type": "Interface",
                               "@context": ["dtmi:dtdl:context;2", {"x": "y"}]}])"),
              HasSubstr("local contexts"));
  EXPECT_THAT(of_members(R"("contents": [], "color": 1)"),
              HasSubstr("has the unknown member 'color'"));
  for (const auto* id :
       {"dtmi:t:I", "dtmi:t:I;0", "dtmi:t:I;01", "dtmi:t:_I;1", "dtmi:1t;1", "dtmi:t_;1", "t:I;1",
        "dtmi:t:I;1234567890", "dtmi:t:I;1.2", "dtmi:t:I;1#x"})
    EXPECT_THAT(problems_of("[" + interface("", 2, id) + "]"), HasSubstr("not a valid DTMI")) << id;
  EXPECT_THAT(problems_of("[" + interface("", 2, "dtmi:dtdl:I;1") + "]"),
              HasSubstr("reserved prefix"));
  EXPECT_THAT(problems_of("[" + interface("", 2, "dtmi:" + std::string(130, 'a') + ";1") + "]"),
              HasSubstr("longer than 128"));
  EXPECT_EQ(problems_of("[" + interface("", 3, "dtmi:t:I;1.2") + "]"), "");
}

TEST(DtdlParserTest, NamesElementAndProblem) {
  struct Case {
    std::string_view content;
    std::string_view problem;
  };
  const std::vector<Case> cases{
      {R"({"@type": "Property", "name": "p"})", "dtmi:t:I;1: 'p' has no schema."},
      {R"({"@type": "Property", "schema": "double"})", "dtmi:t:I;1: contents[0] has no name."},
      {R"({"@type": "Property", "name": "p_", "schema": "double"})", "has an invalid name"},
      {R"({"@type": "Property", "name": "1p", "schema": "double"})", "has an invalid name"},
      {R"({"@type": "Property", "name": "a-b", "schema": "double"})", "has an invalid name"},
      {R"({"@type": "Property", "name": "p", "schema": "decimal"})",
       "'p' has the unknown schema 'decimal'"},
      {R"({"@type": "Property", "name": "p", "schema": "dtmi:t:S;1"})",
       "which this interface does not define"},
      {R"({"@type": "Property", "name": "p", "schema": 5})", "neither a name nor an object"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "writable": "yes"})",
       "neither true nor false"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "target": "x"})",
       "unknown member 'target'"},
      {R"({"@type": "Property", "name": "p", "schema": "double"}, {"@type": "Telemetry", "name": "p", "schema": "double"})",
       "'p' appears more than once"},
      {R"({"@type": ["Property", "Telemetry"], "name": "p", "schema": "double"})",
       "has both types"},
      {R"({"@type": "Command", "name": "c"})", "'c' is a Command"},
      {R"({"@type": "Widget", "name": "c"})", "needs an @type"},
      {R"("x")", "must be a JSON object"},
      {R"({"@type": "Component", "name": "c"})", "'c' has no schema"},
      {R"({"@type": "Component", "name": "c", "schema": {"@type": "Interface"}})",
       "cannot be defined inside"},
      {R"({"@type": "Component", "name": "c", "schema": "double"})",
       "not the DTMI of an interface"},
      {R"({"@type": "Relationship", "name": "r", "target": 5})", "a target that is not a DTMI"},
      {R"({"@type": "Relationship", "name": "r", "minMultiplicity": 1})",
       "minMultiplicity other than 0"},
      {R"({"@type": "Relationship", "name": "r", "maxMultiplicity": 0})", "maxMultiplicity"},
      {R"({"@type": "Relationship", "name": "r", "maxMultiplicity": 501})", "maxMultiplicity"},
      {R"({"@type": "Relationship", "name": "r", "properties": [{"@type": "Property", "name": "a", "schema": "date"},
           {"@type": "Property", "name": "a", "schema": "date"}]})",
       "has the property 'a' more than once"},
      {R"({"@type": ["Property", "Temperature"], "name": "p", "schema": "double"})", "but no unit"},
      {R"({"@type": ["Property", "Temperature"], "name": "p", "schema": "string", "unit": "kelvin"})",
       "needs a numeric schema"},
      {R"({"@type": ["Property", "Temperature"], "name": "p", "schema": "double", "unit": "metre"})",
       "'metre', which is not a TemperatureUnit"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "unit": "kelvin"})",
       "a unit but no semantic type"},
      {R"({"@type": ["Property", "Temperature", "Length"], "name": "p", "schema": "double", "unit": "metre"})",
       "more than one semantic type"},
      {R"({"@type": ["Relationship", "Temperature"], "name": "r"})",
       "cannot have the semantic type"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "comment": 5})",
       "a comment that is not a string"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "displayName": {"e n": "x"}})",
       "unknown language"},
      {R"({"@type": "Property", "name": "p", "schema": "double", "@id": "x"})",
       "@id that is not a valid DTMI"},
  };
  for (const auto& one : cases)
    EXPECT_THAT(of_content(one.content), HasSubstr(one.problem)) << one.content;
  const std::string long_name(65, 'a');
  const auto content =
      fmt::format(R"({{"@type": "Property", "name": "{}", "schema": "double"}})", long_name);
  EXPECT_THAT(of_content(content), HasSubstr("longer than 64"));
  EXPECT_EQ(of_content(content, 3), "");
}

TEST(DtdlParserTest, ChecksComplexSchemas) {
  EXPECT_EQ(of_schema(R"({"@type": "Map", "mapKey": {"name": "k", "schema": "string"},
      "mapValue": {"@type": "MapValue", "name": "v", "schema": "date"}})"),
            "");
  EXPECT_THAT(of_schema(R"({"@type": "Map", "mapKey": {"name": "k", "schema": "integer"},
      "mapValue": {"name": "v", "schema": "date"}})"),
              HasSubstr("keys are not of schema string"));
  EXPECT_THAT(of_schema(R"({"@type": "Map", "mapKey": {"name": "k", "schema": "string"}})"),
              HasSubstr("without mapKey or mapValue"));
  EXPECT_EQ(
      of_schema(
          R"({"@type": "Enum", "valueSchema": "integer", "enumValues": {"name": "a", "enumValue": 1}})"),
      "");
  EXPECT_THAT(
      of_schema(
          R"({"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": "1"}]})"),
      HasSubstr("not of type integer"));
  EXPECT_THAT(of_schema(R"({"@type": "Enum", "valueSchema": "double", "enumValues": []})"),
              HasSubstr("neither integer nor string"));
  EXPECT_THAT(of_schema(R"({"@type": "Enum", "valueSchema": "string", "enumValues": []})"),
              HasSubstr("0 values"));
  EXPECT_EQ(of_schema(R"({"@type": "Enum", "valueSchema": "string", "enumValues": []})", 3), "");
  EXPECT_THAT(of_schema(R"({"@type": "Enum", "valueSchema": "string",
      "enumValues": [{"name": "a", "enumValue": "x"}, {"name": "b", "enumValue": "x"}]})"),
              HasSubstr("same enumValue"));
  EXPECT_THAT(of_schema(R"({"@type": "Object", "fields": []})"), HasSubstr("0 fields"));
  EXPECT_THAT(
      of_schema(
          R"({"@type": "Object", "fields": [{"name": "a", "schema": "date"}, {"name": "a", "schema": "date"}]})"),
      HasSubstr("field 'a' more than once"));
  EXPECT_THAT(of_schema(R"({"@type": "Object", "fields": [{"name": "a"}]})"),
              HasSubstr("field 'a' has no schema"));
  const auto* array = R"({"@type": "Array", "elementSchema": "double"})";
  EXPECT_THAT(of_schema(array), HasSubstr("DTDL v2 cannot have"));
  EXPECT_THAT(of_schema(R"("point")"), HasSubstr("DTDL v2 cannot have"));
  EXPECT_EQ(of_schema(array, 2, "Telemetry"), "");
  EXPECT_EQ(of_schema(array, 3), "");
  EXPECT_THAT(of_schema(R"({"@type": "Array"})", 3), HasSubstr("without elementSchema"));
}

TEST(DtdlParserTest, BoundsHowDeepSchemasNest) {
  const auto nested = [](int levels) {
    std::string schema = R"("double")";
    for (int i = 0; i < levels; ++i)
      schema = R"({"@type": "Array", "elementSchema": )" + schema + "}";
    return schema;
  };
  EXPECT_EQ(of_schema(nested(5), 3), "");
  EXPECT_THAT(of_schema(nested(6), 3), HasSubstr("deeper than 5"));

  // By reference, and so many that following each reference anew would not end.
  std::string schemas;
  for (int level = 0; level < 6; ++level) {
    std::string fields;
    for (int i = 0; i < 30; ++i)
      fields += fmt::format(
          R"({}{{"name": "f{}", "schema": {}}})", i == 0 ? "" : ",", i,
          level == 0 ? std::string(R"("double")") : fmt::format(R"("dtmi:t:L{};1")", level - 1));
    schemas += fmt::format(R"({}{{"@id": "dtmi:t:L{};1", "@type": "Object", "fields": [{}]}})",
                           level == 0 ? "" : ",", level, fields);
  }
  EXPECT_THAT(
      of_members(fmt::format(R"("schemas": [{}], "contents": [{{"@type": "Property", "name": "p",
      "schema": "dtmi:t:L5;1"}}])",
                             schemas)),
      HasSubstr("deeper than 5"));

  // A chain as long as the document may be.
  std::string chain;
  for (int i = 0; i < 5000; ++i)
    chain += fmt::format(
        R"({}{{"@id": "dtmi:t:C{};1", "@type": "Array", "elementSchema": "dtmi:t:C{};1"}})",
        i == 0 ? "" : ",", i, i + 1);
  EXPECT_THAT(of_members(fmt::format(R"("schemas": [{}])", chain), 3), HasSubstr("deeper than 5"));
}

TEST(DtdlParserTest, ResolvesSchemasOfTheSameInterfaceOnly) {
  EXPECT_EQ(
      of_members(R"("schemas": [{"@id": "dtmi:t:E;1", "@type": "Enum", "valueSchema": "string",
      "enumValues": [{"name": "a", "enumValue": "a"}]}],
      "contents": [{"@type": "Property", "name": "p", "schema": "dtmi:t:E;1"}])"),
      "");
  EXPECT_THAT(
      of_members(
          R"("schemas": [{"@type": "Object", "fields": [{"name": "a", "schema": "date"}]}])"),
      HasSubstr("without @id"));
  EXPECT_THAT(of_members(R"("schemas": [{"@id": "dtmi:t:O;1", "@type": "Object",
      "fields": [{"name": "a", "schema": "dtmi:t:O;1"}]}])"),
              HasSubstr("within itself"));
  EXPECT_THAT(
      of_members(R"("schemas": [{"@id": "dtmi:t:O;1", "@type": "Array", "elementSchema": "date"},
      {"@id": "dtmi:t:O;1", "@type": "Array", "elementSchema": "date"}])"),
      HasSubstr("more than one element"));
  EXPECT_THAT(
      of_content(R"({"@type": "Property", "name": "p", "schema": "double", "@id": "dtmi:t:I;1"})"),
      HasSubstr("more than one element"));
}

TEST(DtdlParserTest, TakesUndefinedTypesInVersion2AndOnlyKnownExtensionsInVersion3) {
  EXPECT_EQ(
      of_content(
          R"({"@type": ["Property", "Marvel"], "name": "p", "schema": "double", "wonder": 1})"),
      "");
  EXPECT_THAT(
      of_content(R"({"@type": ["Property", "Marvel"], "name": "p", "schema": "double"})", 3),
      HasSubstr("undefined type Marvel"));
  EXPECT_THAT(
      of_content(
          R"({"@type": ["Property", "Temperature"], "name": "p", "schema": "double", "unit": "kelvin"})",
          3),
      HasSubstr("undefined type Temperature"));
  const auto with = [](std::string_view extension, std::string_view content) {
    return problems_of(fmt::format(R"([{{"@id": "dtmi:t:I;1", "@type": "Interface",
        "@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:{}"], "contents": [{}]}}])",
                                   extension, content));
  };
  EXPECT_EQ(
      with(
          "quantitativeTypes;1",
          R"({"@type": ["Property", "Current"], "name": "p", "schema": "double", "unit": "kiloampere"})"),
      "");
  EXPECT_EQ(with("historization;1",
                 R"({"@type": ["Property", "Historized"], "name": "p", "schema": "double"})"),
            "");
  EXPECT_EQ(
      with(
          "annotation;1",
          R"({"@type": ["Property", "ValueAnnotation"], "name": "p", "annotates": "q", "schema": "double"})"),
      "");
  EXPECT_THAT(with("magic;1", ""), HasSubstr("unknown extension"));
}

TEST(DtdlLinkerTest, InheritsAndRefusesWhatClashes) {
  const auto base =
      interface(R"("contents": [{"@type": "Property", "name": "p", "schema": "double"}])", 2,
                "dtmi:t:Base;1");
  const auto left = interface(R"("extends": "dtmi:t:Base;1")", 2, "dtmi:t:Left;1");
  const auto right = interface(R"("extends": ["dtmi:t:Base;1"])", 2, "dtmi:t:Right;1");
  // The same element by two ways is one element.
  EXPECT_EQ(problems_of(fmt::format("[{},{},{},{}]",
                                    interface(R"("extends": ["dtmi:t:Left;1", "dtmi:t:Right;1"])"),
                                    left, right, base)),
            "");
  EXPECT_THAT(
      problems_of(fmt::format(
          "[{},{}]", base,
          interface(
              R"("extends": "dtmi:t:Base;1", "contents": [{"@type": "Telemetry", "name": "p", "schema": "date"}])"))),
      HasSubstr("dtmi:t:I;1: defines 'p', which it also inherits from dtmi:t:Base;1"));
  const auto other =
      interface(R"("contents": [{"@type": "Property", "name": "p", "schema": "double"}])", 2,
                "dtmi:t:Other;1");
  EXPECT_THAT(
      problems_of(fmt::format("[{},{},{}]", base, other,
                              interface(R"("extends": ["dtmi:t:Base;1", "dtmi:t:Other;1"])"))),
      HasSubstr("inherits 'p' both from"));
}

TEST(DtdlLinkerTest, RefusesCyclesMissingPartsAndLimits) {
  EXPECT_THAT(of_members(R"("extends": "dtmi:t:I;1")"), HasSubstr("names the interface itself"));
  EXPECT_THAT(of_members(R"("extends": {"@type": "Interface"})"),
              HasSubstr("cannot be defined inside"));
  EXPECT_THAT(problems_of(fmt::format("[{},{}]", interface(R"("extends": "dtmi:t:B;1")"),
                                      interface(R"("extends": "dtmi:t:I;1")", 2, "dtmi:t:B;1"))),
              HasSubstr("depends on"));
  EXPECT_THAT(of_content(R"({"@type": "Component", "name": "c", "schema": "dtmi:t:I;1"})"),
              HasSubstr("depends on"));
  EXPECT_THAT(
      of_members(R"("extends": "dtmi:t:None;1")"),
      HasSubstr("dtmi:t:I;1: extends dtmi:t:None;1, which is neither in the request nor stored"));
  EXPECT_THAT(of_members(R"("extends": ["dtmi:t:A;1", "dtmi:t:B;1", "dtmi:t:C;1"])"),
              HasSubstr("more than 2"));
  EXPECT_THAT(problems_of(fmt::format("[{},{}]", interface(""), interface(""))),
              HasSubstr("more than once"));

  const auto component =
      interface(R"("contents": [{"@type": "Component", "name": "c", "schema": "dtmi:t:A;1"}])", 2,
                "dtmi:t:B;1");
  const auto part = interface("", 2, "dtmi:t:A;1");
  EXPECT_EQ(problems_of(fmt::format("[{},{}]", component, part)), "");
  EXPECT_THAT(
      problems_of(fmt::format(
          "[{},{},{}]", component, part,
          interface(
              R"("contents": [{"@type": "Component", "name": "c", "schema": "dtmi:t:B;1"}])"))),
      HasSubstr("which has components itself"));
  EXPECT_THAT(problems_of(fmt::format("[{},{}]", interface("", 3, "dtmi:t:A;1"),
                                      interface(R"("extends": "dtmi:t:A;1")"))),
              HasSubstr("later version"));
  EXPECT_EQ(problems_of(fmt::format("[{},{}]", part, interface(R"("extends": "dtmi:t:A;1")", 3))),
            "");

  const auto chain = [](int length) {
    std::string all = interface("", 2, "dtmi:t:D0;1");
    for (int i = 1; i <= length; ++i)
      all += "," + interface(fmt::format(R"("extends": "dtmi:t:D{};1")", i - 1), 2,
                             fmt::format("dtmi:t:D{};1", i));
    return "[" + all + "]";
  };
  EXPECT_EQ(problems_of(chain(10)), "");
  EXPECT_THAT(problems_of(chain(11)), HasSubstr("more than 10 levels"));

  std::string contents;
  for (int i = 0; i < 301; ++i)
    contents += fmt::format(R"({}{{"@type": "Property", "name": "p{}", "schema": "double"}})",
                            i == 0 ? "" : ",", i);
  EXPECT_THAT(of_content(contents), HasSubstr("has 301 contents"));
  EXPECT_EQ(of_content(contents, 3), "");
}

TEST(DtdlLinkerTest, TellsBasesAndDependencies) {
  Problems problems;
  std::vector<Interface> interfaces;
  const auto document = json::parse(fmt::format(
      "[{},{},{}]",
      interface(
          R"("extends": "dtmi:t:B;1", "contents": [{"@type": "Component", "name": "c", "schema": "dtmi:t:C;1"},
                   {"@type": "Relationship", "name": "r", "target": "dtmi:t:T;1"}])"),
      interface(R"("extends": "dtmi:t:C;1")", 2, "dtmi:t:B;1"), interface("", 2, "dtmi:t:C;1")));
  for (const auto& entry : document->get_array())
    interfaces.push_back(parse_interface(entry, problems));
  const auto models =
      link(std::move(interfaces), [](std::string_view) { return nullptr; }, problems);
  ASSERT_TRUE(problems.empty());
  EXPECT_THAT(models[0]->bases(), ElementsAre("dtmi:t:B;1", "dtmi:t:C;1"));
  EXPECT_THAT(models[0]->dependencies(), ElementsAre("dtmi:t:B;1", "dtmi:t:C;1"));
  EXPECT_TRUE(models[0]->is_a("dtmi:t:C;1"));
  EXPECT_FALSE(models[2]->is_a("dtmi:t:I;1"));
  EXPECT_NE(models[0]->find("c", ContentKind::component), nullptr);
  EXPECT_EQ(models[0]->find("c", ContentKind::property), nullptr);
}

}  // namespace
}  // namespace doppel::twins::dtdl
