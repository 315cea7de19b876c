#include "twins/dtdl/schema_parser.h"

#include <algorithm>
#include <array>
#include <memory>

#include <fmt/core.h>

#include "twins/dtdl/limits.h"
#include "twins/dtdl/terms.h"

namespace doppel::twins::dtdl {
namespace {

constexpr std::array<std::string_view, 1> kArrayMembers{"elementSchema"};
constexpr std::array<std::string_view, 2> kEnumMembers{"valueSchema", "enumValues"};
constexpr std::array<std::string_view, 2> kEnumValueMembers{"name", "enumValue"};
constexpr std::array<std::string_view, 2> kMapMembers{"mapKey", "mapValue"};
constexpr std::array<std::string_view, 1> kObjectMembers{"fields"};
constexpr std::array<std::string_view, 2> kNameAndSchema{"name", "schema"};

// Deeper than any document that passes; the JSON parser bounds it too.
constexpr std::size_t kWalkDepthMax = 64;

void include(Schema& outer, const Schema& inner) {
  outer.height = std::max(outer.height, inner.height + 1);
  outer.is_barred_from_v2_properties |= inner.is_barred_from_v2_properties;
}

}  // namespace

SchemaParser::SchemaParser(Scope& scope, const json::Value& document)
    : scope_(scope), document_(document) {
  collect_ids(document, true, 0);
}

void SchemaParser::collect_ids(const json::Value& value, bool is_root, std::size_t depth) {
  if (depth > kWalkDepthMax) return;
  if (value.is_array()) {
    for (const auto& element : value.get_array()) collect_ids(element, false, depth + 1);
    return;
  }
  if (!value.is_object()) return;
  if (const auto* id = is_root ? nullptr : json::find(value, "@id")) {
    if (!json::is_string(*id) || !is_dtmi(json::view(id->get_string()), scope_.dtdl_version)) {
      scope_.report("an element", "has an @id that is not a valid DTMI");
    } else {
      const auto text = json::view(id->get_string());
      if (text.size() > kElementIdLengthMax)
        scope_.report("an element", "has an @id that is too long");
      if (is_reserved(text))
        scope_.report(fmt::format("the element {}", text), "has an @id with a reserved prefix");
      if (text == scope_.interface || !by_id_.emplace(text, &value).second)
        scope_.report(fmt::format("the @id {}", text), "is given to more than one element");
    }
  }
  for (const auto& [key, member] : value.get_object()) collect_ids(member, false, depth + 1);
}

std::vector<std::string> SchemaParser::element_ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, ignored] : by_id_) ids.push_back(id);
  return ids;
}

SchemaPtr SchemaParser::schema_of(const Element& owner, SchemaUse use) {
  const auto* schema = json::find(owner.value(), "schema");
  if (schema == nullptr) {
    scope_.report(owner.label(), "has no schema");
    return nullptr;
  }
  auto parsed = parse(*schema, owner.label());
  if (!parsed) return nullptr;
  if (parsed->height > kSchemaDepthMax)
    scope_.report(owner.label(),
                  fmt::format("nests schemas deeper than {} levels", kSchemaDepthMax));
  if (use == SchemaUse::property && scope_.dtdl_version == 2 &&
      parsed->is_barred_from_v2_properties)
    scope_.report(owner.label(),
                  "has an Array or a geospatial schema, which a Property of DTDL v2 cannot have");
  return parsed;
}

void SchemaParser::check_all() {
  const auto* schemas = json::find(document_, "schemas");
  if (schemas == nullptr) return;
  for (const auto* schema : one_or_many(*schemas)) {
    const auto id = json::find_string(*schema, "@id");
    if (!id)
      scope_.report("schemas", "has an element without @id");
    else
      parse_reference(*id, fmt::format("the schema {}", *id));
  }
}

SchemaPtr SchemaParser::parse(const json::Value& value, const std::string& label) {
  if (value.is_object()) return parse_complex(value, label);
  if (!json::is_string(value)) {
    scope_.report(label, "has a schema that is neither a name nor an object");
    return nullptr;
  }
  const auto text = json::view(value.get_string());
  if (auto primitive = primitive_schema(text)) return primitive;
  return parse_reference(text, label);
}

SchemaPtr SchemaParser::parse_reference(std::string_view id, const std::string& label) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    scope_.report(label,
                  is_any_dtmi(id)
                      ? fmt::format("has the schema {}, which this interface does not define", id)
                      : fmt::format("has the unknown schema '{}'", id));
    return nullptr;
  }
  // Each is parsed once, however many refer to it: references within references would multiply.
  if (const auto known = parsed_.find(id); known != parsed_.end()) {
    if (known->second.is_open)
      scope_.report(label, fmt::format("uses the schema {} within itself", id));
    return known->second.schema;
  }
  parsed_.emplace(id, Parsed{});
  auto schema = parse_complex(*found->second, label);
  parsed_.insert_or_assign(std::string(id), Parsed{.schema = schema, .is_open = false});
  return schema;
}

SchemaPtr SchemaParser::parse_complex(const json::Value& value, const std::string& label) {
  // A chain of references may be as long as the document; it is refused before it can exhaust the
  // stack.
  if (depth_ >= kSchemaDepthMax) {
    scope_.report(label, fmt::format("nests schemas deeper than {} levels", kSchemaDepthMax));
    return nullptr;
  }
  ++depth_;
  auto schema = parse_complex_within(value, label);
  --depth_;
  return schema;
}

SchemaPtr SchemaParser::parse_complex_within(const json::Value& value, const std::string& label) {
  const Element element(scope_, value, label);
  const auto type = element.material_type({"Array", "Enum", "Map", "Object"});
  if (!type) return nullptr;
  element.check_annotations();
  auto schema = std::make_shared<Schema>();
  schema->term = *type;
  if (*type == "Array") {
    schema->kind = SchemaKind::array;
    element.check_members(kArrayMembers);
    const auto* inner = json::find(value, "elementSchema");
    schema->is_barred_from_v2_properties = true;
    if (inner == nullptr)
      scope_.report(label, "has an Array without elementSchema");
    else
      schema->element = parse(*inner, label);
  } else if (*type == "Enum") {
    schema->kind = SchemaKind::enumeration;
    element.check_members(kEnumMembers);
    parse_enum(element, *schema);
  } else if (*type == "Map") {
    schema->kind = SchemaKind::map;
    element.check_members(kMapMembers);
    parse_map(element, *schema);
  } else {
    schema->kind = SchemaKind::object;
    element.check_members(kObjectMembers);
    parse_object(element, *schema);
  }
  schema->height = 1;
  if (schema->element) include(*schema, *schema->element);
  for (const auto& field : schema->fields)
    if (field.schema) include(*schema, *field.schema);
  return schema;
}

void SchemaParser::parse_enum(const Element& element, Schema& schema) {
  const auto& label = element.label();
  const auto value_schema =
      term_of(json::find_string(element.value(), "valueSchema").value_or(std::string_view{}));
  if (value_schema != "integer" && value_schema != "string") {
    scope_.report(label, "has an Enum whose valueSchema is neither integer nor string");
    return;
  }
  schema.has_integer_values = value_schema == "integer";
  const auto* values = json::find(element.value(), "enumValues");
  const auto all = values == nullptr ? std::vector<const json::Value*>{} : one_or_many(*values);
  if (scope_.dtdl_version == 2 && (all.empty() || all.size() > kEnumValuesMaxV2))
    scope_.report(label, fmt::format("has an Enum with {} values; 1 to {} are allowed", all.size(),
                                     kEnumValuesMaxV2));
  std::set<std::string, std::less<>> names;
  for (const auto* value : all) {
    const Element inner(scope_, *value, fmt::format("{}, an enum value", label));
    if (!value->is_object()) {
      scope_.report(label, "has an enum value that is not an object");
      continue;
    }
    if (!inner.read_type({"EnumValue"}, kEnumValueMembers, true)) continue;
    inner.check_annotations();
    const auto name = inner.read_name();
    if (name && !names.emplace(*name).second)
      scope_.report(label, fmt::format("has the enum value '{}' more than once", *name));
    const auto* given = json::find(*value, "enumValue");
    bool is_new = false;
    if (given != nullptr && schema.has_integer_values && json::is_number(*given) &&
        json::to_int64(*given)) {
      is_new = schema.enum_integers.insert(*json::to_int64(*given)).second;
    } else if (given != nullptr && !schema.has_integer_values && json::is_string(*given)) {
      is_new = schema.enum_strings.emplace(json::view(given->get_string())).second;
    } else {
      scope_.report(label, fmt::format("has an enumValue that is not of type {}", value_schema));
      continue;
    }
    if (!is_new) scope_.report(label, "has two enum values with the same enumValue");
  }
}

void SchemaParser::parse_map(const Element& element, Schema& schema) {
  const auto& label = element.label();
  const auto* map_key = json::find(element.value(), "mapKey");
  const auto* map_value = json::find(element.value(), "mapValue");
  if (map_key == nullptr || map_value == nullptr) {
    scope_.report(label, "has a Map without mapKey or mapValue");
    return;
  }
  const Element key(scope_, *map_key, label + ", mapKey");
  if (!map_key->is_object() || !map_value->is_object()) {
    scope_.report(label, "has a Map whose mapKey or mapValue is not an object");
    return;
  }
  if (key.read_type({"MapKey"}, kNameAndSchema, true)) {
    key.check_annotations();
    key.read_name();
    if (term_of(json::get_string_or(*map_key, "schema", "")) != "string")
      scope_.report(label, "has a Map whose keys are not of schema string");
  }
  const Element inner(scope_, *map_value, label + ", mapValue");
  if (!inner.read_type({"MapValue"}, kNameAndSchema, true)) return;
  inner.check_annotations();
  inner.read_name();
  const auto* inner_schema = json::find(*map_value, "schema");
  if (inner_schema == nullptr) {
    scope_.report(inner.label(), "has no schema");
    return;
  }
  schema.element = parse(*inner_schema, inner.label());
  inner.check_unit(schema.element.get());
}

void SchemaParser::parse_object(const Element& element, Schema& schema) {
  const auto& label = element.label();
  const auto* fields = json::find(element.value(), "fields");
  const auto all = fields == nullptr ? std::vector<const json::Value*>{} : one_or_many(*fields);
  if (scope_.dtdl_version == 2 && (all.empty() || all.size() > kFieldsMaxV2))
    scope_.report(label, fmt::format("has an Object with {} fields; 1 to {} are allowed",
                                     all.size(), kFieldsMaxV2));
  std::set<std::string, std::less<>> names;
  for (const auto* field : all) {
    if (!field->is_object()) {
      scope_.report(label, "has a field that is not an object");
      continue;
    }
    const Element inner(
        scope_, *field,
        fmt::format("{}, field '{}'", label, json::get_string_or(*field, "name", "?")));
    if (!inner.read_type({"Field"}, kNameAndSchema, true)) continue;
    inner.check_annotations();
    const auto name = inner.read_name();
    const auto* field_schema = json::find(*field, "schema");
    if (field_schema == nullptr) {
      scope_.report(inner.label(), "has no schema");
      continue;
    }
    auto parsed = parse(*field_schema, inner.label());
    inner.check_unit(parsed.get());
    if (name && !names.emplace(*name).second)
      scope_.report(label, fmt::format("has the field '{}' more than once", *name));
    else if (name)
      schema.fields.push_back({std::string(*name), std::move(parsed)});
  }
}

}  // namespace doppel::twins::dtdl
