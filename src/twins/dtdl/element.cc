#include "twins/dtdl/element.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "twins/dtdl/limits.h"
#include "twins/dtdl/terms.h"

namespace doppel::twins::dtdl {
namespace {

constexpr std::array<std::string_view, 6> kCommonMembers{"@id",     "@type",       "@context",
                                                         "comment", "description", "displayName"};

// Classes of the language itself: never an undefined co-type.
constexpr std::array<std::string_view, 16> kMaterialClasses{
    "Interface",      "Property",       "Telemetry", "Relationship", "Component", "Command",
    "CommandPayload", "Array",          "Enum",      "EnumValue",    "Map",       "MapKey",
    "MapValue",       "CommandRequest", "Object",    "Field"};

// Co-types and members that v3's feature extensions add.
struct ExtensionTerm {
  std::string_view name;
  std::string_view extension;
};
constexpr std::array<ExtensionTerm, 3> kExtensionTypes{{
    {"ValueAnnotation", "dtmi:dtdl:extension:annotation;1"},
    {"Historized", "dtmi:dtdl:extension:historization;1"},
    {"Override", "dtmi:dtdl:extension:overriding;1"},
}};
constexpr std::array<ExtensionTerm, 2> kExtensionMembers{{
    {"annotates", "dtmi:dtdl:extension:annotation;1"},
    {"overrides", "dtmi:dtdl:extension:overriding;1"},
}};
constexpr std::string_view kQuantitativeTypes = "dtmi:dtdl:extension:quantitativeTypes;1";

std::size_t length_in_characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// BCP 47, as far as DTDL wants it: letters and digits in groups of 1 to 8 joined by '-', letters
// first.
bool is_language_tag(std::string_view tag) {
  bool is_first = true;
  while (true) {
    const auto dash = tag.find('-');
    const auto part = tag.substr(0, dash);
    if (part.empty() || part.size() > 8) return false;
    for (const char c : part) {
      const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!is_letter && (is_first || c < '0' || c > '9')) return false;
    }
    if (dash == std::string_view::npos) return true;
    tag.remove_prefix(dash + 1);
    is_first = false;
  }
}

template <std::size_t N>
const ExtensionTerm* find_term(const std::array<ExtensionTerm, N>& terms, std::string_view name) {
  const auto found = std::ranges::find(terms, name, &ExtensionTerm::name);
  return found == terms.end() ? nullptr : &*found;
}

}  // namespace

bool Scope::report(std::string_view element, std::string_view problem) {
  problems.add(fmt::format("{}: {} {}.", interface, element, problem));
  return false;
}

std::vector<const json::Value*> one_or_many(const json::Value& value) {
  std::vector<const json::Value*> out;
  if (value.is_array())
    for (const auto& element : value.get_array()) out.push_back(&element);
  else
    out.push_back(&value);
  return out;
}

Element::Types Element::types() const {
  Types types;
  const auto* type = json::find(value_, "@type");
  if (type == nullptr) return types;
  for (const auto* entry : one_or_many(*type)) {
    if (json::is_string(*entry))
      types.all.push_back(term_of(json::view(entry->get_string())));
    else
      types.well_formed = false;
  }
  return types;
}

std::optional<std::string_view> Element::material_type(
    std::initializer_list<std::string_view> materials) const {
  if (!value_.is_object()) {
    scope_.report(label_, "must be a JSON object");
    return std::nullopt;
  }
  const auto given = types();
  std::optional<std::string_view> found;
  for (const auto material : materials) {
    if (std::ranges::find(given.all, material) == given.all.end()) continue;
    if (found) {
      scope_.report(label_, fmt::format("has both types {} and {}", *found, material));
      return std::nullopt;
    }
    found = material;
  }
  if (!found || !given.well_formed) {
    std::string names;
    for (const auto material : materials)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", material);
    scope_.report(label_, fmt::format("needs an @type that is one of: {}", names));
    return std::nullopt;
  }
  check_cotypes(*found);
  return found;
}

void Element::check_cotypes(std::string_view material) const {
  std::size_t semantic_types = 0;
  for (const auto type : types().all) {
    if (type == material) continue;
    if (std::ranges::find(kMaterialClasses, type) != kMaterialClasses.end()) {
      scope_.report(label_, fmt::format("has the type {} besides {}", type, material));
    } else if (unit_type_of(type, scope_.dtdl_version) &&
               (scope_.dtdl_version == 2 || scope_.extensions.contains(kQuantitativeTypes))) {
      if (++semantic_types == 2) scope_.report(label_, "has more than one semantic type");
      const bool is_allowed =
          material == "Property" || material == "Telemetry" ||
          (scope_.dtdl_version > 2 && (material == "Field" || material == "MapValue"));
      if (!is_allowed) scope_.report(label_, fmt::format("cannot have the semantic type {}", type));
    } else if (scope_.dtdl_version > 2) {
      const auto* term = find_term(kExtensionTypes, type);
      if (term == nullptr || !scope_.extensions.contains(term->extension))
        scope_.report(label_, fmt::format("has the undefined type {}", type));
    } else if (type.starts_with("dtmi:") && !is_any_dtmi(type)) {
      scope_.report(label_, fmt::format("has the type '{}', which is not a valid DTMI", type));
    }
  }
}

bool Element::has_undefined_cotype() const {
  if (scope_.dtdl_version > 2) return false;
  return std::ranges::any_of(types().all, [&](std::string_view type) {
    return std::ranges::find(kMaterialClasses, type) == kMaterialClasses.end() &&
           !unit_type_of(type, scope_.dtdl_version);
  });
}

std::optional<std::string_view> Element::semantic_type() const {
  for (const auto type : types().all)
    if (unit_type_of(type, scope_.dtdl_version)) return type;
  return std::nullopt;
}

bool Element::read_type(std::initializer_list<std::string_view> materials,
                        std::span<const std::string_view> members, bool may_be_absent) const {
  if (may_be_absent && value_.is_object() && json::find(value_, "@type") == nullptr) {
    check_members(members);
    return true;
  }
  if (!material_type(materials)) return false;
  check_members(members);
  return true;
}

void Element::check_members(std::span<const std::string_view> members) const {
  if (has_undefined_cotype()) return;  // v2: an undefined co-type may bring members of its own
  for (const auto& [key, ignored] : value_.get_object()) {
    const std::string_view name = key;
    if (std::ranges::find(members, name) != members.end()) continue;
    if (std::ranges::find(kCommonMembers, name) != kCommonMembers.end()) continue;
    const auto* term = find_term(kExtensionMembers, name);
    if (term != nullptr && scope_.extensions.contains(term->extension)) continue;
    if (name == "unit" && semantic_type()) continue;  // v3: fields and map values may be quantities
    scope_.report(label_, fmt::format("has the unknown member '{}'", name));
  }
}

void Element::check_annotations() const {
  const bool is_v2 = scope_.dtdl_version == 2;
  check_localizable("displayName", is_v2 ? kDisplayNameLengthMaxV2 : kDisplayNameLengthMaxV3);
  check_localizable("description", kTextLengthMax);
  if (const auto* comment = json::find(value_, "comment")) {
    if (!json::is_string(*comment))
      scope_.report(label_, "has a comment that is not a string");
    else if (length_in_characters(json::view(comment->get_string())) > kTextLengthMax)
      scope_.report(label_, fmt::format("has a comment longer than {} characters", kTextLengthMax));
  }
}

void Element::check_localizable(std::string_view member, std::size_t length_max) const {
  const auto* value = json::find(value_, member);
  if (value == nullptr) return;
  const auto check_text = [&](const json::Value* text) {
    if (text == nullptr || !json::is_string(*text))
      scope_.report(label_, fmt::format("has a {} that is not text", member));
    else if (length_in_characters(json::view(text->get_string())) > length_max)
      scope_.report(label_, fmt::format("has a {} longer than {} characters", member, length_max));
  };
  const auto check_language = [&](std::string_view tag) {
    if (!is_language_tag(tag))
      scope_.report(label_, fmt::format("has a {} in the unknown language '{}'", member, tag));
  };
  if (value->is_object() && json::find(*value, "@value") == nullptr) {
    for (const auto& [tag, text] : value->get_object()) {
      check_language(tag);
      check_text(&text);
    }
    return;
  }
  for (const auto* entry : one_or_many(*value)) {
    if (entry->is_object()) {
      check_language(json::get_string_or(*entry, "@language", "en"));
      check_text(json::find(*entry, "@value"));
    } else {
      check_text(entry);
    }
  }
}

std::optional<std::string_view> Element::read_name() const {
  const auto name = json::find_string(value_, "name");
  const auto length_max = scope_.dtdl_version == 2 ? kNameLengthMaxV2 : kNameLengthMaxV3;
  if (!name) {
    scope_.report(label_, "has no name");
  } else if (!is_name(*name)) {
    scope_.report(label_,
                  "has an invalid name; names are letters, digits and underscores, begin with a "
                  "letter and do not "
                  "end with an underscore");
  } else if (name->size() > length_max) {
    scope_.report(label_, fmt::format("has a name longer than {} characters", length_max));
  } else {
    return name;
  }
  return std::nullopt;
}

void Element::check_boolean(std::string_view member) const {
  const auto* value = json::find(value_, member);
  if (value != nullptr && !value->is_bool())
    scope_.report(label_, fmt::format("has a value of {} that is neither true nor false", member));
}

void Element::check_unit(const Schema* schema) const {
  const auto* unit = json::find(value_, "unit");
  const auto semantic = semantic_type();
  if (!semantic) {
    if (unit != nullptr && !has_undefined_cotype())
      scope_.report(label_, "has a unit but no semantic type");
    return;
  }
  if (schema != nullptr && !schema->is_numeric())
    scope_.report(label_,
                  fmt::format("has the semantic type {}, which needs a numeric schema", *semantic));
  if (unit == nullptr || !json::is_string(*unit)) {
    scope_.report(label_, fmt::format("has the semantic type {} but no unit", *semantic));
    return;
  }
  const auto unit_type = unit_type_of(*semantic, scope_.dtdl_version);
  const auto term = term_of(json::view(unit->get_string()));
  if (!is_unit_of(term, *unit_type, scope_.dtdl_version))
    scope_.report(label_, fmt::format("has the unit '{}', which is not a {}", term, *unit_type));
}

}  // namespace doppel::twins::dtdl
