// Paths into documents as query languages have them: names and array indexes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "json/value.h"

namespace doppel::json {

struct PathStep {
  std::string_view name = {};  // of a member, if not an index
  std::uint32_t index = 0;     // of an element
  bool is_index = false;

  bool operator==(const PathStep&) const = default;
};

enum class NameCase : std::uint8_t { exact, ignored };  // an exact match wins over one that is not

// What `path` names in `document`, or null.
const Value* find(const Value& document, std::span<const PathStep> path,
                  NameCase name_case = NameCase::exact);

}  // namespace doppel::json
