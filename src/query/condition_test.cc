#include "query/condition.h"

#include <gtest/gtest.h>

namespace doppel::query {
namespace {

std::string refusal(std::string_view text) {
  const auto parsed = parse_condition(text);
  return parsed ? "accepted" : parsed.error().message;
}

class Properties final : public Row {
 public:
  Value lookup(const Path& path) const override {
    if (path.scope == Scope::property && path.steps[0].name == "opType") {
      return Value::of("deleteDeviceIdentity");
    }
    return {};
  }
};

// The one condition of the integration guide: it must need neither body nor twin.
TEST(Condition, OfLifecycleEventsNeedsOnlyTheProperties) {
  const auto condition = parse_condition("opType='deleteDeviceIdentity'");
  ASSERT_TRUE(condition.has_value());
  EXPECT_FALSE(condition->is_always_true());
  EXPECT_FALSE(condition->needs_body() || condition->needs_twin() || condition->needs_change());
  EXPECT_TRUE(condition->holds(Properties()));
  EXPECT_FALSE(parse_condition("opType='createDeviceIdentity'")->holds(Properties()));
  EXPECT_FALSE(parse_condition("other='x'")->holds(Properties()));
}

TEST(Condition, SaysWhatItNeeds) {
  EXPECT_TRUE(parse_condition("true")->is_always_true());
  EXPECT_TRUE(parse_condition("")->is_always_true());
  EXPECT_TRUE(parse_condition(" \n")->is_always_true());
  EXPECT_FALSE(parse_condition("false")->is_always_true());
  EXPECT_TRUE(parse_condition("$body.a = 1 AND x = 'y'")->needs_body());
  EXPECT_TRUE(parse_condition("NOT is_defined($twin.tags.a)")->needs_twin());
  EXPECT_TRUE(parse_condition("twin_change_includes(properties.reported.a)")->needs_change());
  EXPECT_TRUE(parse_twin_condition("*")->is_always_true());
  EXPECT_TRUE(parse_twin_condition("")->is_always_true());
  EXPECT_FALSE(parse_twin_condition("tags.building='43'")->is_always_true());
}

// Properties are strings: the mistake is told when the route is made, not by silence later.
TEST(Condition, RefusesTypesThatNeverFit) {
  EXPECT_EQ(
      refusal("severity <= 2"),
      "line 1, column 10: '<=' cannot compare a string with a number; as_number(...) makes one "
      "of it");
  EXPECT_EQ(
      refusal("2 = severity"),
      "line 1, column 3: '=' cannot compare a number with a string; as_number(...) makes one of "
      "it");
  EXPECT_EQ(refusal("a + 1 = 2"),
            "line 1, column 3: '+' takes a number, not a string; as_number(...) makes one of it");
  EXPECT_EQ(refusal("NOT 'a'"), "line 1, column 1: 'NOT' takes a boolean, not a string");
  EXPECT_EQ(refusal("a = 'x' AND b"), "line 1, column 9: 'AND' takes a boolean, not a string");
  EXPECT_EQ(refusal("1 || 'a' = 'x'"), "line 1, column 3: '||' takes a string, not a number");
  EXPECT_EQ(refusal("sqrt(a) > 1"),
            "line 1, column 6: sqrt takes a number, not a string; as_number(...) makes one of it");
  EXPECT_EQ(refusal("a IN ['x', 1]"),
            "line 1, column 12: IN cannot compare a string with a number; as_number(...) makes one "
            "of it");
  EXPECT_EQ(refusal("opType"),
            "line 1, column 1: a condition is true or false, but this is a string");
  EXPECT_EQ(refusal("as_number(a) <= 2"), "accepted");
  EXPECT_EQ(refusal("$body.a <= 2 AND $body.b = 'x'"), "accepted");
  EXPECT_EQ(refusal("a = null OR a = undefined"), "accepted");
  EXPECT_EQ(refusal("$body.flag"), "accepted");
}

TEST(Condition, RefusesWhatIsNoCondition) {
  EXPECT_EQ(refusal("opType ="),
            "line 1, column 9: a name, a value or '(' is expected, but the text ends");
  EXPECT_EQ(refusal("$body.a..b = 1"), "line 1, column 1: this path has an empty name");
  EXPECT_EQ(refusal("$body.a[x] = 1"),
            "line 1, column 1: this path needs the index of an element in its brackets");
  EXPECT_EQ(refusal("$body.a[0][1] = 1"),
            "line 1, column 1: this path needs the index of an element in its brackets");
  EXPECT_EQ(refusal("$name[0] = 'x'"), "line 1, column 1: a property has no elements");
  EXPECT_EQ(refusal("$ = 1"), "line 1, column 1: a name is missing after '$' near '$'");
  EXPECT_EQ(refusal("{name} = 'x'"),
            "line 1, column 2: a system property is expected after '{' near 'name'");
  EXPECT_EQ(refusal("{$name = 'x'"), "line 1, column 8: '}' is expected near '='");
  EXPECT_EQ(refusal("/* a"), "line 1, column 1: this comment has no end");
  EXPECT_EQ(refusal("is_of_model('x')"), "line 1, column 1: there is no function 'is_of_model'");
  EXPECT_EQ(refusal("SELECT a FROM devices"),
            "line 1, column 8: an operator or the end is expected near 'a'");
}

// 180 concatenations of a long body value must not fill the memory.
TEST(Condition, BoundsWhatItBuilds) {
  class Body final : public Row {
   public:
    Value lookup(const Path&) const override { return Value::of(std::string_view(text_)); }

   private:
    std::string text_ = std::string(200'000, 'x');
  };
  std::string text = "length(concat($body.a";
  for (int i = 0; i < 20; ++i) text += ",$body.a";
  EXPECT_FALSE(parse_condition(text + ")) > 0")->holds(Body()));
  EXPECT_TRUE(parse_condition("length(concat($body.a,$body.a)) = 400000")->holds(Body()));
}

}  // namespace
}  // namespace doppel::query
