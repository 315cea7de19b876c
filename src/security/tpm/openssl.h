// StorageKey as OpenSSL knows it; for the .cc files of this folder and its tests.
#pragma once

#include <memory>

#include <openssl/evp.h>

#include "security/tpm/public_area.h"

namespace doppel::security::tpm {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeKey>;

const EVP_MD* openssl_hash(Hash hash);
const char* openssl_group(Curve curve);

// Null when OpenSSL refuses it: for EC, when the point is not on the curve.
KeyPointer rsa_public_key(const StorageKey& key);
KeyPointer ec_public_key(const StorageKey& key);

// RSA-OAEP with `hash` for everything and a label that ends with a zero byte (Part 1, annex B.4).
// Empty when it fails.
std::string oaep_encrypt(EVP_PKEY* key, Hash hash, std::string_view label, std::string_view plain);
std::string oaep_decrypt(EVP_PKEY* key, Hash hash, std::string_view label, std::string_view cipher);

// The x coordinate of the point that both keys make, with all its leading zeros. Empty when it
// fails.
std::string ecdh(EVP_PKEY* own, EVP_PKEY* peer);
// "x" or "y" of an EC key, `size` bytes long. Empty when it has none.
std::string coordinate(EVP_PKEY* key, const char* name, std::size_t size);

}  // namespace doppel::security::tpm
