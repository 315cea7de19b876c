// Bounds of the twin graph. Published ones: MicrosoftDocs, "Azure Digital Twins service limits".
#pragma once

#include <cstddef>

namespace doppel::twins {

inline constexpr std::size_t kTwinIdCharactersMax = 128;
inline constexpr std::size_t kRelationshipIdCharactersMax = 128;
inline constexpr std::size_t kTwinBodyBytesMax =
    32 * 1024;  // published: 32 KB a twin and a request
inline constexpr std::size_t kTwinDocumentBytesMax =
    64 * 1024;                                            // the same with the metadata that we add
inline constexpr std::size_t kModelsPerRequestMax = 250;  // published
inline constexpr std::size_t kModelsPerInstanceMax = 10'000;          // published
inline constexpr std::size_t kModelBytesMax = 1024 * 1024;            // published: 1 MB a model
inline constexpr std::size_t kModelsBodyBytesMax = 16 * 1024 * 1024;  // of one upload
inline constexpr std::size_t kModelsPageMax = 100;                    // published
inline constexpr std::size_t kTwinsPageMax = 100;
inline constexpr std::size_t kRelationshipsPageMax = 100;
inline constexpr std::size_t kRelationshipsPerTwinMax = 50'000;  // published, each way
inline constexpr std::size_t kTelemetryBytesMax = 32 * 1024;     // published: 32 KB a request
inline constexpr std::size_t kMessageIdBytesMax = 1024;

}  // namespace doppel::twins
