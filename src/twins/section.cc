#include "twins/section.h"

#include <fmt/core.h>

#include "json/pointer.h"
#include "twins/dtdl/time_values.h"
#include "twins/names.h"

namespace doppel::twins {
namespace {

using dtdl::ContentKind;

std::string_view where(std::string_view component) {
  return component.empty() ? "Twin" : component;
}

bool is_system_name(std::string_view name) {
  return name == names::kTwinId || name == names::kEtag || name == names::kMetadata ||
         name == names::kLastUpdateTime;
}

// The time that the client says the value was measured, if `body` has one for `name`.
const json::Value* source_time(const json::Object& body, std::string_view name) {
  const auto* metadata = body.if_contains(names::kMetadata);
  const auto* entry = metadata == nullptr ? nullptr : json::find(*metadata, name);
  return entry == nullptr ? nullptr : json::find(*entry, names::kSourceTime);
}

}  // namespace

void check_member(const dtdl::Model& model, std::string_view component, std::string_view name,
                  const json::Object& section, std::vector<std::string>& violations) {
  const auto* value = section.if_contains(name);
  if (value == nullptr) return;
  const auto* content = model.find(name, ContentKind::property);
  if (content == nullptr)
    violations.push_back(
        fmt::format("{} does not appear on the DTDL for {}.", name, where(component)));
  else
    dtdl::check_value(*content->content.schema, *value, name, where(component), violations);
}

json::Object make_section(const dtdl::Model& model, std::string_view component,
                          const json::Object& body, const Stamp& stamp,
                          std::vector<std::string>& violations) {
  json::Object out;
  json::Object metadata;
  metadata[names::kLastUpdateTime] = stamp.time;
  if (const auto* given = body.if_contains(names::kMetadata);
      given != nullptr && !given->is_object())
    violations.push_back(fmt::format("Expected an object for $metadata on {}.", where(component)));
  for (const auto& [key, value] : body) {
    const std::string_view name = key;
    if (is_system_name(name)) continue;
    if (component.empty() && model.find(name, ContentKind::component) != nullptr) continue;
    check_member(model, component, name, body, violations);
    out[name] = value;
    json::Object entry;
    entry[names::kPropertyUpdateTime] = stamp.time;
    if (const auto* time = source_time(body, name)) {
      if (!json::is_string(*time) || !dtdl::is_date_time(json::view(time->get_string())))
        violations.push_back(fmt::format(
            "Expected an ISO 8601 time for the sourceTime of {} on {}.", name, where(component)));
      entry[names::kSourceTime] = *time;
    }
    metadata[name] = std::move(entry);
  }
  out[names::kMetadata] = std::move(metadata);
  return out;
}

json::Object& metadata_of(json::Object& section) {
  auto found = section.find(names::kMetadata);
  if (found == section.end() || !found->value().is_object())
    return section.insert_or_assign(names::kMetadata, json::Object{}).first->value().get_object();
  if (found + 1 != section.end()) {
    json::Value metadata = std::move(found->value());
    section.stable_erase(found);
    found = section.emplace(names::kMetadata, std::move(metadata)).first;
  }
  return found->value().get_object();
}

void stamp_section(json::Object& section, const Stamp& stamp) {
  metadata_of(section)[names::kLastUpdateTime] = stamp.time;
}

void stamp_property(json::Object& section, std::string_view name, const Stamp& stamp) {
  const bool has_value = section.contains(name);
  auto& metadata = metadata_of(section);
  if (!has_value) {
    if (const auto found = metadata.find(name); found != metadata.end())
      metadata.stable_erase(found);
    return;
  }
  // An older sourceTime was that of the older value.
  json::Object entry;
  entry[names::kPropertyUpdateTime] = stamp.time;
  metadata.insert_or_assign(name, std::move(entry));
}

Result<std::vector<std::string>> path_segments(const PatchOperation& operation) {
  auto pointer = json::Pointer::parse(operation.path);
  if (!pointer) return patch_error(operation, "is not a JSON pointer");
  if (pointer->is_root())
    return patch_error(operation, "names the whole document, which cannot be patched");
  return std::vector<std::string>(pointer->segments().begin(), pointer->segments().end());
}

Result<std::vector<std::string>> property_segments(const PatchOperation& operation) {
  auto segments = path_segments(operation);
  if (segments && segments->front().starts_with('$'))
    return patch_error(operation, "cannot be patched");
  return segments;
}

}  // namespace doppel::twins
