#include "security/tpm/activation.h"

#include "security/tpm/crypto.h"

namespace doppel::security::tpm {
namespace {

// The identity key's own hash; its attributes: it leaves its first TPM (which is none), so neither
// fixedTPM nor fixedParent; an empty authorization opens it, without the dictionary attack lock,
// which others of the TPM's users could set off.
constexpr Hash kKeyHash = Hash::sha256;
constexpr std::uint32_t kKeyAttributes = kUserWithAuth | kNoDictionaryAttack | kSign;

struct Object {
  std::string area;       // TPMT_PUBLIC
  std::string sensitive;  // TPMT_SENSITIVE
  std::string name;
};

// Part 2, sections 12.2.4 and 12.3.2.4. What ties both halves together is `unique`, the digest of
// the seed and the key (Part 1, section 27.5.3.2).
Object keyed_hash_object(std::string_view key, Random& random) {
  const std::string seed = random.bytes(digest_size(kKeyHash));
  Object object;
  append(object.area, Algorithm::keyed_hash);
  append(object.area, algorithm_of(kKeyHash));
  append_be(object.area, kKeyAttributes);
  object.area += sized({});  // authPolicy
  append(object.area, Algorithm::hmac);
  append(object.area, algorithm_of(kKeyHash));
  object.area += sized(digest(kKeyHash, seed + std::string(key)));

  append(object.sensitive, Algorithm::keyed_hash);
  object.sensitive += sized({});  // authValue
  object.sensitive += sized(seed);
  object.sensitive += sized(key);

  append(object.name, algorithm_of(kKeyHash));
  object.name += digest(kKeyHash, object.area);
  return object;
}

}  // namespace

Result<Credential> make_credential(const StorageKey& endorsement_key, std::string_view object_name,
                                   std::string_view secret, Random& random) {
  auto shared = share_seed(endorsement_key, "IDENTITY", random);
  if (!shared) return fail(std::move(shared.error()));
  Credential made;
  made.id_object = sized(protect(endorsement_key, shared->seed, object_name, sized(secret)));
  made.encrypted_secret = sized(shared->encrypted);
  return made;
}

Result<ImportableKey> make_importable(const StorageKey& parent, std::string_view key,
                                      std::string_view wrap_key, Random& random) {
  const Object object = keyed_hash_object(key, random);
  // Inner wrapper (Part 1, section 23.3.2.2): its integrity is under the object's own hash.
  const std::string sensitive = sized(object.sensitive);
  const std::string inner =
      aes_cfb_encrypt(wrap_key, sized(digest(kKeyHash, sensitive + object.name)) + sensitive);
  // Outer wrapper (section 23.3.2.3): under the parent's.
  auto shared = share_seed(parent, "DUPLICATE", random);
  if (!shared) return fail(std::move(shared.error()));
  ImportableKey made;
  made.duplicate = sized(protect(parent, shared->seed, object.name, inner));
  made.encrypted_seed = sized(shared->encrypted);
  made.public_area = sized(object.area);
  return made;
}

Result<std::string> activation_blob(const StorageKey& endorsement_key,
                                    const StorageKey& storage_root_key, std::string_view key,
                                    Random& random) {
  if (key.empty() || key.size() > kHmacKeySizeMax) {
    return fail(Code::invalid_argument, "an HMAC key of a wrong size");
  }
  const std::string wrap_key = random.bytes(kWrapKeySize);
  auto credential = make_credential(endorsement_key, storage_root_key.name, wrap_key, random);
  if (!credential) return fail(std::move(credential.error()));
  auto importable = make_importable(storage_root_key, key, wrap_key, random);
  if (!importable) return fail(std::move(importable.error()));
  // What follows the public area may carry data encrypted with the wrap key; there is none, but
  // every SDK reads its size.
  return credential->id_object + credential->encrypted_secret + importable->duplicate +
         importable->encrypted_seed + importable->public_area + sized({});
}

}  // namespace doppel::security::tpm
