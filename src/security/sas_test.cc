#include "security/sas.h"

#include <gtest/gtest.h>

#include "base/time_text.h"

namespace doppel::security {
namespace {

// Signatures in this file were made by Python's hmac over the literal texts, not by our own code.
constexpr std::string_view kKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
constexpr std::string_view kOtherKey = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const TimePoint kNow = from_unix_seconds(1'800'000'000);

std::string device_token() {
  return "SharedAccessSignature "
         "sr=localhost%2Fdevices%2Fd1&sig=yONC6%2BcLkV0WXQrdU1B9GoKVda1bNXiQKqBivn4"
         "%2F8Ts%3D&se=1800003600";
}

std::string reason(const Status& status) { return status ? "" : status.error().message; }

Status check_token(std::string_view text, std::string_view key = kKey,
                   KeyForm form = KeyForm::base64, TimePoint now = kNow) {
  const auto token = parse_sas(text);
  if (!token) return fail(token.error());
  return verify_sas(*token, key, form, now);
}

TEST(Sas, VerifiesATokenMadeElsewhere) { EXPECT_EQ(reason(check_token(device_token())), ""); }

TEST(Sas, TakesTheFieldsInAnyOrderAndAnEmptyKeyName) {
  // Node writes sr, sig, skn, se; C leaves skn empty; the documentation's order is sig, se, sr.
  constexpr std::string_view kSig = "sig=yONC6%2BcLkV0WXQrdU1B9GoKVda1bNXiQKqBivn4%2F8Ts%3D";
  const std::string sr = "sr=localhost%2Fdevices%2Fd1";
  const std::string prefix(kSasScheme);
  EXPECT_TRUE(check_token(prefix + sr + "&" + std::string(kSig) + "&skn=&se=1800003600"));
  EXPECT_TRUE(check_token(prefix + std::string(kSig) + "&se=1800003600&" + sr));
  const auto named =
      parse_sas(prefix + std::string(kSig) + "&se=1800003600&" + sr + "&skn=my%20rule");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->key_name, "my rule");
}

// What is signed is the text as sent: Node leaves the DPS resource raw, others encode in upper or
// lower case.
TEST(Sas, SignsTheLiteralTextOfTheResource) {
  EXPECT_TRUE(
      check_token("SharedAccessSignature sr=localhost%2fdevices%2fd1&sig="
                  "7ag%2Bb0bfhvLEGmR5h106IoeLSUMGY6EBl8hXtxPdFE4%3D&se=1800003600"));
  EXPECT_TRUE(
      check_token("SharedAccessSignature sr=0ne00000001/registrations/reg-1&sig="
                  "UM6ls0bcVKPIV%2BPKX%2FuNpX%2BEmm2sS4lFt%2BkNpUY05aE%3D&se=1800003600"
                  "&skn=registration"));
  // The upper-case text with the signature of the lower-case one.
  EXPECT_FALSE(
      check_token("SharedAccessSignature sr=localhost%2Fdevices%2Fd1&sig="
                  "7ag%2Bb0bfhvLEGmR5h106IoeLSUMGY6EBl8hXtxPdFE4%3D&se=1800003600"));
}

TEST(Sas, EventHubsSignWithTheTextOfTheKey) {
  const std::string token =
      "SharedAccessSignature sr=sb%3A%2F%2Flocalhost%3A5671%2Feh1&sig="
      "%2BHx8KOip5k00UEpsEfAUX1Z4w%2B%2Bbe3Db26BK%2F943oOU%3D&se=1800003600&skn=root";
  EXPECT_TRUE(check_token(token, kKey, KeyForm::text));
  EXPECT_FALSE(check_token(token, kKey, KeyForm::base64));
  EXPECT_FALSE(check_token(device_token(), kKey, KeyForm::text));
}

TEST(Sas, RefusesAnotherKeyATamperedTextAndAnEmptyKey) {
  EXPECT_FALSE(check_token(device_token(), kOtherKey));
  EXPECT_FALSE(check_token(device_token(), ""));
  EXPECT_FALSE(check_token(device_token(), "not base64!"));
  auto longer = device_token();
  longer.replace(longer.find("1800003600"), 10, "1900003600");
  EXPECT_FALSE(check_token(longer));
  auto other_device = device_token();
  other_device.replace(other_device.find("d1"), 2, "d2");
  EXPECT_FALSE(check_token(other_device));
}

TEST(Sas, TakesEitherOfTwoKeysAndNeitherWhenBothAreEmpty) {
  const auto token = parse_sas(device_token());
  ASSERT_TRUE(token);
  EXPECT_TRUE(verify_sas(*token, kKey, kOtherKey, KeyForm::base64, kNow));
  EXPECT_TRUE(verify_sas(*token, kOtherKey, kKey, KeyForm::base64, kNow));
  EXPECT_FALSE(verify_sas(*token, kOtherKey, "", KeyForm::base64, kNow));
  EXPECT_FALSE(verify_sas(*token, "", "", KeyForm::base64, kNow));
}

TEST(Sas, ExpiresAfterTheGraceOnly) {
  const auto end = from_unix_seconds(1'800'003'600);
  EXPECT_TRUE(check_token(device_token(), kKey, KeyForm::base64, end));
  EXPECT_TRUE(check_token(device_token(), kKey, KeyForm::base64, end + kSasSkew));
  const auto late =
      check_token(device_token(), kKey, KeyForm::base64, end + kSasSkew + std::chrono::seconds(1));
  EXPECT_EQ(reason(late), "SAS token: expired");
  // Without the key nobody is told that the token is only late.
  const auto late_and_wrong =
      check_token(device_token(), kOtherKey, KeyForm::base64, end + std::chrono::hours(1));
  EXPECT_EQ(reason(late_and_wrong), "SAS token: the signature does not match the key");
}

TEST(Sas, RefusesWhatIsNotAToken) {
  for (const std::string_view text : {
           "", "SharedAccessSignature", "SharedAccessSignature ", "Bearer x",
           "SharedAccessSignature sr=a&sig=YQ==",                            // no se
           "SharedAccessSignature sig=YQ==&se=1",                            // no sr
           "SharedAccessSignature sr=a&se=1",                                // no sig
           "SharedAccessSignature sr=a&sig=YQ==&se=",                        // empty
           "SharedAccessSignature sr=a&sig=YQ==&se=-1",                      // before time began
           "SharedAccessSignature sr=a&sig=YQ==&se=+1",                      //
           "SharedAccessSignature sr=a&sig=YQ==&se=1.5",                     // not whole
           "SharedAccessSignature sr=a&sig=YQ==&se=9999999999999999999999",  // too long
           "SharedAccessSignature sr=%zz&sig=YQ==&se=1",                     // bad escape
           "SharedAccessSignature sr=a&sig=***&se=1",                        // not base64
           "SharedAccessSignature sr=a&sr=b&sig=YQ==&se=1",                  // which one is meant?
           "SharedAccessSignature sr=a&sig=YQ==&se=1&se=2",                  //
           "SharedAccessSignature sr=a&sig=YQ==&se=1&skn",                   // no '='
       }) {
    EXPECT_FALSE(parse_sas(text)) << text;
  }
  EXPECT_FALSE(parse_sas(device_token() + "&x=" + std::string(kSasTokenSizeMax, 'a')));
}

TEST(Sas, KeepsAFarExpiryWithinTheClock) {
  const auto token = parse_sas("SharedAccessSignature sr=a&sig=YQ==&se=999999999999999999");
  ASSERT_TRUE(token);
  EXPECT_GT(token->expires(), kNow);
}

TEST(SasResource, DropsSchemeAndPortAndLowersTheHost) {
  for (const std::string_view text :
       {"sb://LocalHost:5671/eh1/Publishers/p", "localhost/eh1/Publishers/p",
        "amqps://localhost//eh1/Publishers/p/", "localhost:8443/eh1/Publishers/p"}) {
    const auto resource = sas_resource(text);
    EXPECT_EQ(resource.host, "localhost") << text;
    EXPECT_EQ(resource.segments, (std::vector<std::string>{"eh1", "Publishers", "p"})) << text;
  }
  EXPECT_EQ(sas_resource("[::1]:8883/devices/d").host, "[::1]");
  EXPECT_EQ(sas_resource("[::1]/devices/d").host, "[::1]");
  EXPECT_EQ(sas_resource("").host, "");
}

TEST(SasResource, CoversByWholeSegmentsOnly) {
  EXPECT_TRUE(covers(sas_resource("h"), {"devices", "d1"}));
  EXPECT_TRUE(covers(sas_resource("h/devices"), {"devices", "d1"}));
  EXPECT_TRUE(covers(sas_resource("h/devices/d1"), {"devices", "d1"}));
  EXPECT_TRUE(covers(sas_resource("h/devices/d1"), {"devices", "d1", "modules", "m"}));
  EXPECT_FALSE(covers(sas_resource("h/devices/d1"), {"devices", "d11"}));
  EXPECT_FALSE(covers(sas_resource("h/devices/d1"), {"devices", "D1"}));
  EXPECT_FALSE(covers(sas_resource("h/devices/d1/modules/m"), {"devices", "d1"}));
  EXPECT_TRUE(covers(sas_resource("h/devices/d1/api-version=2016-11-14"), {"devices", "d1"}));
}

TEST(Sas, MakesWhatItVerifies) {
  const auto made = make_sas("localhost/devices/d1", kKey, KeyForm::base64, "device",
                             from_unix_seconds(1'800'003'600));
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, device_token() + "&skn=device");
  EXPECT_FALSE(make_sas("localhost", "***", KeyForm::base64, "", kNow));
  EXPECT_FALSE(make_sas("localhost", "", KeyForm::text, "", kNow));
}

// The vector of "Azure IoT Hub Device Provisioning Service: symmetric key attestation".
TEST(Sas, DerivesTheKeyOfTheDocumentation) {
  const auto key = derive_device_key(
      "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
      "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
  ASSERT_TRUE(key);
  EXPECT_EQ(*key, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
  EXPECT_FALSE(derive_device_key("no base64", "d"));
  EXPECT_FALSE(derive_device_key("", "d"));
}

// RFC 4231, test cases 1 and 2, and an empty key.
TEST(Hmac, MatchesTheRfc) {
  const auto hex = [](std::string_view bytes) {
    std::string out;
    for (const unsigned char c : bytes) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out.push_back(kDigits[c >> 4]);
      out.push_back(kDigits[c & 15]);
    }
    return out;
  };
  EXPECT_EQ(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256("", "")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

}  // namespace
}  // namespace doppel::security
