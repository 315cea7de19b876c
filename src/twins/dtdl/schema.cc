#include "twins/dtdl/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "twins/dtdl/time_values.h"

namespace doppel::twins::dtdl {
namespace {

// More lines would not help whoever reads the answer.
constexpr std::size_t kViolationsMax = 50;

std::map<std::string, SchemaPtr, std::less<>> make_primitives() {
  constexpr std::array<std::pair<std::string_view, SchemaKind>, 10> kPrimitives{{
      {"boolean", SchemaKind::boolean},
      {"date", SchemaKind::date},
      {"dateTime", SchemaKind::date_time},
      {"double", SchemaKind::double_number},
      {"duration", SchemaKind::duration},
      {"float", SchemaKind::float_number},
      {"integer", SchemaKind::integer},
      {"long", SchemaKind::long_integer},
      {"string", SchemaKind::string},
      {"time", SchemaKind::time},
  }};
  constexpr std::array<std::string_view, 6> kGeospatial{
      "point", "multiPoint", "lineString", "multiLineString", "polygon", "multiPolygon"};
  std::map<std::string, SchemaPtr, std::less<>> schemas;
  const auto add = [&](std::string_view term, SchemaKind kind, std::string_view id_prefix) {
    auto schema = std::make_shared<Schema>();
    schema->kind = kind;
    schema->term = term;
    schema->is_barred_from_v2_properties = kind == SchemaKind::geospatial;
    schemas.emplace(term, schema);
    for (const char* version : {"2", "3"})
      schemas.emplace(fmt::format("{}{};{}", id_prefix, term, version), schema);
  };
  for (const auto& [term, kind] : kPrimitives) add(term, kind, "dtmi:dtdl:instance:Schema:");
  for (const auto term : kGeospatial)
    add(term, SchemaKind::geospatial, "dtmi:standard:schema:geospatial:");
  return schemas;
}

bool fits_geospatial(std::string_view term, const json::Value& value) {
  const auto type = json::find_string(value, "type");
  const auto* coordinates = json::find(value, "coordinates");
  if (!type || !coordinates || !coordinates->is_array() || term.empty()) return false;
  // GeoJSON writes the same words with a capital (RFC 7946 section 3.1).
  return type->size() == term.size() && (*type)[0] == term[0] - ('a' - 'A') &&
         type->substr(1) == term.substr(1);
}

bool fits_plain(const Schema& schema, const json::Value& value) {
  switch (schema.kind) {
    case SchemaKind::boolean:
      return value.is_bool();
    case SchemaKind::double_number:
      return json::is_number(value) && std::isfinite(json::to_double(value));
    case SchemaKind::float_number:
      return json::is_number(value) &&
             std::abs(json::to_double(value)) <= std::numeric_limits<float>::max();
    case SchemaKind::integer: {
      if (!json::is_number(value)) return false;
      const auto number = json::to_int64(value);
      return number && *number >= std::numeric_limits<std::int32_t>::min() &&
             *number <= std::numeric_limits<std::int32_t>::max();
    }
    case SchemaKind::long_integer:
      return json::is_number(value) && json::to_int64(value).has_value();
    case SchemaKind::string:
      return json::is_string(value);
    case SchemaKind::date:
      return json::is_string(value) && is_date(json::view(value.get_string()));
    case SchemaKind::date_time:
      return json::is_string(value) && is_date_time(json::view(value.get_string()));
    case SchemaKind::time:
      return json::is_string(value) && is_time(json::view(value.get_string()));
    case SchemaKind::duration:
      return json::is_string(value) && is_duration(json::view(value.get_string()));
    case SchemaKind::geospatial:
      return fits_geospatial(schema.term, value);
    case SchemaKind::enumeration:
      if (schema.has_integer_values) {
        if (!json::is_number(value)) return false;
        const auto number = json::to_int64(value);
        return number && schema.enum_integers.contains(*number);
      }
      return json::is_string(value) &&
             schema.enum_strings.contains(std::string(json::view(value.get_string())));
    case SchemaKind::array:
      return value.is_array();
    case SchemaKind::map:
    case SchemaKind::object:
      return value.is_object();
  }
  return false;
}

void report(std::vector<std::string>& violations, std::string line) {
  if (violations.size() < kViolationsMax) violations.push_back(std::move(line));
}

}  // namespace

const Field* Schema::field(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

bool Schema::is_numeric() const {
  return kind == SchemaKind::double_number || kind == SchemaKind::float_number ||
         kind == SchemaKind::integer || kind == SchemaKind::long_integer;
}

SchemaPtr primitive_schema(std::string_view term) {
  static const auto schemas = make_primitives();
  const auto found = schemas.find(term);
  return found == schemas.end() ? nullptr : found->second;
}

void check_value(const Schema& schema, const json::Value& value, std::string_view name,
                 std::string_view where, std::vector<std::string>& violations) {
  if (value.is_null()) {
    report(violations, fmt::format("{} on {} cannot be null; remove it to clear it.", name, where));
    return;
  }
  if (!fits_plain(schema, value)) {
    report(violations,
           fmt::format("Expected value of type {} for {} on {}.", schema.term, name, where));
    return;
  }
  switch (schema.kind) {
    case SchemaKind::string:
      if (value.get_string().size() > kStringBytesMax)
        report(violations, fmt::format("The value of {} on {} is longer than {} bytes.", name,
                                       where, kStringBytesMax));
      return;
    case SchemaKind::array:
      for (std::size_t i = 0; i < value.get_array().size(); ++i)
        check_value(*schema.element, value.get_array()[i], fmt::format("{}/{}", name, i), where,
                    violations);
      return;
    case SchemaKind::map:
      for (const auto& [key, element] : value.get_object()) {
        const auto path = fmt::format("{}/{}", name, std::string_view(key));
        // A name that begins with $ would be taken for one of the service's own.
        if (key.empty() || key.front() == '$' || key.size() > kMapKeyBytesMax)
          report(violations, fmt::format("{} on {} is not a valid key of a Map.", path, where));
        else
          check_value(*schema.element, element, path, where, violations);
      }
      return;
    case SchemaKind::object:
      for (const auto& [key, element] : value.get_object()) {
        const auto path = fmt::format("{}/{}", name, std::string_view(key));
        if (const auto* field = schema.field(key))
          check_value(*field->schema, element, path, where, violations);
        else
          report(violations, fmt::format("{} does not appear on the DTDL for {}.", path, where));
      }
      return;
    default:
      return;
  }
}

bool fits(const Schema& schema, const json::Value& value) {
  std::vector<std::string> violations;
  check_value(schema, value, {}, {}, violations);
  return violations.empty();
}

}  // namespace doppel::twins::dtdl
