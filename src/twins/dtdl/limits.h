// Bounds of DTDL v2 and v3 (Azure/opendigitaltwins-dtdl, "Digital Twins Definition Language",
// versions 2 and 3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace doppel::twins::dtdl {

inline constexpr std::size_t kInterfaceIdLengthMax = 128;
inline constexpr std::size_t kElementIdLengthMax = 2048;
inline constexpr std::size_t kNameLengthMaxV2 = 64;
inline constexpr std::size_t kNameLengthMaxV3 = 512;
inline constexpr std::size_t kDisplayNameLengthMaxV2 = 64;  // characters, of one language
inline constexpr std::size_t kDisplayNameLengthMaxV3 = 512;
inline constexpr std::size_t kTextLengthMax = 512;  // characters of a comment or a description
inline constexpr std::size_t kContentsMaxV2 = 300;  // of one interface, inherited ones included
inline constexpr std::size_t kContentsMaxV3 = 100'000;
inline constexpr std::size_t kExtendsMaxV2 = 2;  // direct bases
inline constexpr std::size_t kExtendsMaxV3 = 1024;
inline constexpr std::size_t kExtendsDepthMax = 10;
inline constexpr std::size_t kSchemaDepthMax = 5;  // complex schemas within each other
inline constexpr std::size_t kEnumValuesMaxV2 = 100;
inline constexpr std::size_t kFieldsMaxV2 = 30;
inline constexpr std::size_t kRelationshipPropertiesMaxV2 = 300;
inline constexpr std::int64_t kMaxMultiplicityMaxV2 = 500;

// Problems told of one upload; what is wrong beyond them shows after these are mended.
inline constexpr std::size_t kProblemsMax = 20;

}  // namespace doppel::twins::dtdl
