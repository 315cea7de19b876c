// Byte views and big-endian integers, as every wire and key format here uses them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace doppel {

using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
T load_be(const void* from) {
  T value{};
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | bytes[i]);
  return value;
}
inline std::uint16_t load_be16(ByteView b) { return load_be<std::uint16_t>(b.data()); }
inline std::uint32_t load_be32(ByteView b) { return load_be<std::uint32_t>(b.data()); }
inline std::uint64_t load_be64(ByteView b) { return load_be<std::uint64_t>(b.data()); }

template <class T>
void append_be(std::string& to, T value) {
  char bytes[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  to.append(bytes, sizeof(T));
}

}  // namespace doppel
