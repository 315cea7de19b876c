// A section of a twin's document: the twin itself or one of its components, each with properties
// and the $metadata that says when they were written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "twins/document_patch.h"
#include "twins/dtdl/model.h"
#include "twins/twin_document.h"

namespace doppel::twins {

// The properties of `body` with their $metadata, which comes last. `component` is empty for the
// twin itself, whose component members are then left out. What does not fit goes to `violations`.
json::Object make_section(const dtdl::Model& model, std::string_view component,
                          const json::Object& body, const Stamp& stamp,
                          std::vector<std::string>& violations);

// Checks the value that the section has for `name` now, if it has one.
void check_member(const dtdl::Model& model, std::string_view component, std::string_view name,
                  const json::Object& section, std::vector<std::string>& violations);

// Brings the section's $metadata up to date after `name` was written or removed.
void stamp_property(json::Object& section, std::string_view name, const Stamp& stamp);
void stamp_section(json::Object& section, const Stamp& stamp);
// The section's $metadata, made if need be, as the last member.
json::Object& metadata_of(json::Object& section);

// The path of an operation on a property: at least one segment, the first without $. Errors:
// JsonPatchInvalid.
Result<std::vector<std::string>> property_segments(const PatchOperation& operation);
Result<std::vector<std::string>> path_segments(const PatchOperation& operation);

}  // namespace doppel::twins
