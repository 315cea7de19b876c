// The cryptography of TPM 2.0 (Part 1: Architecture, section 11.4 and annexes B and C), on
// OpenSSL: hashes, the two key derivation functions, AES in CFB mode and the exchange of a seed
// with a storage key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "security/tpm/public_area.h"

namespace doppel::security::tpm {

std::string digest(Hash hash, std::string_view bytes);
std::string hmac(Hash hash, std::string_view key, std::string_view bytes);

// KDFa: SP 800-108 in counter mode (Part 1, section 11.4.10.2). `bits` is a multiple of 8.
std::string kdfa(Hash hash, std::string_view key, std::string_view label,
                 std::string_view context_u, std::string_view context_v, std::size_t bits);
// KDFe: SP 800-56A (section 11.4.10.3). `z`: x coordinate of the shared point; parties: those of
// the two public points.
std::string kdfe(Hash hash, std::string_view z, std::string_view label, std::string_view party_u,
                 std::string_view party_v, std::size_t bits);

// AES in CFB mode with a zero initialization vector, as every protected blob has it. `key` has 16
// or 32 bytes.
std::string aes_cfb_encrypt(std::string_view key, std::string_view plain);
std::string aes_cfb_decrypt(std::string_view key, std::string_view cipher);

// A seed, and how its holder gets it: content of a TPM2B_ENCRYPTED_SECRET.
struct SharedSeed {
  std::string seed;
  std::string encrypted;
};
// Makes a seed that only the TPM with `key` can recover: RSA-OAEP, or a one-time ECDH key. `label`
// is "IDENTITY", "DUPLICATE": without the zero byte that the wire has behind it. Errors: internal
// (OpenSSL refuses; not for keys from parse_storage_key).
Result<SharedSeed> share_seed(const StorageKey& key, std::string_view label, Random& random);

// The outer protection of a blob under a shared seed (Part 1, section 22.5 and 24): encrypts
// `plain` and puts an HMAC over it and `name` before it.
std::string protect(const StorageKey& key, std::string_view seed, std::string_view name,
                    std::string_view plain);

}  // namespace doppel::security::tpm
