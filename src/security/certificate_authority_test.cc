#include "security/certificate_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "security/certificate_path.h"
#include "security/certificate_testing.h"
#include "security/request_testing.h"

namespace doppel::security {
namespace {

using ::testing::HasSubstr;
using testing::make_request;
using testing::RequestSpec;

const TimePoint kNow = TimePoint(std::chrono::seconds(1'800'000'000));  // 2027

std::string refusal(const std::string& der) {
  const auto read = CertificateRequest::parse(base64_encode(der));
  return read ? "" : read.error().message;
}

TEST(CertificateRequest, ReadsWhatSdksSend) {
  const auto read =
      CertificateRequest::parse(base64_encode(make_request({.common_names = {"dev"}})));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->common_name(), "dev");
  for (const char* curve : {"P-256", "P-384", "ED25519", (const char*)nullptr}) {
    EXPECT_EQ(refusal(make_request({.curve = curve})), "");
  }
}

TEST(CertificateRequest, SaysWhatIsWrong) {
  EXPECT_THAT(CertificateRequest::parse("***").error().message, HasSubstr("base64"));
  EXPECT_THAT(CertificateRequest::parse("").error().message, HasSubstr("base64"));
  EXPECT_THAT(CertificateRequest::parse(std::string(100'000, 'A')).error().message,
              HasSubstr("at most"));
  EXPECT_THAT(refusal(std::string(kRequestSizeMax + 1, '0')), HasSubstr("at most"));
  EXPECT_THAT(refusal("hello"), HasSubstr("not a signing request"));
  const std::string good = make_request({});
  EXPECT_THAT(refusal(good + "x"), HasSubstr("behind"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 1)), HasSubstr("not a signing request"));
  std::string forged = good;
  forged[forged.size() - 3] = static_cast<char>(forged[forged.size() - 3] ^ 1);
  EXPECT_THAT(refusal(forged), HasSubstr("not signed by its own key"));
  EXPECT_THAT(refusal(make_request({.curve = "P-224"})), HasSubstr("224 bits"));
  EXPECT_THAT(refusal(make_request({.curve = nullptr, .rsa_bits = 1024})), HasSubstr("1024 bits"));
}

TEST(CertificateRequest, HasNoNameUnlessItIsTheOnlyOne) {
  const auto name_of = [](std::vector<std::string> names) {
    return CertificateRequest::parse(
               base64_encode(make_request({.common_names = std::move(names)})))
        ->common_name();
  };
  EXPECT_EQ(name_of({}), std::nullopt);
  EXPECT_EQ(name_of({"a", "b"}), std::nullopt);
}

class CertificateAuthorityTest : public ::testing::Test {
 protected:
  SeededRandom random{11};
  CertificateAuthority authority =
      CertificateAuthority::make("Issuer", kNow, std::chrono::days(3650), random);
  CertificateRequest request = *CertificateRequest::from_der(make_request({}));
};

TEST_F(CertificateAuthorityTest, IssuesWhatItsOwnCertificateVouchesFor) {
  const auto leaf = authority.issue(request, "dev", kNow, std::chrono::days(30), random);
  const auto path = verify_path(leaf, {}, std::span(&authority.certificate(), 1), kNow);
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(leaf.subject(), "CN=dev") << "nothing of the request but its key";
  EXPECT_TRUE(request.has_key_of(leaf));
  EXPECT_FALSE(request.has_key_of(authority.certificate()));
  EXPECT_FALSE(leaf.may_sign_certificates());
  EXPECT_EQ(leaf.not_after(), "2027-02-14T08:00:00Z");
  EXPECT_LT(leaf.not_before_s(), 1'800'000'000) << "for devices whose clock is slow";
  EXPECT_NE(authority.issue(request, "dev", kNow, std::chrono::days(30), random).serial_number(),
            leaf.serial_number());
}

TEST_F(CertificateAuthorityTest, IssuesNothingThatOutlivesIt) {
  const auto leaf = authority.issue(request, "dev", kNow, std::chrono::days(36500), random);
  EXPECT_EQ(leaf.not_after_s(), authority.certificate().not_after_s());
}

TEST_F(CertificateAuthorityTest, LoadsWhatBelongsTogether) {
  const auto again = CertificateAuthority::load(authority.certificate(), authority.key_pem());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->certificate(), authority.certificate());
  const auto other = testing::issue(testing::ca("Other"));
  const auto error = [](const Certificate& certificate, const std::string& key) {
    const auto loaded = CertificateAuthority::load(certificate, key);
    return loaded ? "" : loaded.error().message;
  };
  EXPECT_THAT(error(authority.certificate(), other.key_pem()), HasSubstr("not that of"));
  EXPECT_THAT(error(authority.certificate(), "garbage"), HasSubstr("cannot be read"));
  EXPECT_THAT(error(authority.certificate(), ""), HasSubstr("cannot be read"));
  const auto leaf = testing::issue(testing::leaf("dev"));
  EXPECT_THAT(error(leaf.certificate, leaf.key_pem()), HasSubstr("not one of a CA"));
  for (const char* curve : {"ED25519", (const char*)nullptr}) {
    auto spec = testing::ca("CA");
    spec.curve = curve;
    const auto made = testing::issue(spec);
    const auto loaded = CertificateAuthority::load(made.certificate, made.key_pem());
    ASSERT_TRUE(loaded);
    const auto issued = loaded->issue(request, "dev", kNow, std::chrono::days(1), random);
    EXPECT_TRUE(is_signed_by(issued, made.certificate));
  }
}

}  // namespace
}  // namespace doppel::security
