// One DTDL interface as its own document says it, nothing resolved: what the parser makes and the
// linker takes. The full, metamodel-driven parser can take the place of this one as long as it
// yields the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "twins/dtdl/schema.h"

namespace doppel::twins::dtdl {

enum class ContentKind : std::uint8_t { property, telemetry, relationship, component };
std::string_view to_string(ContentKind kind);

struct RelationshipProperty {
  std::string name;
  SchemaPtr schema;
};

struct Content {
  ContentKind kind = ContentKind::property;
  std::string name;
  SchemaPtr schema;                              // of property and telemetry
  std::string component_schema;                  // DTMI of a component's interface
  std::string target;                            // DTMI of a relationship's target; empty: any
  std::vector<RelationshipProperty> properties;  // of a relationship
};

struct Interface {
  std::string id;
  int dtdl_version = 2;
  std::vector<std::string> extends;
  std::vector<Content> contents;
  std::vector<std::string> element_ids;  // every other @id given in the document
  json::Object display_name;             // language -> text; empty without
  json::Object description;
};

// Lines for the one who wrote the documents, each naming interface and element. Bounded by
// kProblemsMax.
class Problems {
 public:
  void add(std::string line);
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  bool has_unsupported_version() const { return has_unsupported_version_; }
  void set_unsupported_version() { has_unsupported_version_ = true; }

 private:
  std::vector<std::string> lines_;
  bool has_unsupported_version_ = false;
};

// Parses one interface document. What is wrong goes to `problems`; the value is of use only if
// nothing was added.
Interface parse_interface(const json::Value& document, Problems& problems);

}  // namespace doppel::twins::dtdl
