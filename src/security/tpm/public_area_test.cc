#include "security/tpm/public_area.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "security/tpm/testing.h"

namespace doppel::security::tpm {
namespace {

using ::testing::HasSubstr;
using testing::PublicParts;

// The endorsement key of Azure's documentation and of the az extension's tests.
constexpr std::string_view kDocumentedKey =
    "AToAAQALAAMAsgAgg3GXZ0SEs/"
    "gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAibym9HQP9vxCGF5d"
    "Vc1QQsAGe021aUGJzNol1/"
    "gycBx3jFsTpwmWbISRwnFvflWd0w2Mc44FAAZNaJOAAxwZvG8GvyLlHh6fGKdh+mSBL4iLH2bZ"
    "4Ry22cB3CJVjXmdGoz9Y/j3/NwLndBxQC+baNvzvyVQZ4/"
    "A2YL7vzIIj2ik4y+ve9ir7U0GbNdnxskqK1KFIITVVtkTIYyyF"
    "TIR0BySjPrRIDj7r7Mh5uF9HBppGKQCBoVSVV8dI91lNazmSdpGWyqCkO7iM4VvUMv2HT/"
    "ym53aYlUrau+Qq87Tu+uQipWYg"
    "RdF11KDfcpMHqqzBQQ1NpOJVhrsTrhyJzO7KNw==";

std::string refusal_of(const std::string& bytes) {
  const auto key = parse_storage_key(bytes);
  if (key) return "taken";
  EXPECT_EQ(key.error().code, Code::invalid_argument);
  return key.error().message;
}

PublicParts rsa_parts() {
  PublicParts parts;
  parts.modulus = std::string(256, '\x55');
  parts.modulus.front() = '\xc0';
  return parts;
}

PublicParts ec_parts(Curve curve = Curve::p256) {
  const KeyPointer key(EVP_EC_gen(openssl_group(curve)));
  return testing::parts_of(key.get(), curve);
}

TEST(PublicAreaTest, ReadsTheDocumentedEndorsementKey) {
  const auto key = parse_storage_key(*base64_decode(kDocumentedKey));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->type, Algorithm::rsa);
  EXPECT_EQ(key->name_hash, Hash::sha256);
  EXPECT_EQ(key->aes_bits, 128);
  EXPECT_EQ(key->modulus.size(), 256u);
  EXPECT_EQ(key->name.size(), 34u);
}

// base32 of SHA-256 by Python's base64.b32encode(hashlib.sha256(key).digest()).lower().rstrip("=").
TEST(PublicAreaTest, MakesTheRegistrationIdThatSdksMake) {
  EXPECT_EQ(default_registration_id(*base64_decode(kDocumentedKey)),
            "t6t2cg5vnzscr7ty546hj7c7maamkggectqcxkccq637z5bvlnoa");
}

TEST(PublicAreaTest, TakesRsaAndEcKeysOfTheSizesThatTpmsHave) {
  for (const std::uint16_t bits : {2048, 3072, 4096}) {
    auto parts = rsa_parts();
    parts.rsa_bits = bits;
    parts.modulus.insert(1, bits / 8 - parts.modulus.size(), '\x33');
    EXPECT_EQ(refusal_of(parts.encode()), "taken") << bits;
  }
  for (const Curve curve : {Curve::p256, Curve::p384}) {
    auto parts = ec_parts(curve);
    EXPECT_EQ(refusal_of(parts.encode()), "taken");
  }
  auto explicit_exponent = rsa_parts();
  explicit_exponent.exponent = 65537;
  explicit_exponent.name_algorithm = Algorithm::sha384;
  explicit_exponent.aes_bits = 256;
  EXPECT_EQ(refusal_of(explicit_exponent.encode()), "taken");
}

TEST(PublicAreaTest, PadsCoordinatesWithoutLeadingZeros) {
  // A point with a short x is found in a few hundred tries.
  for (int tries = 0; tries < 20'000; ++tries) {
    auto parts = ec_parts();
    if (parts.x.front() != '\0') continue;
    parts.x.erase(0, 1);
    const auto key = parse_storage_key(parts.encode());
    ASSERT_TRUE(key);
    EXPECT_EQ(key->x.size(), 32u);
    return;
  }
  FAIL() << "no point with a short coordinate";
}

TEST(PublicAreaTest, RefusesEveryCutAndEveryExcess) {
  for (const auto& whole : {rsa_parts().encode(), ec_parts().encode()}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(refusal_of(whole.substr(0, size)), "taken") << size;
      if (size < 2) continue;
      // The same with an outer size that fits.
      EXPECT_NE(refusal_of(sized(std::string_view(whole).substr(2, size - 2))), "taken") << size;
    }
    EXPECT_THAT(refusal_of(whole + '\0'), HasSubstr("follows"));
    EXPECT_THAT(refusal_of(sized(whole.substr(2) + '\0')), HasSubstr("follows"));
  }
  EXPECT_THAT(refusal_of(std::string(kPublicAreaSizeMax + 1, '\0')), HasSubstr("too large"));
}

TEST(PublicAreaTest, SaysWhatIsWrongWithAKey) {
  const auto refused = [](auto change, PublicParts parts = rsa_parts()) {
    change(parts);
    return refusal_of(parts.encode());
  };
  using P = PublicParts&;
  EXPECT_THAT(refused([](P p) { p.type = Algorithm::keyed_hash; }), HasSubstr("RSA or ECC"));
  EXPECT_THAT(refused([](P p) { p.name_algorithm = Algorithm::sha1; }), HasSubstr("SHA-256"));
  EXPECT_THAT(refused([](P p) { p.attributes &= ~kRestricted; }), HasSubstr("no storage key"));
  EXPECT_THAT(refused([](P p) { p.attributes &= ~kDecrypt; }), HasSubstr("no storage key"));
  EXPECT_THAT(refused([](P p) { p.attributes |= kSign; }), HasSubstr("no storage key"));
  EXPECT_THAT(refused([](P p) { p.attributes &= ~kFixedTpm; }), HasSubstr("fixedTPM"));
  EXPECT_THAT(refused([](P p) { p.cipher = Algorithm::null; }), HasSubstr("AES"));
  EXPECT_THAT(refused([](P p) { p.aes_bits = 192; }), HasSubstr("128 or 256"));
  EXPECT_THAT(refused([](P p) { p.mode = Algorithm::null; }), HasSubstr("CFB"));
  EXPECT_THAT(refused([](P p) { p.scheme = Algorithm::hmac; }), HasSubstr("no scheme"));
  EXPECT_THAT(refused([](P p) { p.rsa_bits = 1024; }), HasSubstr("1024 bits"));
  EXPECT_THAT(refused([](P p) { p.rsa_bits = 3072; }), HasSubstr("another size"));
  EXPECT_THAT(refused([](P p) { p.exponent = 3; }), HasSubstr("65537"));
  EXPECT_THAT(refused([](P p) { p.modulus.front() = '\x40'; }), HasSubstr("two primes"));
  EXPECT_THAT(refused([](P p) { p.modulus.back() = '\x54'; }), HasSubstr("two primes"));

  const auto ec = ec_parts();
  EXPECT_THAT(refused([](P p) { p.curve = 1; }, ec), HasSubstr("P-256 or P-384"));
  EXPECT_THAT(refused([](P p) { p.derivation = Algorithm::hmac; }, ec), HasSubstr("derivation"));
  EXPECT_THAT(refused([](P p) { p.x += '\1'; }, ec), HasSubstr("wrong size"));
  EXPECT_THAT(refused([](P p) { p.y.clear(); }, ec), HasSubstr("wrong size"));
  // Else the shared point would tell about our one-time key.
  EXPECT_THAT(refused([](P p) { p.y.back() = static_cast<char>(p.y.back() ^ 1); }, ec),
              HasSubstr("not on its curve"));
  EXPECT_THAT(refused([](P p) { p.x = p.y = std::string(32, '\0'); }, ec),
              HasSubstr("not on its curve"));
}

}  // namespace
}  // namespace doppel::security::tpm
