#include "security/jwt.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "security/sas.h"

namespace doppel::security {
namespace {

const TimePoint kNow = from_unix_seconds(1'800'000'000);
const std::string kKey(32, 'k');
constexpr std::string_view kIssuer = "https://localhost/tenant/";

Claims claims() {
  return {.issuer = std::string(kIssuer),
          .audience = "https://digitaltwins.azure.net",
          .tenant = "tenant",
          .object_id = "object",
          .client_id = "client",
          .roles = {"Owner"},
          .not_before = kNow,
          .expires = kNow + std::chrono::hours(1)};
}

class JwtTest : public ::testing::Test {
 protected:
  // Signs any header and claims with our key: what an attacker cannot do, but a bug of ours could.
  std::string sign(std::string_view header, std::string_view body) {
    std::string token = base64url_encode(header) + "." + base64url_encode(body);
    token += "." + base64url_encode(hmac_sha256(kKey, token));
    return token;
  }
  // The header of a token of ours, so that its key id is right.
  std::string header() {
    const auto token = signer.issue(claims());
    return *base64url_decode(token.substr(0, token.find('.')));
  }
  TokenSigner signer{kKey, std::string(kIssuer)};
};

TEST_F(JwtTest, VerifiesWhatItIssued) {
  const auto verified = signer.verify(signer.issue(claims()), kNow);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(*verified, claims());
}

TEST_F(JwtTest, RefusesAnotherKeyAndAnotherIssuer) {
  const TokenSigner other(std::string(32, 'x'), std::string(kIssuer));
  EXPECT_FALSE(signer.verify(other.issue(claims()), kNow));
  const TokenSigner elsewhere(kKey, "https://elsewhere/");
  EXPECT_FALSE(signer.verify(elsewhere.issue(claims()), kNow));
}

TEST_F(JwtTest, RefusesEveryChangedByte) {
  const auto token = signer.issue(claims());
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto changed = token;
    // The last character of a part has spare bits that decode alike, so a change there that a
    // strict decoder lets through must still not change what is believed.
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(signer.verify(changed, kNow)) << i;
  }
}

// "alg":"none" and a header that names another algorithm, even under a good signature.
TEST_F(JwtTest, DecidesTheAlgorithmItself) {
  const std::string body = R"({"iss":"https://localhost/tenant/","nbf":1,"exp":1900000000})";
  ASSERT_TRUE(signer.verify(sign(header(), body), kNow));
  EXPECT_FALSE(signer.verify(
      base64url_encode(R"({"alg":"none"})") + "." + base64url_encode(body) + ".", kNow));
  for (const std::string_view algorithm : {"none", "NONE", "RS256", "ES256", "hs256", ""}) {
    auto changed = header();
    changed.replace(changed.find("HS256"), 5, algorithm);
    EXPECT_FALSE(signer.verify(sign(changed, body), kNow)) << algorithm;
  }
  auto other_key_id = header();
  other_key_id.replace(other_key_id.find("\"kid\":\"") + 7, 1, "~");
  EXPECT_FALSE(signer.verify(sign(other_key_id, body), kNow));
}

TEST_F(JwtTest, HoldsTheTimesWithLeeway) {
  const auto token = signer.issue(claims());
  const auto second = std::chrono::seconds(1);
  EXPECT_TRUE(signer.verify(token, kNow + std::chrono::hours(1) + kJwtLeeway - second));
  EXPECT_FALSE(signer.verify(token, kNow + std::chrono::hours(1) + kJwtLeeway));
  EXPECT_TRUE(signer.verify(token, kNow - kJwtLeeway));
  EXPECT_FALSE(signer.verify(token, kNow - kJwtLeeway - second));
}

TEST_F(JwtTest, RefusesClaimsOfTheWrongShape) {
  for (const std::string_view body : {
           R"({"iss":"https://localhost/tenant/","nbf":1})",
           R"({"iss":"https://localhost/tenant/","exp":1900000000})",
           R"({"iss":"https://localhost/tenant/","nbf":1,"exp":"1900000000"})",
           R"({"iss":"https://localhost/tenant/","nbf":1,"exp":1e300})",
           R"({"iss":"https://localhost/tenant/","nbf":1,"exp":99999999999999})",
           R"({"iss":"https://localhost/tenant/","nbf":-1,"exp":1900000000})",
           R"({"iss":"https://localhost/tenant/","nbf":1,"exp":1900000000,"roles":"Owner"})",
           R"({"iss":"https://localhost/tenant/","nbf":1,"exp":1900000000,"roles":[1]})",
           R"({"iss":7,"nbf":1,"exp":1900000000})",
           R"([1])",
           R"("x")",
           "",
           "{",
       }) {
    EXPECT_FALSE(signer.verify(sign(header(), body), kNow)) << body;
  }
}

TEST_F(JwtTest, RefusesWhatIsNotThreeParts) {
  for (const std::string_view text : {"", ".", "..", "...", "a", "a.b", "a.b.c.d"}) {
    EXPECT_FALSE(signer.verify(text, kNow)) << text;
  }
  EXPECT_FALSE(signer.verify(std::string(kJwtSizeMax + 1, 'a'), kNow));
}

TEST_F(JwtTest, TheCacheForgetsExpiredTokensAndTheOldest) {
  TokenCache cache(signer, 2);
  const auto first = signer.issue(claims());
  ASSERT_TRUE(cache.verify(first, kNow));
  EXPECT_EQ(*cache.verify(first, kNow), *cache.verify(first, kNow))
      << "the very same object: a hit";
  EXPECT_EQ(cache.size(), 1u);
  // A hit must not outlive the token.
  EXPECT_FALSE(cache.verify(first, kNow + std::chrono::hours(2)));
  EXPECT_EQ(cache.size(), 0u);

  for (const char* id : {"a", "b", "c"}) {
    auto made = claims();
    made.client_id = id;
    ASSERT_TRUE(cache.verify(signer.issue(made), kNow));
  }
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_FALSE(cache.verify("a.b.c", kNow));
  EXPECT_EQ(cache.size(), 2u) << "refused tokens take no room";
}

}  // namespace
}  // namespace doppel::security
