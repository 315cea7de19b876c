#include "security/keys.h"

#include <charconv>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/check.h"
#include "base/encoding.h"

namespace doppel::security {
namespace {

// OWASP asks for far more against people's passwords; client secrets are long and random, and the
// hash is sealed again with the record it stands in. This is enough to make guessing expensive.
constexpr int kIterations = 20'000;
constexpr int kIterationsMax = 10'000'000;  // a record that asks for more is damaged
constexpr std::size_t kSaltSize = 16;
constexpr std::size_t kHashSize = 32;
constexpr std::string_view kScheme = "pbkdf2-sha256";

std::string derive(std::string_view secret, std::string_view salt, int iterations) {
  std::string out(kHashSize, '\0');
  const int done = PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()),
                                     reinterpret_cast<const unsigned char*>(salt.data()),
                                     static_cast<int>(salt.size()), iterations, EVP_sha256(),
                                     kHashSize, reinterpret_cast<unsigned char*>(out.data()));
  check(done == 1, "PBKDF2 succeeds");
  return out;
}

}  // namespace

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_key(Random& random, std::size_t size) {
  return base64_encode(random.bytes(size));
}

std::string hash_secret(Random& random, std::string_view secret) {
  const std::string salt = random.bytes(kSaltSize);
  std::string text(kScheme);
  text.append("$").append(std::to_string(kIterations));
  text.append("$").append(base64_encode(salt));
  text.append("$").append(base64_encode(derive(secret, salt, kIterations)));
  return text;
}

bool verify_secret(std::string_view hashed, std::string_view secret) {
  if (!hashed.starts_with(kScheme) || secret.size() > 4096) return false;
  hashed.remove_prefix(kScheme.size());
  std::string_view parts[3];
  for (auto& part : parts) {
    if (!hashed.starts_with('$')) return false;
    hashed.remove_prefix(1);
    part = hashed.substr(0, hashed.find('$'));
    hashed.remove_prefix(part.size());
  }
  int iterations = 0;
  const auto [end, error] =
      std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), iterations);
  if (error != std::errc{} || end != parts[0].data() + parts[0].size()) return false;
  if (iterations < 1 || iterations > kIterationsMax) return false;
  const auto salt = base64_decode(parts[1]);
  const auto hash = base64_decode(parts[2]);
  if (!salt || !hash) return false;
  return constant_time_equal(derive(secret, *salt, iterations), *hash);
}

std::string sha256(std::string_view bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

}  // namespace doppel::security
