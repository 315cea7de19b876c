// Any bytes as the public area of a TPM's key: parsing must neither crash nor read past the end,
// and what it takes must be fit for a blob.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "security/tpm/activation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel;
  using namespace doppel::security;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto key = tpm::parse_storage_key(bytes);
  if (!key) {
    check(!key.error().message.empty(), "a refusal has a reason");
    return 0;
  }
  check(key->name.size() == 2 + tpm::digest_size(key->name_hash), "a key has a name");
  SeededRandom random(1);
  const auto blob = tpm::activation_blob(*key, *key, "0123456789abcdef0123456789abcdef", random);
  // An RSA modulus may be any odd number, which OpenSSL takes.
  check(blob.has_value(), "a blob can be made for every key that was taken");
  tpm::Reader in(*blob);
  for (int i = 0; i < 6; ++i) in.sized();
  check(!in.has_failed() && in.is_at_end(), "a blob has six parts");
  return 0;
}
