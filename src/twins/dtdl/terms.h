// Names and identifiers of DTDL, and its vocabulary of semantic types and units.
#pragma once

#include <optional>
#include <string_view>

namespace doppel::twins::dtdl {

// `^[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?$`, without a bound on the length.
bool is_name(std::string_view text);

// A DTMI that a document may give an element: no system segments (`_x`), no fragment. Version: v2
// one number of at most nine digits; v3 none, major, or major.minor.
bool is_dtmi(std::string_view text, int dtdl_version);

// Either version's form: what clients may put into a path.
bool is_any_dtmi(std::string_view text);

// dtmi:dtdl: and dtmi:standard: belong to the language.
bool is_reserved(std::string_view dtmi);

// The name at the end of "dtmi:dtdl:class:Property;2" or "dtmi:standard:unit:lux;2"; other texts as
// they are.
std::string_view term_of(std::string_view text);

// The unit type of a semantic type ("Temperature" -> "TemperatureUnit"), or nothing if it is none.
// DTDL v2 has fewer than the extension quantitativeTypes;1 of v3.
std::optional<std::string_view> unit_type_of(std::string_view semantic_type, int dtdl_version);
bool is_unit_of(std::string_view unit, std::string_view unit_type, int dtdl_version);

}  // namespace doppel::twins::dtdl
