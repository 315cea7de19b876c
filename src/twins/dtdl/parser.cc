#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>

#include <fmt/core.h>

#include "twins/dtdl/element.h"
#include "twins/dtdl/interface.h"
#include "twins/dtdl/limits.h"
#include "twins/dtdl/schema_parser.h"
#include "twins/dtdl/terms.h"

namespace doppel::twins::dtdl {
namespace {

constexpr std::array<std::string_view, 3> kInterfaceMembers{"contents", "extends", "schemas"};
constexpr std::array<std::string_view, 4> kPropertyMembers{"name", "schema", "writable", "unit"};
constexpr std::array<std::string_view, 3> kTelemetryMembers{"name", "schema", "unit"};
constexpr std::array<std::string_view, 6> kRelationshipMembers{
    "name", "target", "minMultiplicity", "maxMultiplicity", "properties", "writable"};
constexpr std::array<std::string_view, 2> kComponentMembers{"name", "schema"};

class InterfaceParser {
 public:
  explicit InterfaceParser(Problems& problems) : problems_(problems) {}

  Interface parse(const json::Value& document) {
    if (!document.is_object()) {
      problems_.add("A model must be a JSON object that is a DTDL Interface.");
      return {};
    }
    const auto id = json::find_string(document, "@id");
    out_.id = id.value_or("");
    scope_.interface = out_.id.empty() ? "A model without @id" : out_.id;
    if (!read_context(document)) return std::move(out_);
    scope_.dtdl_version = out_.dtdl_version;
    check_id(id);
    const Element element(scope_, document, "the interface");
    if (!element.read_type({"Interface"}, kInterfaceMembers)) return std::move(out_);
    element.check_annotations();
    out_.display_name = localized(document, "displayName");
    out_.description = localized(document, "description");
    SchemaParser schemas(scope_, document);
    schemas_ = &schemas;
    read_extends(document);
    read_contents(document);
    schemas.check_all();
    out_.element_ids = schemas.element_ids();
    return std::move(out_);
  }

 private:
  // The DTDL version from @context; false if nothing can be said about the rest.
  bool read_context(const json::Value& document) {
    const auto* context = json::find(document, "@context");
    if (context == nullptr) return scope_.report("the interface", "has no @context");
    const auto entries = one_or_many(*context);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!json::is_string(*entries[i]))
        return scope_.report(
            "@context",
            "must be a string or an array of strings; local contexts are not supported");
      if (!read_context_entry(json::view(entries[i]->get_string()), i == 0)) return false;
    }
    return entries.empty() ? scope_.report("the interface", "has an empty @context") : true;
  }

  bool read_context_entry(std::string_view text, bool is_first) {
    if (is_first) {
      if (text == "dtmi:dtdl:context;2") {
        out_.dtdl_version = 2;
      } else if (text == "dtmi:dtdl:context;3") {
        out_.dtdl_version = 3;
      } else {
        if (text.starts_with("dtmi:dtdl:context;")) problems_.set_unsupported_version();
        return scope_.report(
            "@context", fmt::format("begins with '{}'; it must begin with dtmi:dtdl:context;2 or "
                                    "dtmi:dtdl:context;3",
                                    text));
      }
      return true;
    }
    // The extensions that Azure Digital Twins takes (its page on models, "Feature extensions").
    constexpr std::array<std::string_view, 4> kExtensions{
        "dtmi:dtdl:extension:quantitativeTypes;1", "dtmi:dtdl:extension:annotation;1",
        "dtmi:dtdl:extension:historization;1", "dtmi:dtdl:extension:overriding;1"};
    if (out_.dtdl_version == 3) {
      if (std::ranges::find(kExtensions, text) == kExtensions.end())
        return scope_.report("@context", fmt::format("names the unknown extension '{}'", text));
      scope_.extensions.insert(std::string(text));
    } else if (!text.starts_with("dtmi:")) {
      return scope_.report("@context",
                           fmt::format("has the entry '{}', which is not a DTMI", text));
    }
    return true;
  }

  void check_id(std::optional<std::string_view> id) {
    if (!id) {
      scope_.report("the interface", "has no @id");
    } else if (!is_dtmi(*id, out_.dtdl_version)) {
      scope_.report("@id", "is not a valid DTMI");
    } else if (id->size() > kInterfaceIdLengthMax) {
      scope_.report("@id", fmt::format("is longer than {} characters", kInterfaceIdLengthMax));
    } else if (is_reserved(*id)) {
      scope_.report("@id", "begins with a reserved prefix");
    }
  }

  // As the service shows it: a plain string is English.
  static json::Object localized(const json::Value& document, std::string_view name) {
    const auto* value = json::find(document, name);
    if (value == nullptr) return {};
    if (json::is_string(*value)) return json::Object{{"en", *value}};
    if (value->is_object()) return value->get_object();
    json::Object out;
    for (const auto* entry : one_or_many(*value)) {
      const auto text = json::find_string(*entry, "@value");
      if (text) out[json::get_string_or(*entry, "@language", "en")] = *text;
    }
    return out;
  }

  void read_extends(const json::Value& document) {
    const auto* extends = json::find(document, "extends");
    if (extends == nullptr) return;
    std::set<std::string_view> seen;
    for (const auto* base : one_or_many(*extends)) {
      if (!json::is_string(*base)) {
        scope_.report("extends",
                      "must hold DTMIs; an interface cannot be defined inside another one");
        continue;
      }
      const auto id = json::view(base->get_string());
      if (!is_any_dtmi(id))
        scope_.report("extends", fmt::format("has the value '{}', which is not a DTMI", id));
      else if (id == out_.id)
        scope_.report("extends", "names the interface itself");
      else if (seen.insert(id).second)
        out_.extends.emplace_back(id);
    }
    const auto extends_max = out_.dtdl_version == 2 ? kExtendsMaxV2 : kExtendsMaxV3;
    if (out_.extends.size() > extends_max)
      scope_.report("extends", fmt::format("has {} interfaces, more than {}", out_.extends.size(),
                                           extends_max));
  }

  void read_contents(const json::Value& document) {
    const auto* contents = json::find(document, "contents");
    if (contents == nullptr) return;
    std::set<std::string, std::less<>> names;
    const auto all = one_or_many(*contents);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto given = json::find_string(*all[i], "name");
      const auto label = given ? fmt::format("'{}'", *given) : fmt::format("contents[{}]", i);
      auto content = read_content(*all[i], label);
      if (content && !names.insert(content->name).second)
        scope_.report(label, "appears more than once in contents; names must be unique");
      else if (content)
        out_.contents.push_back(std::move(*content));
    }
  }

  std::optional<Content> read_content(const json::Value& value, const std::string& label) {
    const Element element(scope_, value, label);
    const auto type =
        element.material_type({"Property", "Telemetry", "Relationship", "Component", "Command"});
    if (!type) return std::nullopt;
    if (*type == "Command") {
      scope_.report(label, "is a Command; models of digital twins must not define commands");
      return std::nullopt;
    }
    element.check_annotations();
    Content content;
    if (const auto name = element.read_name()) content.name = *name;
    if (*type == "Property") {
      content.kind = ContentKind::property;
      element.check_members(kPropertyMembers);
      content.schema = schemas_->schema_of(element, SchemaUse::property);
      element.check_boolean("writable");
      element.check_unit(content.schema.get());
    } else if (*type == "Telemetry") {
      content.kind = ContentKind::telemetry;
      element.check_members(kTelemetryMembers);
      content.schema = schemas_->schema_of(element, SchemaUse::any);
      element.check_unit(content.schema.get());
    } else if (*type == "Component") {
      content.kind = ContentKind::component;
      element.check_members(kComponentMembers);
      read_component(value, label, content);
    } else {
      content.kind = ContentKind::relationship;
      element.check_members(kRelationshipMembers);
      read_relationship(element, value, label, content);
    }
    if (content.name.empty()) return std::nullopt;
    return content;
  }

  void read_component(const json::Value& value, const std::string& label, Content& content) {
    const auto* schema = json::find(value, "schema");
    if (schema == nullptr) {
      scope_.report(label, "has no schema");
    } else if (!json::is_string(*schema)) {
      scope_.report(
          label,
          "must name its interface by DTMI; an interface cannot be defined inside another one");
    } else if (!is_any_dtmi(json::view(schema->get_string()))) {
      scope_.report(label, fmt::format("has the schema '{}', which is not the DTMI of an interface",
                                       json::view(schema->get_string())));
    } else {
      content.component_schema = json::view(schema->get_string());
    }
  }

  void read_relationship(const Element& element, const json::Value& value, const std::string& label,
                         Content& content) {
    if (const auto* target = json::find(value, "target")) {
      if (json::is_string(*target) && is_any_dtmi(json::view(target->get_string())))
        content.target = json::view(target->get_string());
      else
        scope_.report(label, "has a target that is not a DTMI");
    }
    element.check_boolean("writable");
    read_multiplicity(value, label);
    const auto* properties = json::find(value, "properties");
    if (properties == nullptr) return;
    std::set<std::string, std::less<>> names;
    for (const auto* property : one_or_many(*properties)) {
      const auto name = json::get_string_or(*property, "name", "?");
      const Element inner(scope_, *property, fmt::format("{}, property '{}'", label, name));
      if (!inner.read_type({"Property"}, kPropertyMembers)) continue;
      inner.check_annotations();
      const auto inner_name = inner.read_name();
      auto schema = schemas_->schema_of(inner, SchemaUse::property);
      inner.check_boolean("writable");
      inner.check_unit(schema.get());
      if (inner_name && !names.emplace(*inner_name).second)
        scope_.report(label, fmt::format("has the property '{}' more than once", *inner_name));
      else if (inner_name)
        content.properties.push_back({std::string(*inner_name), std::move(schema)});
    }
    if (out_.dtdl_version == 2 && content.properties.size() > kRelationshipPropertiesMaxV2)
      scope_.report(label,
                    fmt::format("has more than {} properties", kRelationshipPropertiesMaxV2));
  }

  void read_multiplicity(const json::Value& value, const std::string& label) {
    if (const auto* least = json::find(value, "minMultiplicity"))
      if (!json::is_number(*least) || json::to_int64(*least) != 0)
        scope_.report(label, "has a minMultiplicity other than 0");
    if (const auto* most = json::find(value, "maxMultiplicity")) {
      const auto number = json::is_number(*most) ? json::to_int64(*most) : std::nullopt;
      if (!number || *number < 1 || (out_.dtdl_version == 2 && *number > kMaxMultiplicityMaxV2))
        scope_.report(label, out_.dtdl_version == 2
                                 ? "has a maxMultiplicity that is not within 1 and 500"
                                 : "has a maxMultiplicity that is not 1 or more");
    }
  }

  Problems& problems_;
  Scope scope_{.interface = {}, .problems = problems_};
  Interface out_;
  SchemaParser* schemas_ = nullptr;
};

}  // namespace

std::string_view to_string(ContentKind kind) {
  switch (kind) {
    case ContentKind::property:
      return "property";
    case ContentKind::telemetry:
      return "telemetry";
    case ContentKind::relationship:
      return "relationship";
    case ContentKind::component:
      return "component";
  }
  return "content";
}

void Problems::add(std::string line) {
  if (lines_.size() < kProblemsMax && std::ranges::find(lines_, line) == lines_.end())
    lines_.push_back(std::move(line));
}

Interface parse_interface(const json::Value& document, Problems& problems) {
  return InterfaceParser(problems).parse(document);
}

}  // namespace doppel::twins::dtdl
