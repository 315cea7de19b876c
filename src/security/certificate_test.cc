#include "security/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "security/certificate_testing.h"

namespace doppel::security {
namespace {

using testing::ca;
using ::testing::HasSubstr;
using testing::issue;
using testing::leaf;

std::string refusal(std::string_view text) {
  const auto read = Certificate::parse(text);
  EXPECT_FALSE(read) << text.substr(0, 80);
  return read ? "" : read.error().message;
}

// A chain as OpenSSL hands it out.
class Stack {
 public:
  explicit Stack(const std::vector<Certificate>& certificates) : stack_(sk_X509_new_null()) {
    for (const auto& one : certificates) sk_X509_push(stack_, one.get());
  }
  ~Stack() { sk_X509_free(stack_); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  stack_st_X509* get() const { return stack_; }

 private:
  STACK_OF(X509) * stack_;
};

TEST(Certificate, ReadsEveryFormThatClientsSend) {
  const auto made = issue(leaf("dev-1")).certificate;
  const std::string pem = made.pem();
  std::string crlf;
  for (const char c : pem) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  std::string one_line;
  for (const char c : pem)
    if (c != '\n') one_line += c;
  for (const std::string& text : {
           pem, crlf, one_line, "subject=CN = dev-1\n\n" + pem + "\n \n",
           base64_encode(made.der()),  // bare DER, as the SDKs' samples do
           "\n" + base64_encode(made.der()) + "\n",
           base64_encode(pem),  // az iot dps certificate create
       }) {
    const auto read = Certificate::parse(text);
    ASSERT_TRUE(read) << read.error().message << "\n" << text;
    EXPECT_EQ(*read, made);
    EXPECT_EQ(read->sha256(), made.sha256());
  }
}

TEST(Certificate, SaysWhatIsWrongWithOtherTexts) {
  const auto made = issue(leaf("dev-1"));
  const std::string pem = made.certificate.pem();
  EXPECT_THAT(refusal(""), HasSubstr("neither PEM"));
  EXPECT_THAT(refusal("hello"), HasSubstr("neither PEM"));
  EXPECT_THAT(refusal("aGVsbG8="), HasSubstr("not a certificate"));
  EXPECT_THAT(refusal(pem + pem), HasSubstr("more than one"));
  EXPECT_THAT(refusal(pem + "and so on"), HasSubstr("behind the certificate"));
  EXPECT_THAT(refusal(made.key_pem()), HasSubstr("private key"));
  EXPECT_THAT(refusal(pem + made.key_pem()), HasSubstr("private key"));
  EXPECT_THAT(refusal(pem.substr(0, pem.size() / 2)), HasSubstr("ends before"));
  EXPECT_THAT(refusal("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"),
              HasSubstr("base64"));
  EXPECT_THAT(refusal("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----"),
              HasSubstr("something else"));
  EXPECT_THAT(refusal(base64_encode(made.certificate.der() + "x")), HasSubstr("bytes behind"));
  EXPECT_THAT(refusal(base64_encode(made.certificate.der().substr(0, 200))),
              HasSubstr("not a certificate"));
  EXPECT_THAT(refusal(std::string(200'000, 'A')), HasSubstr("too long"));
  EXPECT_THAT(refusal(base64_encode(std::string(kCertificateSizeMax + 1, '0'))),
              HasSubstr("at most"));
}

// BER has many ways to write the same thing; each would have a thumbprint of its own.
TEST(Certificate, TakesDerOnly) {
  const auto made = issue(leaf("dev-1")).certificate;
  std::string ber = made.der();
  ASSERT_EQ(static_cast<unsigned char>(ber[1]), 0x82);  // a length in two bytes
  ber.replace(1, 1, std::string("\x83\x00", 2));        // the same in three
  EXPECT_FALSE(Certificate::from_der(ber));
}

TEST(Certificate, KnowsItsFacts) {
  auto spec = leaf("dev-1");
  spec.organization = "Contoso, Ltd";
  const auto authority = issue(ca("Root"));
  const auto made = issue(spec, &authority).certificate;
  EXPECT_EQ(made.common_name(), "dev-1");
  EXPECT_EQ(made.subject(), R"(CN=dev-1, O=Contoso\, Ltd)");
  EXPECT_EQ(made.issuer(), "CN=Root");
  EXPECT_EQ(made.issuer_hash(), authority.certificate.subject_hash());
  EXPECT_EQ(made.version(), 3);
  EXPECT_EQ(made.not_before(), "2000-01-01T00:00:00Z");
  EXPECT_EQ(made.not_after(), "2100-01-01T00:00:00Z");
  EXPECT_EQ(made.key_kind(), KeyKind::ec);
  EXPECT_EQ(made.key_bits(), 256);
  EXPECT_EQ(made.sha1().size(), 40u);
  EXPECT_EQ(made.sha256().size(), 64u);
  EXPECT_FALSE(made.may_sign_certificates());
  EXPECT_TRUE(authority.certificate.may_sign_certificates());
  EXPECT_TRUE(authority.certificate.is_self_issued());
}

TEST(Certificate, HasNoCommonNameUnlessItIsTheOnlyOne) {
  auto spec = leaf("a");
  spec.common_names = {};
  EXPECT_EQ(issue(spec).certificate.common_name(), std::nullopt);
  spec.common_names = {"a", "b"};
  EXPECT_EQ(issue(spec).certificate.common_name(), std::nullopt);
  spec.common_names = {std::string("a\0b", 3)};
  EXPECT_EQ(issue(spec).certificate.common_name(), std::string("a\0b", 3));
}

TEST(Certificate, MayLastLongerThanTime) {
  auto spec = leaf("for-ever");
  spec.not_after_s = 253'402'300'799;  // 9999-12-31, "no well-defined end" (RFC 5280 4.1.2.5)
  const auto made = issue(spec).certificate;
  EXPECT_EQ(made.not_after_s(), spec.not_after_s);
  EXPECT_EQ(made.not_after(), "9999-12-31T23:59:59Z");
}

TEST(Certificate, ReadsAChain) {
  const auto a = issue(ca("a")).certificate;
  const auto b = issue(ca("b")).certificate;
  const auto read = Certificate::parse_chain(a.pem() + "\n" + b.pem(), 2);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (std::vector{a, b}));
  EXPECT_FALSE(Certificate::parse_chain(a.pem() + b.pem(), 1));
  EXPECT_FALSE(Certificate::parse_chain("", 2));
}

TEST(PresentedChain, KeepsWhatWasSentWithinLimits) {
  const auto one = issue(leaf("dev")).certificate;
  const auto other = issue(ca("ca")).certificate;
  EXPECT_EQ(presented(nullptr, nullptr), nullptr);
  EXPECT_TRUE(presented(one.get(), nullptr)->others.empty());
  const Stack with_leaf({one, other});
  const auto both = presented(one.get(), with_leaf.get());
  EXPECT_EQ(both->leaf, one);
  EXPECT_EQ(both->others, std::vector{other});
  EXPECT_FALSE(both->is_cut);
  const Stack many(std::vector(kPresentedMax + 1, other));
  EXPECT_TRUE(presented(one.get(), many.get())->is_cut);
  EXPECT_TRUE(presented(one.get(), many.get())->others.empty());
}

TEST(PresentedChain, RefusesToKeepHugeOnes) {
  auto spec = ca("big");
  spec.extensions.emplace_back(NID_netscape_comment, std::string(9'000, 'x'));
  const auto big = issue(spec).certificate;
  const Stack seven(std::vector(7, big));
  EXPECT_FALSE(presented(big.get(), Stack(std::vector(2, big)).get())->is_cut);
  EXPECT_TRUE(
      presented(issue(leaf("dev")).certificate.get(), Stack(std::vector(8, big)).get())->is_cut);
}

}  // namespace
}  // namespace doppel::security
