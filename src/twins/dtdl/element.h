// What every element of a DTDL document has in common: type and co-types, allowed members, name,
// texts, unit.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "twins/dtdl/interface.h"
#include "twins/dtdl/schema.h"

namespace doppel::twins::dtdl {

// The interface that is being parsed.
struct Scope {
  std::string interface;
  Problems& problems;
  int dtdl_version = 2;
  std::set<std::string, std::less<>> extensions{};  // of its @context, v3

  // Adds "<interface>: <element> <what is wrong>." Always false, to be returned.
  bool report(std::string_view element, std::string_view problem);
};

// The elements of a plural property, which may be one value or an array of them.
std::vector<const json::Value*> one_or_many(const json::Value& value);

class Element {
 public:
  Element(Scope& scope, const json::Value& value, std::string label)
      : scope_(scope), value_(value), label_(std::move(label)) {}

  const json::Value& value() const { return value_; }
  const std::string& label() const { return label_; }
  Scope& scope() const { return scope_; }

  // The one of `materials` that @type names; reports when there is none, or several.
  std::optional<std::string_view> material_type(
      std::initializer_list<std::string_view> materials) const;
  // As above and then checks the members. `may_be_absent`: the type may be left out (fields, enum
  // values, map keys).
  bool read_type(std::initializer_list<std::string_view> materials,
                 std::span<const std::string_view> members, bool may_be_absent = false) const;
  // Reports members that are neither in `members` nor common to all elements.
  void check_members(std::span<const std::string_view> members) const;
  // @id, comment, description, displayName.
  void check_annotations() const;
  std::optional<std::string_view> read_name() const;
  void check_boolean(std::string_view member) const;
  // Semantic type and unit belong together and want a numeric schema.
  void check_unit(const Schema* schema) const;

 private:
  struct Types {
    std::vector<std::string_view> all;
    bool well_formed = true;
  };
  Types types() const;
  std::optional<std::string_view> semantic_type() const;
  bool has_undefined_cotype() const;
  void check_cotypes(std::string_view material) const;
  void check_localizable(std::string_view member, std::size_t length_max) const;

  Scope& scope_;
  const json::Value& value_;
  std::string label_;
};

}  // namespace doppel::twins::dtdl
