#include "security/tpm/openssl.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace doppel::security::tpm {
namespace {

struct Free {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* params) const { OSSL_PARAM_free(params); }
};
template <class T>
using Pointer = std::unique_ptr<T, Free>;

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

KeyPointer from_data(const char* type, OSSL_PARAM_BLD* builder) {
  const Pointer<OSSL_PARAM> params(OSSL_PARAM_BLD_to_param(builder));
  const Pointer<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return KeyPointer(key);
}

// The context owns the copy of the label it is given.
bool set_oaep(EVP_PKEY_CTX* context, Hash hash, std::string_view label) {
  const EVP_MD* md = openssl_hash(hash);
  if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context, md) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) != 1) {
    return false;
  }
  const std::string with_zero(std::string(label) + '\0');
  void* copy = OPENSSL_memdup(with_zero.data(), with_zero.size());
  if (copy == nullptr) return false;
  if (EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, static_cast<int>(with_zero.size())) == 1) {
    return true;
  }
  OPENSSL_free(copy);
  return false;
}

using Step = int (*)(EVP_PKEY_CTX*, unsigned char*, std::size_t*, const unsigned char*,
                     std::size_t);

std::string oaep(EVP_PKEY* key, int (*init)(EVP_PKEY_CTX*), Step step, Hash hash,
                 std::string_view label, std::string_view input) {
  const Pointer<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  std::size_t size = 0;
  if (!context || init(context.get()) != 1 || !set_oaep(context.get(), hash, label) ||
      step(context.get(), nullptr, &size, octets(input), input.size()) != 1) {
    return {};
  }
  std::string out(size, '\0');
  if (step(context.get(), octets(out), &size, octets(input), input.size()) != 1) return {};
  out.resize(size);
  return out;
}

}  // namespace

const EVP_MD* openssl_hash(Hash hash) {
  switch (hash) {
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha384:
      return EVP_sha384();
    case Hash::sha512:
      return EVP_sha512();
  }
  return EVP_sha256();
}

const char* openssl_group(Curve curve) { return curve == Curve::p256 ? "P-256" : "P-384"; }

KeyPointer rsa_public_key(const StorageKey& key) {
  const Pointer<BIGNUM> modulus(
      BN_bin2bn(octets(key.modulus), static_cast<int>(key.modulus.size()), nullptr));
  const Pointer<BIGNUM> exponent(BN_new());
  const Pointer<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder || BN_set_word(exponent.get(), RSA_F4) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  return from_data("RSA", builder.get());
}

KeyPointer ec_public_key(const StorageKey& key) {
  constexpr char kUncompressed = 4;  // SEC 1, section 2.3.3
  const std::string point = kUncompressed + key.x + key.y;
  const Pointer<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      openssl_group(key.curve), 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  KeyPointer made = from_data("EC", builder.get());
  const Pointer<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, made.get(), nullptr));
  if (!made || !context || EVP_PKEY_public_check(context.get()) != 1) return nullptr;
  return made;
}

std::string oaep_encrypt(EVP_PKEY* key, Hash hash, std::string_view label, std::string_view plain) {
  return oaep(key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, hash, label, plain);
}

std::string oaep_decrypt(EVP_PKEY* key, Hash hash, std::string_view label,
                         std::string_view cipher) {
  return oaep(key, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, hash, label, cipher);
}

std::string ecdh(EVP_PKEY* own, EVP_PKEY* peer) {
  const Pointer<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  std::size_t size = 0;
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer) != 1 ||
      EVP_PKEY_derive(context.get(), nullptr, &size) != 1) {
    return {};
  }
  std::string out(size, '\0');
  if (EVP_PKEY_derive(context.get(), octets(out), &size) != 1) return {};
  out.resize(size);
  return out;
}

std::string coordinate(EVP_PKEY* key, const char* name, std::size_t size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return {};
  const Pointer<BIGNUM> owned(number);
  std::string out(size, '\0');
  if (BN_bn2binpad(number, octets(out), static_cast<int>(size)) < 0) return {};
  return out;
}

}  // namespace doppel::security::tpm
