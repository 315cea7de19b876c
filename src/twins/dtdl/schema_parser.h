// The schemas of one interface document: primitive terms, complex schemas in place, and references
// to those that the same document defines.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "twins/dtdl/element.h"
#include "twins/dtdl/schema.h"

namespace doppel::twins::dtdl {

enum class SchemaUse : std::uint8_t {
  any,
  property,  // v2: no Array and no geospatial schema anywhere in it
};

// Collects every @id of `document` at once; resolves what is asked for. `document` must outlive it.
class SchemaParser {
 public:
  SchemaParser(Scope& scope, const json::Value& document);

  // The value of the member `schema`; null after a report.
  SchemaPtr schema_of(const Element& owner, SchemaUse use);
  // Parses what `schemas` lists, used or not, so that mistakes show.
  void check_all();
  std::vector<std::string> element_ids() const;

 private:
  void collect_ids(const json::Value& value, bool is_root, std::size_t depth);
  SchemaPtr parse(const json::Value& value, const std::string& label);
  SchemaPtr parse_reference(std::string_view id, const std::string& label);
  SchemaPtr parse_complex(const json::Value& value, const std::string& label);
  SchemaPtr parse_complex_within(const json::Value& value, const std::string& label);
  void parse_enum(const Element& element, Schema& schema);
  void parse_map(const Element& element, Schema& schema);
  void parse_object(const Element& element, Schema& schema);

  Scope& scope_;
  const json::Value& document_;
  std::size_t depth_ = 0;  // complex schemas that are being parsed
  std::map<std::string, const json::Value*, std::less<>> by_id_;
  struct Parsed {
    SchemaPtr schema;
    bool is_open = true;  // on the way down: a second visit is a cycle
  };
  std::map<std::string, Parsed, std::less<>> parsed_;  // what was referred to so far
};

}  // namespace doppel::twins::dtdl
