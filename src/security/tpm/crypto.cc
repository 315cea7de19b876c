#include "security/tpm/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>

#include "base/check.h"
#include "security/tpm/openssl.h"

namespace doppel::security::tpm {
namespace {

unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

std::string aes_cfb(std::string_view key, std::string_view input, int encrypts) {
  const EVP_CIPHER* cipher = key.size() == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
  check(static_cast<int>(key.size()) == EVP_CIPHER_get_key_length(cipher), "an AES key");
  const std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context(EVP_CIPHER_CTX_new());
  const unsigned char zero_vector[16] = {};
  std::string out(input.size(), '\0');
  int size = 0;
  const bool done = context &&
                    EVP_CipherInit_ex(context.get(), cipher, nullptr,
                                      reinterpret_cast<const unsigned char*>(key.data()),
                                      zero_vector, encrypts) == 1 &&
                    EVP_CipherUpdate(context.get(), octets(out), &size,
                                     reinterpret_cast<const unsigned char*>(input.data()),
                                     static_cast<int>(input.size())) == 1;
  check(done && static_cast<std::size_t>(size) == input.size(), "OpenSSL has AES in CFB mode");
  return out;
}

// Both functions hash blocks that are told apart by a counter from 1, until there are enough bytes.
template <class Block>
std::string in_blocks(std::size_t bits, Block block) {
  std::string out;
  for (std::uint32_t counter = 1; out.size() * 8 < bits; ++counter) {
    std::string input;
    append_be(input, counter);
    out += block(std::move(input));
  }
  out.resize(bits / 8);
  return out;
}

Result<SharedSeed> share_by_rsa(const StorageKey& key, std::string_view label, Random& random) {
  const KeyPointer pkey = rsa_public_key(key);
  if (!pkey) return fail(Code::internal, "OpenSSL refuses the RSA key");
  SharedSeed shared;
  shared.seed = random.bytes(digest_size(key.name_hash));
  shared.encrypted = oaep_encrypt(pkey.get(), key.name_hash, label, shared.seed);
  if (shared.encrypted.empty()) return fail(Code::internal, "RSA-OAEP failed");
  return shared;
}

// The seed follows from a one-time key, whose public point is what is sent (Part 1, annex C.6.1).
Result<SharedSeed> share_by_ecdh(const StorageKey& key, std::string_view label) {
  const KeyPointer peer = ec_public_key(key);
  const KeyPointer own(EVP_EC_gen(openssl_group(key.curve)));
  if (!peer || !own) return fail(Code::internal, "OpenSSL refuses the EC key");
  const std::size_t size = coordinate_size(key.curve);
  const std::string z = ecdh(own.get(), peer.get());
  const std::string x = coordinate(own.get(), OSSL_PKEY_PARAM_EC_PUB_X, size);
  const std::string y = coordinate(own.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size);
  if (z.size() != size || x.empty() || y.empty()) return fail(Code::internal, "ECDH failed");
  SharedSeed shared;
  shared.seed = kdfe(key.name_hash, z, label, x, key.x, digest_size(key.name_hash) * 8);
  shared.encrypted = sized(x) + sized(y);
  return shared;
}

}  // namespace

std::string digest(Hash hash, std::string_view bytes) {
  std::string out(digest_size(hash), '\0');
  const bool done = EVP_Digest(bytes.data(), bytes.size(), octets(out), nullptr, openssl_hash(hash),
                               nullptr) == 1;
  check(done, "OpenSSL has the SHA-2 hashes");
  return out;
}

std::string hmac(Hash hash, std::string_view key, std::string_view bytes) {
  std::string out(digest_size(hash), '\0');
  const auto* made = HMAC(openssl_hash(hash), key.data(), static_cast<int>(key.size()),
                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                          octets(out), nullptr);
  check(made != nullptr, "OpenSSL has HMAC");
  return out;
}

std::string kdfa(Hash hash, std::string_view key, std::string_view label,
                 std::string_view context_u, std::string_view context_v, std::size_t bits) {
  return in_blocks(bits, [&](std::string input) {
    input.append(label).append(1, '\0').append(context_u).append(context_v);
    append_be(input, static_cast<std::uint32_t>(bits));
    return hmac(hash, key, input);
  });
}

std::string kdfe(Hash hash, std::string_view z, std::string_view label, std::string_view party_u,
                 std::string_view party_v, std::size_t bits) {
  return in_blocks(bits, [&](std::string input) {
    input.append(z).append(label).append(1, '\0').append(party_u).append(party_v);
    return digest(hash, input);
  });
}

std::string aes_cfb_encrypt(std::string_view key, std::string_view plain) {
  return aes_cfb(key, plain, 1);
}
std::string aes_cfb_decrypt(std::string_view key, std::string_view cipher) {
  return aes_cfb(key, cipher, 0);
}

Result<SharedSeed> share_seed(const StorageKey& key, std::string_view label, Random& random) {
  return key.type == Algorithm::rsa ? share_by_rsa(key, label, random) : share_by_ecdh(key, label);
}

std::string protect(const StorageKey& key, std::string_view seed, std::string_view name,
                    std::string_view plain) {
  const Hash hash = key.name_hash;
  const std::string cipher_key = kdfa(hash, seed, "STORAGE", name, {}, key.aes_bits);
  const std::string mac_key = kdfa(hash, seed, "INTEGRITY", {}, {}, digest_size(hash) * 8);
  const std::string cipher = aes_cfb_encrypt(cipher_key, plain);
  return sized(hmac(hash, mac_key, cipher + std::string(name))) + cipher;
}

}  // namespace doppel::security::tpm
