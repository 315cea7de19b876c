#include "json/patch.h"

#include <gtest/gtest.h>

#include "json/merge_patch.h"

namespace doppel::json {
namespace {

Value doc(std::string_view text) {
  auto value = parse(text);
  EXPECT_TRUE(value.has_value()) << text;
  return value ? std::move(*value) : Value();
}

// The patched document as text, or "refused: why" (with the document unchanged).
std::string patched(std::string_view target, std::string_view patch,
                    const PatchPolicy& policy = {}) {
  auto value = doc(target);
  const auto operations = parse_patch(doc(patch), policy);
  if (!operations) return "refused: " + operations.error().message;
  const auto before = write(value);
  if (auto applied = apply_patch(value, *operations, policy); !applied) {
    EXPECT_EQ(write(value), before);
    return "refused: " + applied.error().message;
  }
  return write(value);
}

// RFC 6901 section 5.
TEST(JsonPointer, FindsWhatTheRfcSays) {
  const auto document = doc(
      R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})");
  const auto at = [&](std::string_view text) {
    const auto* value = find(document, *Pointer::parse(text));
    return value ? write(*value) : "nothing";
  };
  EXPECT_EQ(at(""), write(document));
  EXPECT_EQ(at("/foo"), R"(["bar","baz"])");
  EXPECT_EQ(at("/foo/0"), R"("bar")");
  EXPECT_EQ(at("/"), "0");
  EXPECT_EQ(at("/a~1b"), "1");
  EXPECT_EQ(at("/c%d"), "2");
  EXPECT_EQ(at("/e^f"), "3");
  EXPECT_EQ(at("/g|h"), "4");
  EXPECT_EQ(at("/i\\j"), "5");
  EXPECT_EQ(at("/k\"l"), "6");
  EXPECT_EQ(at("/ "), "7");
  EXPECT_EQ(at("/m~0n"), "8");
  EXPECT_EQ(at("/foo/2"), "nothing");
  EXPECT_EQ(at("/foo/00"), "nothing");
  EXPECT_EQ(at("/foo/-"), "nothing");
  EXPECT_EQ(at("/foo/18446744073709551616"), "nothing");
  EXPECT_EQ(at("/a~1b/x"), "nothing");
}

TEST(JsonPointer, ComesBackAsItWasWrittenAndRefusesTheRest) {
  for (const std::string_view text : {"", "/", "/a~1b/~0~1/", "//x"}) {
    EXPECT_EQ(Pointer::parse(text)->to_string(), text);
  }
  for (const std::string_view text : {"a", "a/b", "/~", "/~2", "/a~"}) {
    EXPECT_FALSE(Pointer::parse(text).has_value()) << text;
  }
  std::string deep;
  for (std::size_t i = 0; i < kPointerSegmentsMax + 1; ++i) deep += "/a";
  EXPECT_FALSE(Pointer::parse(deep).has_value());
}

// RFC 6902 appendix A, in its order.
TEST(JsonPatch, DoesWhatTheRfcSays) {
  EXPECT_EQ(patched(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])"),
            R"({"foo":"bar","baz":"qux"})");
  EXPECT_EQ(patched(R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])"),
            R"({"foo":["bar","qux","baz"]})");
  EXPECT_EQ(patched(R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])"),
            R"({"foo":"bar"})");
  EXPECT_EQ(patched(R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])"),
            R"({"foo":["bar","baz"]})");
  EXPECT_EQ(
      patched(R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])"),
      R"({"baz":"boo","foo":"bar"})");
  EXPECT_EQ(patched(R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
                    R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])"),
            R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})");
  EXPECT_EQ(patched(R"({"foo":["all","grass","cows","eat"]})",
                    R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])"),
            R"({"foo":["all","cows","eat","grass"]})");
  EXPECT_EQ(patched(R"({"baz":"qux","foo":["a",2,"c"]})",
                    R"([{"op":"test","path":"/baz","value":"qux"},
                        {"op":"test","path":"/foo/1","value":2}])"),
            R"({"baz":"qux","foo":["a",2,"c"]})");
  EXPECT_EQ(patched(R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])"),
            "refused: operation 0 (test /baz): the value there is not the expected one");
  EXPECT_EQ(patched(R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"a":{}}}])"),
            R"({"foo":"bar","child":{"a":{}}})");
  EXPECT_EQ(patched(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])"),
            R"({"foo":"bar","baz":"qux"})");
  EXPECT_EQ(patched(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])"),
            "refused: operation 0 (add /baz/bat): the place to add to does not exist");
  EXPECT_EQ(patched(R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])"),
            R"({"/":9,"~1":10})");
  EXPECT_EQ(patched(R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])"),
            "refused: operation 0 (test /~01): the value there is not the expected one");
  EXPECT_EQ(
      patched(R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])"),
      R"({"foo":["bar",["abc","def"]]})");
}

TEST(JsonPatch, ChangesNothingWhenALaterOperationFails) {
  EXPECT_EQ(patched(R"({"Temperature":1})", R"([{"op":"replace","path":"/Temperature","value":2},
                                                {"op":"replace","path":"/Humidity","value":3}])"),
            "refused: operation 1 (replace /Humidity): the path does not exist; 'add' creates it");
}

TEST(JsonPatch, ReplacesAndCopiesWholeDocuments) {
  EXPECT_EQ(patched("1", R"([{"op":"replace","path":"","value":{"a":1}},
                             {"op":"copy","from":"","path":"/b"},
                             {"op":"move","from":"/b","path":"/b"}])"),
            R"({"a":1,"b":{"a":1}})");
  EXPECT_EQ(patched(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":""}])"), "1");
}

TEST(JsonPatch, KeepsTheOrderOfMembersWhenOneIsRemoved) {
  EXPECT_EQ(patched(R"({"a":1,"b":2,"c":3,"d":4})", R"([{"op":"remove","path":"/b"}])"),
            R"({"a":1,"c":3,"d":4})");
}

TEST(JsonPatch, RefusesWhatCannotBeApplied) {
  EXPECT_EQ(patched("{}", R"([{"op":"remove","path":"/a"}])"),
            "refused: operation 0 (remove /a): the path does not exist");
  EXPECT_EQ(patched("[1]", R"([{"op":"remove","path":"/1"}])"),
            "refused: operation 0 (remove /1): the path does not exist");
  EXPECT_EQ(patched("{}", R"([{"op":"remove","path":""}])"),
            "refused: operation 0 (remove ): the whole document cannot be removed");
  EXPECT_EQ(patched("[1]", R"([{"op":"add","path":"/3","value":1}])"),
            "refused: operation 0 (add /3): index 3 is beyond the end of the array");
  EXPECT_EQ(patched("[1]", R"([{"op":"add","path":"/01","value":1}])"),
            "refused: operation 0 (add /01): '01' is no index of an array");
  EXPECT_EQ(patched("1", R"([{"op":"add","path":"/a","value":1}])"),
            "refused: operation 0 (add /a): the place to add to is neither an object nor an array");
  EXPECT_EQ(patched(R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])"),
            "refused: operation 0 (move /a/b): a value cannot be moved into itself");
  EXPECT_EQ(patched("{}", R"([{"op":"copy","from":"/a","path":"/b"}])"),
            "refused: operation 0 (copy /b): 'from' (/a) does not exist");
}

TEST(JsonPatch, RefusesWhatIsNoPatch) {
  EXPECT_EQ(patched("{}", "{}"), "refused: a JSON patch is an array of operations");
  EXPECT_EQ(patched("{}", R"(["x"])"), "refused: operation 0: it is not an object");
  EXPECT_EQ(patched("{}", R"([{"path":"/a"}])"),
            "refused: operation 0: it has no text member 'op'");
  EXPECT_EQ(patched("{}", R"([{"op":"Add","path":"/a","value":1}])"),
            "refused: operation 0: there is no operation 'Add'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","value":1}])"),
            "refused: operation 0: it has no text member 'path'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"/a"}])"),
            "refused: operation 0: it has no member 'value'");
  EXPECT_EQ(patched("{}", R"([{"op":"move","path":"/a"}])"),
            "refused: operation 0: it has no text member 'from'");
  EXPECT_EQ(patched("{}", R"([{"op":"add","path":"a","value":1}])"),
            "refused: operation 0: 'a': a JSON pointer is empty or begins with '/'");
}

// Digital Twins answers anything but these three with JsonPatchInvalid.
TEST(JsonPatch, CanBeLimitedToAddReplaceAndRemove) {
  const PatchPolicy policy{.dialect = PatchDialect::add_replace_remove};
  EXPECT_EQ(patched("{}", R"([{"op":"test","path":"","value":{}}])", policy),
            "refused: operation 0: only add, replace and remove are allowed, not 'test'");
  EXPECT_EQ(patched("{}",
                    R"([{"op":"add","path":"/a","value":1},{"op":"replace","path":"/a","value":2},
                        {"op":"add","path":"/b","value":3},{"op":"remove","path":"/b"}])",
                    policy),
            R"({"a":2})");
}

// A patch must not make a document that we could not read again, nor one that eats all memory.
TEST(JsonPatch, HasLimits) {
  std::string deepen = "[";
  for (int i = 0; i < 40; ++i) {
    if (i) deepen += ",";
    deepen += R"({"op":"copy","from":"","path":"/a"})";
  }
  deepen += "]";
  EXPECT_TRUE(patched("{}", deepen).starts_with("refused: operation 31 (copy /a)"));
  EXPECT_TRUE(patched(R"({"text":")" + std::string(5000, 'x') + R"(","a":{}})", deepen)
                  .contains("copies more than"));
  EXPECT_TRUE(patched("{}", R"([{"op":"add","path":"/a","value":[[1]]}])", {.depth_max = 2})
                  .contains("nested deeper than 2"));
  EXPECT_TRUE(patched("{}", R"([{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}])",
                      {.operations_max = 1})
                  .contains("at most 1 operations"));
}

// RFC 7396 appendix A.
TEST(JsonMergePatch, DoesWhatTheRfcSays) {
  const auto merged = [](std::string_view target, std::string_view patch) {
    auto value = doc(target);
    merge_patch(value, doc(patch));
    return write(value);
  };
  EXPECT_EQ(merged(R"({"a":"b"})", R"({"a":"c"})"), R"({"a":"c"})");
  EXPECT_EQ(merged(R"({"a":"b"})", R"({"b":"c"})"), R"({"a":"b","b":"c"})");
  EXPECT_EQ(merged(R"({"a":"b"})", R"({"a":null})"), "{}");
  EXPECT_EQ(merged(R"({"a":"b","b":"c"})", R"({"a":null})"), R"({"b":"c"})");
  EXPECT_EQ(merged(R"({"a":["b"]})", R"({"a":"c"})"), R"({"a":"c"})");
  EXPECT_EQ(merged(R"({"a":"c"})", R"({"a":["b"]})"), R"({"a":["b"]})");
  EXPECT_EQ(merged(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})"), R"({"a":{"b":"d"}})");
  EXPECT_EQ(merged(R"({"a":[{"b":"c"}]})", R"({"a":[1]})"), R"({"a":[1]})");
  EXPECT_EQ(merged(R"(["a","b"])", R"(["c","d"])"), R"(["c","d"])");
  EXPECT_EQ(merged(R"({"a":"b"})", R"(["c"])"), R"(["c"])");
  EXPECT_EQ(merged(R"({"a":"foo"})", "null"), "null");
  EXPECT_EQ(merged(R"({"a":"foo"})", R"("bar")"), R"("bar")");
  EXPECT_EQ(merged(R"({"e":null})", R"({"a":1})"), R"({"e":null,"a":1})");
  EXPECT_EQ(merged("[1,2]", R"({"a":"b","c":null})"), R"({"a":"b"})");
  EXPECT_EQ(merged("{}", R"({"a":{"bb":{"ccc":null}}})"), R"({"a":{"bb":{}}})");
  EXPECT_EQ(merged(R"({"a":1,"b":2,"c":3,"d":4})", R"({"b":null})"), R"({"a":1,"c":3,"d":4})");
}

}  // namespace
}  // namespace doppel::json
