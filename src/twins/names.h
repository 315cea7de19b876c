// Member names of the documents that clients see. Nothing else in this folder spells them out.
#pragma once

#include <string_view>

namespace doppel::twins::names {

inline constexpr std::string_view kTwinId = "$dtId";
inline constexpr std::string_view kEtag = "$etag";
inline constexpr std::string_view kMetadata = "$metadata";
inline constexpr std::string_view kModel = "$model";
inline constexpr std::string_view kLastUpdateTime = "$lastUpdateTime";  // of a twin or a component
inline constexpr std::string_view kPropertyUpdateTime = "lastUpdateTime";
inline constexpr std::string_view kSourceTime = "sourceTime";
inline constexpr std::string_view kRelationshipId = "$relationshipId";
inline constexpr std::string_view kSourceId = "$sourceId";
inline constexpr std::string_view kTargetId = "$targetId";
inline constexpr std::string_view kRelationshipName = "$relationshipName";
inline constexpr std::string_view kRelationshipLink = "$relationshipLink";

}  // namespace doppel::twins::names
