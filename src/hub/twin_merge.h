// Writes into device twins: merge patch with $metadata, replacement, and the differences that
// devices and twin change events are shown. Pure; the caller has checked names and values
// (twin_rules.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hub/api.h"
#include "json/value.h"

namespace doppel::hub {

// The moment and, for desired properties, the version that $metadata is stamped with.
struct Stamp {
  std::string time;  // ISO 8601
  std::optional<std::int64_t> version;
};

// Without the members $version and $metadata, which readers were shown and send back.
json::Object without_system_members(json::Object section);

// RFC 7396 on `section`; `metadata` (null for tags) follows: every value written, and every object
// on the way to it, is stamped.
void merge_section(json::Object& section, json::Object* metadata, const json::Object& patch,
                   const Stamp& stamp);

// `section` becomes `wanted` (nulls dropped); all of `metadata` is new.
void replace_section(json::Object& section, json::Object* metadata, const json::Object& wanted,
                     const Stamp& stamp);

// The merge patch that turns `from` into `to`, with all of `to` in it: for a device that merges
// what it is sent, after a replacement.
json::Object replacement_delta(const json::Object& from, const json::Object& to);

// The part of `metadata` that speaks of what `patch` wrote.
json::Object metadata_of(const json::Object& metadata, const json::Object& patch);

// A section as clients see it: its members, then $metadata, then $version.
json::Object shown_section(const json::Object& section, const json::Object* metadata,
                           std::int64_t version);

// The metadata of a section nobody wrote to yet.
json::Object fresh_metadata();

}  // namespace doppel::hub
