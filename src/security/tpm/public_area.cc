#include "security/tpm/public_area.h"

#include <optional>

#include <fmt/format.h>

#include "security/tpm/crypto.h"
#include "security/tpm/openssl.h"

namespace doppel::security::tpm {
namespace {

constexpr std::uint16_t kCurveP256 = 0x0003;  // TPM_ECC_CURVE (Part 2, section 6.4)
constexpr std::uint16_t kCurveP384 = 0x0004;
constexpr std::uint32_t kExponent = 65537;

std::unexpected<Error> bad(std::string why) { return fail(Code::invalid_argument, std::move(why)); }

std::optional<Hash> hash_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::sha256:
      return Hash::sha256;
    case Algorithm::sha384:
      return Hash::sha384;
    case Algorithm::sha512:
      return Hash::sha512;
    default:
      return std::nullopt;
  }
}

Status check_attributes(std::uint32_t attributes) {
  if ((attributes & kRestricted) == 0 || (attributes & kDecrypt) == 0 ||
      (attributes & kSign) != 0) {
    return bad("the key is no storage key: it must be restricted, for decryption only");
  }
  if ((attributes & kFixedTpm) == 0) return bad("the key may leave its TPM (fixedTPM is not set)");
  return {};
}

// TPMT_SYM_DEF_OBJECT of a storage key: the cipher for its children.
Status read_cipher(Reader& in, StorageKey& key) {
  const Algorithm cipher = in.algorithm();
  if (cipher != Algorithm::aes) return bad("the key's symmetric algorithm must be AES");
  key.aes_bits = in.u16();
  const Algorithm mode = in.algorithm();
  if (key.aes_bits != 128 && key.aes_bits != 256) return bad("AES must have 128 or 256 bits");
  if (mode != Algorithm::cfb) return bad("AES must be in CFB mode");
  return {};
}

Status read_rsa(Reader& in, StorageKey& key) {
  if (auto read = read_cipher(in, key); !read) return read;
  if (in.algorithm() != Algorithm::null) return bad("a storage key has no scheme");
  const std::uint16_t bits = in.u16();
  const std::uint32_t exponent = in.u32();
  key.modulus = in.sized();
  if (in.has_failed()) return {};  // told by the caller
  if (bits != 2048 && bits != 3072 && bits != 4096) {
    return bad(fmt::format("an RSA key of {} bits: it must have 2048, 3072 or 4096", bits));
  }
  if (exponent != 0 && exponent != kExponent) return bad("the RSA exponent must be 65537");
  if (key.modulus.size() * 8 != bits) return bad("the RSA modulus has another size than it says");
  // The highest bit set, and odd: what every product of two large primes is.
  if ((key.modulus.front() & '\x80') == 0 || (key.modulus.back() & 1) == 0) {
    return bad("the RSA modulus is no product of two primes");
  }
  return {};
}

// Some TPMs leave out leading zero bytes of a coordinate.
bool pad(std::string& coordinate, std::size_t size) {
  if (coordinate.empty() || coordinate.size() > size) return false;
  coordinate.insert(0, size - coordinate.size(), '\0');
  return true;
}

Status read_ecc(Reader& in, StorageKey& key) {
  if (auto read = read_cipher(in, key); !read) return read;
  if (in.algorithm() != Algorithm::null) return bad("a storage key has no scheme");
  const std::uint16_t curve = in.u16();
  const Algorithm derivation = in.algorithm();
  key.x = in.sized();
  key.y = in.sized();
  if (in.has_failed()) return {};
  if (curve != kCurveP256 && curve != kCurveP384) return bad("the curve must be P-256 or P-384");
  if (derivation != Algorithm::null) return bad("a storage key has no key derivation of its own");
  key.curve = curve == kCurveP256 ? Curve::p256 : Curve::p384;
  const auto size = coordinate_size(key.curve);
  if (!pad(key.x, size) || !pad(key.y, size)) return bad("a coordinate has a wrong size");
  if (!ec_public_key(key)) return bad("the point is not on its curve");
  return {};
}

}  // namespace

std::size_t digest_size(Hash hash) {
  switch (hash) {
    case Hash::sha256:
      return 32;
    case Hash::sha384:
      return 48;
    case Hash::sha512:
      return 64;
  }
  return 0;
}

Algorithm algorithm_of(Hash hash) {
  switch (hash) {
    case Hash::sha256:
      return Algorithm::sha256;
    case Hash::sha384:
      return Algorithm::sha384;
    case Hash::sha512:
      return Algorithm::sha512;
  }
  return Algorithm::null;
}

std::size_t coordinate_size(Curve curve) { return curve == Curve::p256 ? 32 : 48; }

Result<StorageKey> parse_storage_key(std::string_view tpm2b_public) {
  if (tpm2b_public.size() > kPublicAreaSizeMax) return bad("the public area is too large");
  Reader outer(tpm2b_public);
  const std::string_view area = outer.sized();
  if (outer.has_failed()) return bad("the public area is cut short");
  if (!outer.is_at_end()) return bad("something follows the public area");

  Reader in(area);
  StorageKey key;
  key.type = in.algorithm();
  const auto hash = hash_of(in.algorithm());
  key.attributes = in.u32();
  in.sized();  // authPolicy: part of the name only
  if (in.has_failed()) return bad("the public area is cut short");
  if (key.type != Algorithm::rsa && key.type != Algorithm::ecc) {
    return bad("the key must be RSA or ECC");
  }
  if (!hash) return bad("the key's name must be a SHA-256, SHA-384 or SHA-512");
  key.name_hash = *hash;
  if (auto good = check_attributes(key.attributes); !good) return fail(std::move(good.error()));
  auto read = key.type == Algorithm::rsa ? read_rsa(in, key) : read_ecc(in, key);
  if (in.has_failed()) return bad("the public area is cut short");
  if (!read) return fail(std::move(read.error()));
  if (!in.is_at_end()) return bad("something follows the key in its public area");
  append(key.name, algorithm_of(key.name_hash));
  key.name += digest(key.name_hash, area);
  return key;
}

std::string default_registration_id(std::string_view tpm2b_public) {
  constexpr std::string_view kAlphabet =
      "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648, lower case
  constexpr unsigned kBitsPerCharacter = 5;
  std::string out;
  unsigned pending = 0;
  unsigned bits = 0;
  for (const char c : digest(Hash::sha256, tpm2b_public)) {
    pending = (pending << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= kBitsPerCharacter) {
      bits -= kBitsPerCharacter;
      out += kAlphabet[(pending >> bits) & 0x1f];
    }
    pending &= (1u << bits) - 1;
  }
  if (bits > 0) out += kAlphabet[(pending << (kBitsPerCharacter - bits)) & 0x1f];
  return out;
}

}  // namespace doppel::security::tpm
