// The blob by which a service hands a TPM an HMAC key that only this TPM can use: the key is
// encrypted to the storage root key, under a wrap key that is encrypted to the endorsement key
// (TPM2_MakeCredential and TPM2_Duplicate, done in software; Part 1, sections 23 and 24). The
// device runs TPM2_ActivateCredential, TPM2_Import and TPM2_Load. Layout: dps.md section 2.4.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "security/tpm/public_area.h"

namespace doppel::security::tpm {

// Bytes of an HMAC key; a TPM takes up to the block of SHA-256.
inline constexpr std::size_t kHmacKeySizeMax = 64;
// Bytes of the inner wrap key: SDKs import with AES-128.
inline constexpr std::size_t kWrapKeySize = 16;

// What TPM2_ActivateCredential takes; both as TPM2B.
struct Credential {
  std::string id_object;
  std::string encrypted_secret;
};
// Protects `secret` (up to a digest's size) for the TPM that holds both the endorsement key and the
// object of that name. Errors: internal.
Result<Credential> make_credential(const StorageKey& endorsement_key, std::string_view object_name,
                                   std::string_view secret, Random& random);

// What TPM2_Import takes; all as TPM2B.
struct ImportableKey {
  std::string duplicate;       // TPM2B_PRIVATE
  std::string encrypted_seed;  // TPM2B_ENCRYPTED_SECRET
  std::string public_area;     // TPM2B_PUBLIC
};
// Makes an object that signs by HMAC-SHA256 with `key`, importable below `parent` by who has
// `wrap_key` (kWrapKeySize bytes). Errors: internal.
Result<ImportableKey> make_importable(const StorageKey& parent, std::string_view key,
                                      std::string_view wrap_key, Random& random);

// The whole blob. Costs two RSA public operations or two ECDH, about 100 us. Any thread, if
// `random` is for any. Errors: internal; invalid_argument for a key of 0 or more than
// kHmacKeySizeMax bytes.
Result<std::string> activation_blob(const StorageKey& endorsement_key,
                                    const StorageKey& storage_root_key, std::string_view key,
                                    Random& random);

}  // namespace doppel::security::tpm
