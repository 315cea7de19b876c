// Patching a twin's document (digital twins reference, "Update digital twin with JSON Patch").
#include <algorithm>
#include <set>
#include <utility>

#include <errors/twins.h>
#include <fmt/core.h>

#include "json/pointer.h"
#include "twins/dtdl/time_values.h"
#include "twins/names.h"
#include "twins/section.h"
#include "twins/twin_document.h"

namespace doppel::twins {
namespace {

using dtdl::ContentKind;
using Op = PatchOperation::Op;

class TwinPatch {
 public:
  TwinPatch(const ModelSet& models, json::Object document, const Stamp& stamp)
      : models_(models), document_(std::move(document)), stamp_(stamp), old_model_(model_id()) {}

  Result<json::Object> run(std::span<const PatchOperation> patch) {
    for (const auto& operation : patch) {
      auto segments = path_segments(operation);
      if (!segments) return fail(std::move(segments.error()));
      if (auto applied = apply(operation, *segments); !applied)
        return fail(std::move(applied.error()));
    }
    if (auto finished = finish(); !finished) return fail(std::move(finished.error()));
    return std::move(document_);
  }

 private:
  // A property of the twin (no component) or of a component.
  using Place = std::pair<std::string, std::string>;

  std::string model_id() const {
    const auto* metadata = document_.if_contains(names::kMetadata);
    return metadata == nullptr ? std::string() : json::get_string_or(*metadata, names::kModel, "");
  }

  json::Object* section(const std::string& component) {
    if (component.empty()) return &document_;
    auto* member = document_.if_contains(component);
    return member != nullptr && member->is_object() ? &member->get_object() : nullptr;
  }

  Status apply(const PatchOperation& operation, std::span<const std::string> segments) {
    const auto& name = segments.front();
    if (name == names::kMetadata) return apply_metadata(operation, {}, segments.subspan(1));
    if (name.starts_with('$')) return patch_error(operation, "cannot be patched");
    const auto* member = document_.if_contains(name);
    if (member == nullptr || !is_component(*member)) {
      touched_.insert(Place({}, name));
      return apply_operation(document_, segments, operation);
    }
    if (segments.size() == 1) return apply_component(operation, name);
    if (segments[1] == names::kMetadata)
      return apply_metadata(operation, name, segments.subspan(2));
    if (segments[1].starts_with('$')) return patch_error(operation, "cannot be patched");
    touched_.insert(Place(name, segments[1]));
    return apply_operation(*section(name), segments.subspan(1), operation);
  }

  // A component as a whole. Removing one is right only if the model changes in the same patch;
  // finish() sees.
  Status apply_component(const PatchOperation& operation, const std::string& name) {
    whole_.insert(name);
    std::erase_if(touched_, [&](const Place& place) { return place.first == name; });
    if (operation.op == Op::remove) {
      document_.stable_erase(document_.find(name));
      return {};
    }
    if (!operation.value.is_object())
      return patch_error(operation, "is a component and needs an object");
    auto value = operation.value;
    metadata_of(value.get_object());  // so that later operations know it for a component
    document_.insert_or_assign(name, std::move(value));
    return {};
  }

  // $metadata/$model of the twin, and $metadata/<property>/sourceTime.
  Status apply_metadata(const PatchOperation& operation, const std::string& component,
                        std::span<const std::string> rest) {
    const bool is_model = component.empty() && rest.size() == 1 && rest[0] == names::kModel;
    const bool is_source_time =
        rest.size() == 2 && rest[1] == names::kSourceTime && !rest[0].starts_with('$');
    if (!is_model && !is_source_time) return patch_error(operation, "cannot be patched");
    if (is_model) {
      if (operation.op == Op::remove || !json::is_string(operation.value))
        return patch_error(operation, "needs the id of a model");
      metadata_of(document_).insert_or_assign(names::kModel, operation.value);
      return {};
    }
    if (operation.op == Op::remove) {
      source_times_.emplace_back(Place(component, rest[0]), json::Value());
      return {};
    }
    if (!json::is_string(operation.value) ||
        !dtdl::is_date_time(json::view(operation.value.get_string())))
      return patch_error(operation, "needs an ISO 8601 time");
    source_times_.emplace_back(Place(component, rest[0]), operation.value);
    return {};
  }

  Status finish() {
    const auto id = model_id();
    const auto* stored = models_.find(id);
    if (stored == nullptr)
      return fail(validation_error({fmt::format("The model {} does not exist.", id)}));
    const bool is_model_changed = id != old_model_;
    if (is_model_changed && stored->is_decommissioned)
      return fail(
          errors::twins::kModelDecommissioned,
          fmt::format("The model {} is decommissioned; no digital twin can be given it.", id));
    const auto& model = *stored->model;
    std::vector<std::string> violations;
    rebuild_components(model, violations);
    if (is_model_changed)
      check_all(model, violations);
    else
      check_touched(model, violations);
    if (violations.empty()) stamp_all(violations);
    if (!violations.empty()) return fail(validation_error(violations));
    return {};
  }

  // Components that were set as a whole, by a path that may have looked like a property's.
  void rebuild_components(const dtdl::Model& model, std::vector<std::string>& violations) {
    for (auto place = touched_.begin(); place != touched_.end();) {
      if (place->first.empty() && model.find(place->second, ContentKind::component) != nullptr) {
        whole_.insert(place->second);
        place = touched_.erase(place);
      } else {
        ++place;
      }
    }
    for (const auto& name : whole_) {
      const auto* content = model.find(name, ContentKind::component);
      const auto found = document_.find(name);
      if (content == nullptr) {
        if (found != document_.end())
          violations.push_back(fmt::format("{} does not appear on the DTDL for Twin.", name));
      } else if (found == document_.end()) {
        violations.push_back(fmt::format("The component {} cannot be removed.", name));
      } else if (!found->value().is_object()) {
        violations.push_back(fmt::format("Expected an object for the component {} on Twin.", name));
      } else {
        const json::Object given = std::move(found->value().get_object());
        found->value() = make_section(*content->component, name, given, stamp_, violations);
      }
    }
  }

  void check_touched(const dtdl::Model& model, std::vector<std::string>& violations) {
    for (const auto& [component, name] : touched_) {
      const auto* content =
          component.empty() ? nullptr : model.find(component, ContentKind::component);
      const auto* target = section(component);
      if (target == nullptr || (!component.empty() && content == nullptr))
        violations.push_back(fmt::format("{} does not appear on the DTDL for Twin.", component));
      else
        check_member(content == nullptr ? model : *content->component, component, name, *target,
                     violations);
    }
  }

  void check_all(const dtdl::Model& model, std::vector<std::string>& violations) {
    for (const auto& [key, value] : document_) {
      const std::string_view name = key;
      if (name.starts_with('$')) continue;
      const auto* component = model.find(name, ContentKind::component);
      if (component == nullptr) {
        check_member(model, {}, name, document_, violations);
      } else if (!value.is_object()) {
        violations.push_back(fmt::format("Expected an object for the component {} on Twin.", name));
      } else {
        for (const auto& [inner, ignored] : value.get_object())
          if (std::string_view(inner) != names::kMetadata)
            check_member(*component->component, name, inner, value.get_object(), violations);
      }
    }
    for (const auto& content : model.contents())
      if (content.content.kind == ContentKind::component &&
          !document_.contains(content.content.name))
        violations.push_back(fmt::format("The component {} is missing; add it in the same patch.",
                                         content.content.name));
  }

  void stamp_all(std::vector<std::string>& violations) {
    for (const auto& [component, name] : touched_) {
      auto* target = section(component);
      stamp_property(*target, name, stamp_);
      if (!component.empty()) stamp_section(*target, stamp_);
    }
    for (const auto& name : whole_) stamp_property_removed(name);
    for (auto& [place, time] : source_times_) {
      auto* target = section(place.first);
      auto* entry = target == nullptr ? nullptr : metadata_of(*target).if_contains(place.second);
      if (entry == nullptr || !entry->is_object()) {
        violations.push_back(
            fmt::format("{} has no value that a sourceTime could be of.", place.second));
        continue;
      }
      if (time.is_null()) {
        auto& members = entry->get_object();
        if (const auto found = members.find(names::kSourceTime); found != members.end())
          members.stable_erase(found);
      } else {
        entry->get_object().insert_or_assign(names::kSourceTime, time);
      }
      if (!place.first.empty()) stamp_section(*target, stamp_);
    }
    document_.insert_or_assign(names::kEtag, stamp_.etag);
    stamp_section(document_, stamp_);
  }

  // A component has no entry in the twin's own $metadata; a property that a new model makes one may
  // have left its.
  void stamp_property_removed(const std::string& name) {
    auto& metadata = metadata_of(document_);
    if (const auto found = metadata.find(name); found != metadata.end())
      metadata.stable_erase(found);
  }

  const ModelSet& models_;
  json::Object document_;
  const Stamp& stamp_;
  std::string old_model_;
  std::set<Place> touched_;
  std::set<std::string> whole_;                              // components
  std::vector<std::pair<Place, json::Value>> source_times_;  // null: removed
};

std::string escaped(std::string_view name) {
  return json::Pointer({std::string(name)}).to_string();
}

void add_difference(const json::Object& before, const json::Object& after,
                    const std::string& prefix, json::Array& out) {
  const auto push = [&](std::string_view op, std::string path, const json::Value* value) {
    json::Object entry;
    if (value != nullptr) entry["value"] = *value;
    entry["path"] = std::move(path);
    entry["op"] = op;
    out.push_back(std::move(entry));
  };
  for (const auto& [name, value] : before)
    if (!name.starts_with('$') && !after.contains(name))
      push("remove", prefix + escaped(name), nullptr);
  for (const auto& [name, value] : after) {
    if (name.starts_with('$')) continue;
    const auto* old = before.if_contains(name);
    if (old == nullptr)
      push("add", prefix + escaped(name), &value);
    else if (is_component(*old) && is_component(value))
      add_difference(old->get_object(), value.get_object(), prefix + escaped(name), out);
    else if (!json::equal(*old, value))
      push("replace", prefix + escaped(name), &value);
  }
}

}  // namespace

Result<json::Object> patch_twin_document(const ModelSet& models, json::Object document,
                                         std::span<const PatchOperation> patch,
                                         const Stamp& stamp) {
  return TwinPatch(models, std::move(document), stamp).run(patch);
}

json::Array difference(const json::Object& before, const json::Object& after) {
  json::Array out;
  const auto model_of = [](const json::Object& document) {
    const auto* metadata = document.if_contains(names::kMetadata);
    return metadata == nullptr ? nullptr : json::find(*metadata, names::kModel);
  };
  const auto* old_model = model_of(before);
  const auto* new_model = model_of(after);
  if (old_model != nullptr && new_model != nullptr && !json::equal(*old_model, *new_model)) {
    json::Object entry;
    entry["value"] = *new_model;
    entry["path"] = "/$metadata/$model";
    entry["op"] = "replace";
    out.push_back(std::move(entry));
  }
  add_difference(before, after, {}, out);
  return out;
}

}  // namespace doppel::twins
