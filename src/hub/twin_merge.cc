#include "hub/twin_merge.h"

#include "base/time_text.h"

namespace doppel::hub {
namespace {

constexpr std::string_view kLastUpdated = "$lastUpdated";
constexpr std::string_view kLastUpdatedVersion = "$lastUpdatedVersion";
constexpr std::string_view kMetadata = "$metadata";
constexpr std::string_view kVersion = "$version";

void erase_member(json::Object& object, std::string_view name) {
  if (const auto at = object.find(name); at != object.end()) object.stable_erase(at);
}

void put_stamp(json::Object& metadata, const Stamp& stamp) {
  metadata[kLastUpdated] = stamp.time;
  if (stamp.version) metadata[kLastUpdatedVersion] = *stamp.version;
}

json::Object stamped(const Stamp& stamp) {
  json::Object metadata;
  put_stamp(metadata, stamp);
  return metadata;
}

// The member as an object, made anew if it is anything else.
json::Object& object_member(json::Object& parent, std::string_view name, bool& made) {
  auto& member = parent[name];
  made = !member.is_object();
  if (made) member = json::Object();
  return member.get_object();
}

bool is_stamp(std::string_view name) { return name == kLastUpdated || name == kLastUpdatedVersion; }

}  // namespace

json::Object without_system_members(json::Object section) {
  erase_member(section, kMetadata);
  erase_member(section, kVersion);
  return section;
}

void merge_section(json::Object& section, json::Object* metadata, const json::Object& patch,
                   const Stamp& stamp) {
  if (metadata != nullptr) put_stamp(*metadata, stamp);
  for (const auto& member : patch) {
    const std::string_view name(member.key());
    const auto& value = member.value();
    if (value.is_null()) {
      erase_member(section, name);
      if (metadata != nullptr) erase_member(*metadata, name);
      continue;
    }
    if (!value.is_object()) {
      section[name] = value;
      if (metadata != nullptr) (*metadata)[name] = stamped(stamp);
      continue;
    }
    bool made = false;
    auto& child = object_member(section, name, made);
    json::Object* child_metadata = nullptr;
    if (metadata != nullptr) {
      if (made) erase_member(*metadata, name);
      bool ignored = false;
      child_metadata = &object_member(*metadata, name, ignored);
    }
    merge_section(child, child_metadata, value.get_object(), stamp);
  }
}

void replace_section(json::Object& section, json::Object* metadata, const json::Object& wanted,
                     const Stamp& stamp) {
  section.clear();
  if (metadata != nullptr) metadata->clear();
  merge_section(section, metadata, wanted, stamp);
}

json::Object replacement_delta(const json::Object& from, const json::Object& to) {
  json::Object delta;
  for (const auto& member : to) {
    const auto before = from.find(member.key());
    if (member.value().is_object() && before != from.end() && before->value().is_object()) {
      delta[member.key()] =
          replacement_delta(before->value().get_object(), member.value().get_object());
    } else {
      delta[member.key()] = member.value();
    }
  }
  for (const auto& member : from)
    if (!to.contains(member.key())) delta[member.key()] = nullptr;
  return delta;
}

json::Object metadata_of(const json::Object& metadata, const json::Object& patch) {
  json::Object part;
  for (const auto& member : metadata)
    if (is_stamp(std::string_view(member.key()))) part[member.key()] = member.value();
  for (const auto& member : patch) {
    const auto found = metadata.find(member.key());
    if (found == metadata.end() || !found->value().is_object()) continue;
    const auto& inner = found->value().get_object();
    part[member.key()] =
        member.value().is_object() ? metadata_of(inner, member.value().get_object()) : inner;
  }
  return part;
}

json::Object shown_section(const json::Object& section, const json::Object* metadata,
                           std::int64_t version) {
  json::Object shown = section;
  if (metadata != nullptr) shown[kMetadata] = *metadata;
  shown[kVersion] = version;
  return shown;
}

json::Object fresh_metadata() {
  json::Object metadata;
  metadata[kLastUpdated] = std::string(kNeverText);
  return metadata;
}

}  // namespace doppel::hub
