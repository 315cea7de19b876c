// Reading and writing the structures of TPM 2.0 (Trusted Platform Module Library, Part 2:
// Structures): integers are big-endian, and what the specification calls TPM2B_x is a 16-bit size
// before x. Only the numbers we meet are named.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace doppel::security::tpm {

// TPM_ALG_ID (Part 2, section 6.3).
enum class Algorithm : std::uint16_t {
  rsa = 0x0001,
  sha1 = 0x0004,
  hmac = 0x0005,
  aes = 0x0006,
  keyed_hash = 0x0008,
  sha256 = 0x000b,
  sha384 = 0x000c,
  sha512 = 0x000d,
  null = 0x0010,
  ecc = 0x0023,
  cfb = 0x0043,
};

// TPMA_OBJECT (Part 2, section 8.3), the bits we look at or set.
inline constexpr std::uint32_t kFixedTpm = 1u << 1;
inline constexpr std::uint32_t kUserWithAuth = 1u << 6;
inline constexpr std::uint32_t kNoDictionaryAttack = 1u << 10;
inline constexpr std::uint32_t kRestricted = 1u << 16;
inline constexpr std::uint32_t kDecrypt = 1u << 17;
inline constexpr std::uint32_t kSign = 1u << 18;

// Walks over bytes of a peer. After the first read past the end every read gives zero or nothing
// and has_failed() says so: callers read on and ask once.
class Reader {
 public:
  // `bytes` outlive the reader and what it returns.
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint16_t u16() { return load<std::uint16_t>(); }
  std::uint32_t u32() { return load<std::uint32_t>(); }
  Algorithm algorithm() { return static_cast<Algorithm>(u16()); }
  std::string_view bytes(std::size_t size) {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  // A TPM2B: its content.
  std::string_view sized() { return bytes(u16()); }

  bool has_failed() const { return has_failed_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  template <class T>
  T load() {
    if (rest_.size() < sizeof(T)) {
      fail();
      return 0;
    }
    return load_be<T>(bytes(sizeof(T)).data());
  }
  void fail() {
    has_failed_ = true;
    rest_ = {};
  }

  std::string_view rest_;
  bool has_failed_ = false;
};

inline void append(std::string& to, Algorithm algorithm) {
  append_be(to, static_cast<std::uint16_t>(algorithm));
}
// A TPM2B of `content`, which is shorter than 64 KiB.
inline std::string sized(std::string_view content) {
  std::string out;
  append_be(out, static_cast<std::uint16_t>(content.size()));
  out += content;
  return out;
}

}  // namespace doppel::security::tpm
