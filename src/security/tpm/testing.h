// A TPM's side of activation in software, for tests: keys whose private parts are known, and the
// opening of what was protected for them. tpm_test.cc holds it against blobs that a real TPM and
// tpm2-tools made, so it does not merely agree with the code it tests.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "security/tpm/activation.h"
#include "security/tpm/crypto.h"
#include "security/tpm/openssl.h"

namespace doppel::security::tpm::testing {

// What OpenSSL calls "n", as long as the modulus is.
inline std::string rsa_modulus(EVP_PKEY* key) {
  return coordinate(key, OSSL_PKEY_PARAM_RSA_N, static_cast<std::size_t>(EVP_PKEY_get_size(key)));
}

// What a storage key's public area holds, to be varied by tests of its parser.
struct PublicParts {
  Algorithm type = Algorithm::rsa;
  Algorithm name_algorithm = Algorithm::sha256;
  std::uint32_t attributes = kFixedTpm | kRestricted | kDecrypt;
  std::string policy = {};
  Algorithm cipher = Algorithm::aes;
  std::uint16_t aes_bits = 128;
  Algorithm mode = Algorithm::cfb;
  Algorithm scheme = Algorithm::null;
  std::uint16_t rsa_bits = 2048;
  std::uint32_t exponent = 0;
  std::string modulus = {};
  std::uint16_t curve = 3;
  Algorithm derivation = Algorithm::null;
  std::string x = {}, y = {};

  std::string encode() const {
    std::string area;
    append(area, type);
    append(area, name_algorithm);
    append_be(area, attributes);
    area += sized(policy);
    append(area, cipher);
    append_be(area, aes_bits);
    append(area, mode);
    append(area, scheme);
    if (type == Algorithm::rsa) {
      append_be(area, rsa_bits);
      append_be(area, exponent);
      area += sized(modulus);
    } else {
      append_be(area, curve);
      append(area, derivation);
      area += sized(x) + sized(y);
    }
    return sized(area);
  }
};

// The parts of a key of OpenSSL's: RSA, P-256 or P-384.
inline PublicParts parts_of(EVP_PKEY* key, Curve curve = Curve::p256) {
  PublicParts parts;
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    parts.modulus = rsa_modulus(key);
    parts.rsa_bits = static_cast<std::uint16_t>(parts.modulus.size() * 8);
    return parts;
  }
  parts.type = Algorithm::ecc;
  parts.curve = curve == Curve::p256 ? 3 : 4;
  parts.x = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, coordinate_size(curve));
  parts.y = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_size(curve));
  return parts;
}

// Undoes share_seed. `encrypted` is the content of the TPM2B_ENCRYPTED_SECRET.
inline std::optional<std::string> recover_seed(EVP_PKEY* own, const StorageKey& key,
                                               std::string_view label, std::string_view encrypted) {
  if (key.type == Algorithm::rsa) {
    std::string seed = oaep_decrypt(own, key.name_hash, label, encrypted);
    if (seed.empty()) return std::nullopt;
    return seed;
  }
  Reader in(encrypted);
  StorageKey sender = key;
  sender.x = in.sized();
  sender.y = in.sized();
  if (in.has_failed() || !in.is_at_end()) return std::nullopt;
  const KeyPointer peer = ec_public_key(sender);
  if (!peer) return std::nullopt;
  return kdfe(key.name_hash, ecdh(own, peer.get()), label, sender.x, key.x,
              digest_size(key.name_hash) * 8);
}

// Undoes protect(). Nothing when the HMAC is wrong.
inline std::optional<std::string> unprotect(const StorageKey& key, std::string_view seed,
                                            std::string_view name, std::string_view blob) {
  Reader in(blob);
  const std::string_view mac = in.sized();
  const std::string_view cipher = blob.substr(std::min(blob.size(), mac.size() + 2));
  const std::size_t mac_bits = digest_size(key.name_hash) * 8;
  const std::string mac_key = kdfa(key.name_hash, seed, "INTEGRITY", {}, {}, mac_bits);
  if (in.has_failed() ||
      mac != hmac(key.name_hash, mac_key, std::string(cipher) + std::string(name))) {
    return std::nullopt;
  }
  return aes_cfb_decrypt(kdfa(key.name_hash, seed, "STORAGE", name, {}, key.aes_bits), cipher);
}

// TPM2_ActivateCredential: both arguments are contents, without the size before them.
inline std::optional<std::string> open_credential(EVP_PKEY* own, const StorageKey& key,
                                                  std::string_view name, std::string_view id_object,
                                                  std::string_view secret) {
  const auto seed = recover_seed(own, key, "IDENTITY", secret);
  if (!seed) return std::nullopt;
  const auto plain = unprotect(key, *seed, name, id_object);
  if (!plain) return std::nullopt;
  Reader in(*plain);
  std::string opened(in.sized());
  if (in.has_failed() || !in.is_at_end()) return std::nullopt;
  return opened;
}

// TPM2_Import and TPM2_Load: gives the key of a KEYEDHASH object. Contents, as above.
inline std::optional<std::string> open_importable(EVP_PKEY* own, const StorageKey& parent,
                                                  std::string_view wrap_key,
                                                  std::string_view public_area,
                                                  std::string_view duplicate,
                                                  std::string_view encrypted_seed) {
  Reader area(public_area);
  const bool is_keyed_hash = area.algorithm() == Algorithm::keyed_hash;
  if (!is_keyed_hash || area.algorithm() != Algorithm::sha256) return std::nullopt;
  std::string name;
  append(name, Algorithm::sha256);
  name += digest(Hash::sha256, public_area);
  const auto seed = recover_seed(own, parent, "DUPLICATE", encrypted_seed);
  if (!seed) return std::nullopt;
  auto inner = unprotect(parent, *seed, name, duplicate);
  if (!inner) return std::nullopt;
  std::string sensitive = *std::move(inner);
  if (!wrap_key.empty()) {
    const std::string plain = aes_cfb_decrypt(wrap_key, sensitive);
    Reader wrapped(plain);
    const std::string_view integrity = wrapped.sized();
    sensitive = plain.substr(std::min(plain.size(), integrity.size() + 2));
    if (integrity != digest(Hash::sha256, sensitive + name)) return std::nullopt;
  }
  Reader in(sensitive);
  Reader fields(in.sized());
  if (in.has_failed() || !in.is_at_end()) return std::nullopt;
  if (fields.algorithm() != Algorithm::keyed_hash) return std::nullopt;
  fields.sized();  // authValue
  const std::string obfuscation(fields.sized());
  std::string key(fields.sized());
  if (fields.has_failed() || !fields.is_at_end()) return std::nullopt;
  // TPM2_Load compares the halves: `unique` is the last of the public area.
  if (!public_area.ends_with(digest(Hash::sha256, obfuscation + key))) return std::nullopt;
  return key;
}

// A TPM with an endorsement key and a storage root key.
class SoftTpm {
 public:
  SoftTpm(KeyPointer endorsement, KeyPointer storage_root)
      : endorsement_(std::move(endorsement)),
        storage_root_(std::move(storage_root)),
        endorsement_key(parts_of(endorsement_.get()).encode()),
        storage_root_key(parts_of(storage_root_.get()).encode()) {}

  static SoftTpm make_ec() {
    return {KeyPointer(EVP_EC_gen("P-256")), KeyPointer(EVP_EC_gen("P-256"))};
  }
  // The same two keys for the whole process: they take a second to make.
  static SoftTpm make_rsa() {
    static const KeyPointer kept[] = {KeyPointer(EVP_RSA_gen(2048)), KeyPointer(EVP_RSA_gen(2048))};
    const auto share = [](const KeyPointer& key) {
      EVP_PKEY_up_ref(key.get());
      return KeyPointer(key.get());
    };
    return {share(kept[0]), share(kept[1])};
  }

  // What a device does with an activation blob; the HMAC key, or nothing.
  std::optional<std::string> activate(std::string_view blob) const {
    const auto ek = parse_storage_key(endorsement_key);
    const auto srk = parse_storage_key(storage_root_key);
    if (!ek || !srk) return std::nullopt;
    Reader in(blob);
    const auto id_object = in.sized();
    const auto secret = in.sized();
    const auto duplicate = in.sized();
    const auto seed = in.sized();
    const auto area = in.sized();
    in.sized();
    if (in.has_failed() || !in.is_at_end()) return std::nullopt;
    const auto wrap_key = open_credential(endorsement_.get(), *ek, srk->name, id_object, secret);
    if (!wrap_key) return std::nullopt;
    return open_importable(storage_root_.get(), *srk, *wrap_key, area, duplicate, seed);
  }

 private:
  KeyPointer endorsement_;
  KeyPointer storage_root_;

 public:
  std::string endorsement_key;  // TPM2B_PUBLIC
  std::string storage_root_key;
};

}  // namespace doppel::security::tpm::testing
