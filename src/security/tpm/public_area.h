// Public areas of TPM keys as devices send them: endorsement keys and storage root keys, which are
// restricted decryption keys (Part 2, sections 11.1.6 and 12.2; TCG EK Credential Profile).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "security/tpm/structures.h"

namespace doppel::security::tpm {

// Bytes of a TPM2B_PUBLIC. An RSA-2048 key has 316, RSA-4096 572.
inline constexpr std::size_t kPublicAreaSizeMax = 1024;

// The hashes an object's name may use here. SHA-1 is refused.
enum class Hash : std::uint8_t { sha256, sha384, sha512 };
std::size_t digest_size(Hash hash);  // bytes
Algorithm algorithm_of(Hash hash);

enum class Curve : std::uint8_t { p256, p384 };
std::size_t coordinate_size(Curve curve);  // bytes

struct StorageKey {
  Algorithm type = Algorithm::rsa;  // rsa or ecc
  Hash name_hash = Hash::sha256;
  std::uint32_t attributes = 0;
  std::uint16_t aes_bits = 128;  // 128 or 256: of the cipher that protects its children
  std::string modulus;           // rsa: 2048, 3072 or 4096 bits; the exponent is 65537
  Curve curve = Curve::p256;     // ecc
  std::string x, y;              // ecc: as long as coordinate_size
  std::string name;              // algorithm of the hash, and the digest of the public area
};

// Reads a TPM2B_PUBLIC, strictly: nothing may follow it. The key must be one that a TPM decrypts
// for its children only (restricted, decrypt) and that never leaves it (fixedTPM), or the blobs
// made for it would be readable elsewhere. An EC point is checked to be on its curve. Errors:
// invalid_argument with the reason, fit for whoever sent the key.
Result<StorageKey> parse_storage_key(std::string_view tpm2b_public);

// What the SDKs take for the registration ID of a TPM that was given none: lower-case base32
// without padding of the SHA-256 of the endorsement key's TPM2B_PUBLIC. 52 characters.
std::string default_registration_id(std::string_view tpm2b_public);

}  // namespace doppel::security::tpm
