#include "json/path.h"

namespace doppel::json {

const Value* find(const Value& document, std::span<const PathStep> path, NameCase name_case) {
  const Value* place = &document;
  for (const auto& step : path) {
    if (step.is_index) {
      const auto* array = place->if_array();
      place = array && step.index < array->size() ? &(*array)[step.index] : nullptr;
    } else {
      place = name_case == NameCase::exact ? find(*place, step.name)
                                           : find_ignoring_case(*place, step.name);
    }
    if (!place) return nullptr;
  }
  return place;
}

}  // namespace doppel::json
