#include "json/merge_patch.h"

namespace doppel::json {

void merge_patch(Value& target, const Value& patch) {
  const auto* changes = patch.if_object();
  if (!changes) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  auto& object = target.get_object();
  for (const auto& [name, change] : *changes) {
    if (change.is_null()) {
      object.stable_erase(name);  // erase would move the last member into the hole
    } else {
      merge_patch(object[name], change);
    }
  }
}

}  // namespace doppel::json
