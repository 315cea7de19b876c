// Builds and changes the documents of digital twins and relationships, checked against their
// models. Pure: no store, no clock.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "twins/api.h"
#include "twins/model_set.h"

namespace doppel::twins {

// What the service writes into a document.
struct Stamp {
  std::string etag;  // W/"<uuid>"
  std::string time;  // with seven fraction digits; the same for all that one request writes
};

// The error of a document that does not fit: the general message, then one line for each violation.
// The wire makes `details` of the lines.
Error validation_error(const std::vector<std::string>& violations);

// The document of a twin that is created, or replaced, with `body`. Errors: ValidationFailed,
// ModelDecommissioned.
Result<json::Object> make_twin_document(const ModelSet& models, const DigitalTwinId& id,
                                        const json::Object& body, const Stamp& stamp);

// Only what the patch touches is checked again, unless it changes the model. Errors:
// JsonPatchInvalid, ValidationFailed, ModelDecommissioned; the document is lost then.
Result<json::Object> patch_twin_document(const ModelSet& models, json::Object document,
                                         std::span<const PatchOperation> patch, const Stamp& stamp);

// The definition of a relationship that twins of `source_model` may have. Errors: ValidationFailed
// (the model is gone), InvalidRelationship.
Result<const dtdl::Content*> find_relationship(const ModelSet& models, const Dtmi& source_model,
                                               std::string_view name);

struct RelationshipEnds {
  RelationshipId id;
  DigitalTwinId source;
  DigitalTwinId target;
};
Result<json::Object> make_relationship_document(const dtdl::Content& definition,
                                                const RelationshipEnds& ends,
                                                const json::Object& body, const Stamp& stamp);
Result<json::Object> patch_relationship_document(const dtdl::Content& definition,
                                                 json::Object document,
                                                 std::span<const PatchOperation> patch,
                                                 const Stamp& stamp);

// The operations that make `after` of `before`: what an event says of a replaced document.
json::Array difference(const json::Object& before, const json::Object& after);

bool is_component(const json::Value& member);

}  // namespace doppel::twins
