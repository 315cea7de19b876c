// Schemas of values: what a property, a telemetry or a field may hold, and the check of a value
// against one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "json/value.h"

namespace doppel::twins::dtdl {

enum class SchemaKind : std::uint8_t {
  boolean,
  date,
  date_time,
  double_number,
  duration,
  float_number,
  integer,
  long_integer,
  string,
  time,
  geospatial,
  array,
  enumeration,
  map,
  object,
};

struct Schema;
// Immutable once linked, shared by all models that use it.
using SchemaPtr = std::shared_ptr<const Schema>;

struct Field {
  std::string name;
  SchemaPtr schema;
};

struct Schema {
  SchemaKind kind = SchemaKind::string;
  std::size_t height = 0;  // complex schemas within each other, this one included
  bool is_barred_from_v2_properties = false;       // an Array or a geospatial schema is in it
  std::string term;                                // as messages name it: "double", "Map", "point"
  SchemaPtr element;                               // of array and map
  std::vector<Field> fields;                       // of object
  bool has_integer_values = false;                 // of enumeration: else strings
  std::unordered_set<std::string> enum_strings;    //
  std::unordered_set<std::int64_t> enum_integers;  //

  const Field* field(std::string_view name) const;
  bool is_numeric() const;
  bool is_complex() const { return kind >= SchemaKind::array; }
};

// The schema of a primitive or geospatial term ("double", "dtmi:dtdl:instance:Schema:double;2",
// "point"), or null.
SchemaPtr primitive_schema(std::string_view term);

// Strings longer than this are refused (published limit of Azure Digital Twins: 4 KB a string
// property).
inline constexpr std::size_t kStringBytesMax = 4 * 1024;
// Names of map keys (published limit: 1 KB a property name).
inline constexpr std::size_t kMapKeyBytesMax = 1024;

// Appends one line for each place in `value` that does not fit. `name` is what messages call the
// value, `where` the twin, component or relationship that has it. At most a handful of lines are
// written.
void check_value(const Schema& schema, const json::Value& value, std::string_view name,
                 std::string_view where, std::vector<std::string>& violations);

bool fits(const Schema& schema, const json::Value& value);

}  // namespace doppel::twins::dtdl
