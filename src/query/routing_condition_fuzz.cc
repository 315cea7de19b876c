// Any text is a condition or an error with a place; what is a condition can be asked about
// anything.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "query/condition.h"

namespace {

// Answers every path with a value that its text chooses, so that all kinds meet all operators.
class AnyRow final : public doppel::query::Row {
 public:
  doppel::query::Value lookup(const doppel::query::Path& path) const override {
    using doppel::query::Value;
    doppel::check(!path.steps.empty() && path.steps.size() <= 64, "paths have steps, and not many");
    switch (path.text.size() % 7) {
      case 0:
        return Value::of(path.text);
      case 1:
        return Value::of(static_cast<double>(path.text.size()));
      case 2:
        return Value::of(true);
      case 3:
        return Value::null();
      case 4:
        return Value::of(array_);
      case 5:
        return Value::of(object_);
      default:
        return {};
    }
  }

 private:
  doppel::json::Value array_ = *doppel::json::parse(R"(["a",1,null,true,{}])");
  doppel::json::Value object_ = *doppel::json::parse("{}");
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const AnyRow row;
  for (const auto& condition : {query::parse_condition(text), query::parse_twin_condition(text)}) {
    if (condition) {
      (void)condition->holds(row);
      check(!condition->is_always_true() || condition->holds(row), "always is always");
      (void)query::describe(condition->expression());
    } else {
      check(!condition.error().message.empty(), "errors say why");
    }
  }
  return 0;
}
