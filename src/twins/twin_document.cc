#include "twins/twin_document.h"

#include <algorithm>
#include <iterator>

#include <errors/twins.h>
#include <fmt/core.h>

#include "twins/dtdl/time_values.h"
#include "twins/names.h"
#include "twins/section.h"

namespace doppel::twins {
namespace {

using dtdl::ContentKind;

std::string model_missing(std::string_view id) {
  return fmt::format("The model {} does not exist.", id);
}

std::optional<std::string_view> model_named_by(const json::Object& body) {
  const auto* metadata = body.if_contains(names::kMetadata);
  return metadata == nullptr ? std::nullopt : json::find_string(*metadata, names::kModel);
}

void add_components(const dtdl::Model& model, const json::Object& body, const Stamp& stamp,
                    json::Object& out, std::vector<std::string>& violations) {
  for (const auto& content : model.contents()) {
    if (content.content.kind != ContentKind::component) continue;
    const auto& name = content.content.name;
    const auto* value = body.if_contains(name);
    if (value == nullptr)
      violations.push_back(
          fmt::format("The component {} is missing; all components must be supplied, "
                      "{{\"$metadata\": {{}}}} suffices.",
                      name));
    else if (!value->is_object())
      violations.push_back(fmt::format("Expected an object for the component {} on Twin.", name));
    else
      out[name] = make_section(*content.component, name, value->get_object(), stamp, violations);
  }
}

}  // namespace

Error validation_error(const std::vector<std::string>& violations) {
  std::string message(errors::twins::kValidationFailed.text);
  for (const auto& line : violations) {
    message += '\n';
    // Names come from clients and may hold anything.
    std::ranges::replace_copy(line, std::back_inserter(message), '\n', ' ');
  }
  return fail(errors::twins::kValidationFailed, std::move(message)).error();
}

Result<json::Object> make_twin_document(const ModelSet& models, const DigitalTwinId& id,
                                        const json::Object& body, const Stamp& stamp) {
  const auto model_id = model_named_by(body);
  if (!model_id)
    return fail(validation_error(
        {"The digital twin names no model; $metadata.$model must be the id of one."}));
  const auto* stored = models.find(*model_id);
  if (stored == nullptr) return fail(validation_error({model_missing(*model_id)}));

  std::vector<std::string> violations;
  json::Object section = make_section(*stored->model, {}, body, stamp, violations);
  json::Object document;
  document[names::kTwinId] = id.str();
  document[names::kEtag] = stamp.etag;
  json::Object metadata;
  metadata[names::kModel] = *model_id;
  for (auto& [name, value] : section) {
    if (std::string_view(name) != names::kMetadata) {
      document[name] = std::move(value);
      continue;
    }
    for (auto& [key, entry] : value.get_object()) metadata[key] = std::move(entry);
  }
  add_components(*stored->model, body, stamp, document, violations);
  document[names::kMetadata] = std::move(metadata);
  if (!violations.empty()) return fail(validation_error(violations));
  return document;
}

Result<const dtdl::Content*> find_relationship(const ModelSet& models, const Dtmi& source_model,
                                               std::string_view name) {
  const auto* stored = models.find(source_model.view());
  if (stored == nullptr) return fail(validation_error({model_missing(source_model.view())}));
  const auto* content = stored->model->find(name, ContentKind::relationship);
  if (content == nullptr)
    return fail(errors::twins::kInvalidRelationship,
                fmt::format("The relationship {} does not appear on the DTDL for the model {}.",
                            name, source_model.view()));
  return &content->content;
}

namespace {

// A relationship's properties; its names beginning with $ are the service's.
void check_relationship_property(const dtdl::Content& definition, std::string_view name,
                                 const json::Value& value, std::vector<std::string>& violations) {
  const auto found =
      std::ranges::find(definition.properties, name, &dtdl::RelationshipProperty::name);
  if (found == definition.properties.end())
    violations.push_back(fmt::format("{} does not appear on the DTDL for the relationship {}.",
                                     name, definition.name));
  else
    dtdl::check_value(*found->schema, value, name, definition.name, violations);
}

}  // namespace

Result<json::Object> make_relationship_document(const dtdl::Content& definition,
                                                const RelationshipEnds& ends,
                                                const json::Object& body, const Stamp& stamp) {
  json::Object document;
  document[names::kRelationshipId] = ends.id.str();
  document[names::kEtag] = stamp.etag;
  document[names::kSourceId] = ends.source.str();
  document[names::kTargetId] = ends.target.str();
  document[names::kRelationshipName] = definition.name;
  std::vector<std::string> violations;
  for (const auto& [name, value] : body) {
    if (document.contains(name) || std::string_view(name) == names::kMetadata ||
        std::string_view(name) == names::kRelationshipLink)
      continue;  // what a GET gave may be PUT back
    check_relationship_property(definition, name, value, violations);
    document[name] = value;
  }
  if (!violations.empty()) return fail(validation_error(violations));
  return document;
}

Result<json::Object> patch_relationship_document(const dtdl::Content& definition,
                                                 json::Object document,
                                                 std::span<const PatchOperation> patch,
                                                 const Stamp& stamp) {
  std::vector<std::string> touched;
  for (const auto& operation : patch) {
    auto segments = property_segments(operation);
    if (!segments) return fail(std::move(segments.error()));
    if (auto applied = apply_operation(document, *segments, operation); !applied)
      return fail(std::move(applied.error()));
    touched.push_back(segments->front());
  }
  std::vector<std::string> violations;
  for (const auto& name : touched)
    if (const auto* value = document.if_contains(name))
      check_relationship_property(definition, name, *value, violations);
  if (!violations.empty()) return fail(validation_error(violations));
  document[names::kEtag] = stamp.etag;
  return document;
}

bool is_component(const json::Value& member) {
  return member.is_object() && member.get_object().contains(names::kMetadata);
}

}  // namespace doppel::twins
