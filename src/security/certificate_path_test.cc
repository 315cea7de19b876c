#include "security/certificate_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "security/certificate_testing.h"

namespace doppel::security {
namespace {

using ::testing::HasSubstr;
using Kind = PathProblem::Kind;
using testing::ca;
using testing::issue;
using testing::Issued;
using testing::leaf;

const TimePoint kNow = TimePoint(std::chrono::seconds(1'800'000'000));  // 2027

class CertificatePathTest : public ::testing::Test {
 protected:
  static std::expected<std::vector<Certificate>, PathProblem> verify(const Certificate& device,
                                                                     std::vector<Certificate> links,
                                                                     const Certificate& anchor,
                                                                     TimePoint now = kNow) {
    return verify_path(device, links, std::span(&anchor, 1), now);
  }
  static void expect_problem(const std::expected<std::vector<Certificate>, PathProblem>& path,
                             Kind kind, std::string_view subject, std::string_view text) {
    ASSERT_FALSE(path);
    EXPECT_EQ(to_string(path.error().kind), to_string(kind)) << path.error().text;
    EXPECT_EQ(path.error().subject, subject) << path.error().text;
    EXPECT_THAT(path.error().text, HasSubstr(text));
    EXPECT_THAT(path.error().text, HasSubstr(subject));
  }

  Issued root = issue(ca("Root"));
  Issued upper = issue(ca("Upper"), &root);
  Issued lower = issue(ca("Lower"), &upper);
  Issued device = issue(leaf("dev"), &lower);
};

TEST_F(CertificatePathTest, FindsThePathOverLinksInAnyOrder) {
  const auto path = verify(
      device.certificate, {issue(ca("Stranger")).certificate, upper.certificate, lower.certificate},
      root.certificate);
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(*path, (std::vector{device.certificate, lower.certificate, upper.certificate,
                                root.certificate}));
}

// An intermediate is enough of an anchor; what the device sends above it does not matter.
TEST_F(CertificatePathTest, EndsAtTheAnchor) {
  const auto path =
      verify(device.certificate, {lower.certificate, upper.certificate, root.certificate},
             lower.certificate);
  ASSERT_TRUE(path) << path.error().text;
  EXPECT_EQ(*path, (std::vector{device.certificate, lower.certificate}));
}

TEST_F(CertificatePathTest, NamesTheCertificateWhoseIssuerIsMissing) {
  expect_problem(verify(device.certificate, {lower.certificate}, root.certificate), Kind::no_path,
                 "CN=Lower", "its issuer 'CN=Upper'");
  expect_problem(verify(device.certificate, {}, root.certificate), Kind::no_path, "CN=dev",
                 "its issuer 'CN=Lower'");
  const auto alone = issue(leaf("alone"));
  expect_problem(verify(alone.certificate, {}, root.certificate), Kind::no_path, "CN=alone", "");
}

// A name proves nothing: another CA of the same name did not sign the leaf.
TEST_F(CertificatePathTest, ChecksSignatures) {
  auto spec = ca("Lower");
  const auto impostor = issue(spec);
  const auto unmarked = issue(leaf("dev"), &lower);  // without an authority key identifier
  expect_problem(verify(unmarked.certificate, {}, impostor.certificate), Kind::no_path, "CN=dev",
                 "");
  EXPECT_TRUE(claims_issuer(unmarked.certificate, impostor.certificate));
  EXPECT_FALSE(is_signed_by(unmarked.certificate, impostor.certificate));
  EXPECT_TRUE(is_signed_by(unmarked.certificate, lower.certificate));
}

TEST_F(CertificatePathTest, ChecksDatesAtTheGivenTime) {
  const TimePoint early(std::chrono::seconds(900'000'000));   // 1998
  const TimePoint late(std::chrono::seconds(4'200'000'000));  // 2103
  expect_problem(verify(device.certificate, {}, lower.certificate, early), Kind::not_yet_valid,
                 "CN=Lower", "not valid before 2000-01-01T00:00:00Z");
  expect_problem(verify(device.certificate, {}, lower.certificate, late), Kind::expired, "CN=Lower",
                 "expired at 2100-01-01T00:00:00Z");
  auto spec = leaf("short");
  spec.not_after_s = 1'700'000'000;
  expect_problem(verify(issue(spec, &lower).certificate, {}, lower.certificate), Kind::expired,
                 "CN=short", "expired at 2023-11-14T22:13:20Z");
  EXPECT_EQ(check_alone(issue(spec).certificate, kNow)->kind, Kind::expired);
  EXPECT_EQ(check_alone(device.certificate, early)->kind, Kind::not_yet_valid);
  EXPECT_EQ(check_alone(device.certificate, kNow), std::nullopt);
}

TEST_F(CertificatePathTest, RefusesWeakKeys) {
  for (const auto& [curve, bits] :
       {std::pair{"P-224", 0u}, std::pair{(const char*)nullptr, 1024u}}) {
    auto spec = leaf("weak");
    spec.curve = curve;
    spec.rsa_bits = bits;
    const auto weak = issue(spec, &lower).certificate;
    expect_problem(verify(weak, {}, lower.certificate), Kind::weak_key, "CN=weak", "bits");
    EXPECT_EQ(check_alone(weak, kNow)->kind, Kind::weak_key);
    // The same for a CA on the way.
    auto middle = ca("Middle");
    middle.curve = curve;
    middle.rsa_bits = bits;
    const auto weak_ca = issue(middle, &root);
    expect_problem(
        verify(issue(leaf("dev"), &weak_ca).certificate, {weak_ca.certificate}, root.certificate),
        Kind::weak_key, "CN=Middle", "bits");
  }
}

TEST_F(CertificatePathTest, TakesEveryStrongKey) {
  for (const char* curve : {"P-256", "P-384", "P-521", "ED25519", (const char*)nullptr}) {
    auto spec = ca("Middle");
    spec.curve = curve;
    const auto middle = issue(spec, &root);
    auto end = leaf("dev");
    end.curve = curve;
    const auto made = issue(end, &middle).certificate;
    const auto path = verify(made, {middle.certificate}, root.certificate);
    EXPECT_TRUE(path) << path.error().text;
    EXPECT_EQ(check_alone(made, kNow), std::nullopt);
  }
}

TEST_F(CertificatePathTest, RefusesOldDigestsBelowTheAnchor) {
  auto with_rsa = ca("RSA");
  with_rsa.curve = nullptr;
  const auto signer = issue(with_rsa, &root);
  for (const char* digest : {"SHA1", "MD5"}) {
    auto spec = leaf("old");
    spec.digest = digest;
    expect_problem(verify(issue(spec, &signer).certificate, {}, signer.certificate),
                   Kind::weak_signature, "CN=old", "too weak");
  }
  auto spec = ca("Old root");
  spec.digest = "SHA1";
  const auto old_root = issue(spec);
  EXPECT_TRUE(verify(issue(leaf("dev"), &old_root).certificate, {}, old_root.certificate));
}

TEST_F(CertificatePathTest, WantsIssuersToBeCas) {
  auto not_ca = leaf("Not a CA");
  not_ca.extensions = {{NID_basic_constraints, "critical,CA:FALSE"}};
  const auto middle = issue(not_ca, &root);
  expect_problem(
      verify(issue(leaf("dev"), &middle).certificate, {middle.certificate}, root.certificate),
      Kind::not_a_ca, "CN=Not a CA", "");
  auto no_right = ca("No right");
  no_right.extensions = {{NID_key_usage, "critical,digitalSignature"}};
  const auto powerless = issue(no_right);
  EXPECT_FALSE(verify(issue(leaf("dev"), &powerless).certificate, {}, powerless.certificate));
}

TEST_F(CertificatePathTest, ObeysPathLengths) {
  auto spec = ca("Short");
  spec.is_ca = false;
  spec.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}};
  const auto top = issue(spec);
  const auto middle = issue(ca("Middle"), &top);
  expect_problem(
      verify(issue(leaf("dev"), &middle).certificate, {middle.certificate}, top.certificate),
      Kind::too_long, "CN=Short", "");
}

TEST_F(CertificatePathTest, ObeysNameConstraints) {
  auto spec = ca("Constrained");
  spec.extensions = {{NID_name_constraints, "critical,permitted;DNS:contoso.test"}};
  const auto top = issue(spec);
  auto inside = leaf("a.contoso.test");
  inside.extensions = {{NID_subject_alt_name, "DNS:a.contoso.test"}};
  auto outside = leaf("a.fabrikam.test");
  outside.extensions = {{NID_subject_alt_name, "DNS:a.fabrikam.test"}};
  EXPECT_TRUE(verify(issue(inside, &top).certificate, {}, top.certificate));
  expect_problem(verify(issue(outside, &top).certificate, {}, top.certificate),
                 Kind::name_constraint, "CN=a.fabrikam.test", "");
}

TEST_F(CertificatePathTest, WantsLeavesForClients) {
  auto server = leaf("server");
  server.extensions = {{NID_ext_key_usage, "serverAuth"}};
  expect_problem(verify(issue(server, &lower).certificate, {}, lower.certificate),
                 Kind::wrong_purpose, "CN=server", "");
  auto client = leaf("client");
  client.extensions = {{NID_ext_key_usage, "clientAuth"}, {NID_key_usage, "digitalSignature"}};
  EXPECT_TRUE(verify(issue(client, &lower).certificate, {}, lower.certificate));
}

TEST_F(CertificatePathTest, RefusesUnknownCriticalExtensions) {
  auto odd = leaf("odd");
  odd.extensions = {{NID_inhibit_any_policy, "critical,0"},
                    {NID_issuing_distribution_point, "critical,onlyuser:TRUE"}};
  expect_problem(verify(issue(odd, &lower).certificate, {}, lower.certificate), Kind::other,
                 "CN=odd", "critical");
}

// Two CAs that signed each other, and a path longer than anybody needs, end in a refusal.
TEST_F(CertificatePathTest, EndsWithLoopsAndEndlessChains) {
  const auto a = issue(ca("A"));
  const auto b = issue(ca("B"), &a);
  const auto a_by_b = issue(ca("A"), &b, a.key);
  const auto dev = issue(leaf("dev"), &a_by_b);
  const auto looped =
      verify(dev.certificate, {a_by_b.certificate, b.certificate}, root.certificate);
  ASSERT_FALSE(looped);
  EXPECT_TRUE(looped.error().kind == Kind::no_path || looped.error().kind == Kind::too_long);

  std::vector<Issued> chain{root};
  std::vector<Certificate> links;
  for (std::size_t i = 0; i <= kPathMax; ++i) {
    chain.push_back(issue(ca("Level " + std::to_string(i)), &chain.back()));
    links.push_back(chain.back().certificate);
  }
  const auto deep = issue(leaf("deep"), &chain.back());
  EXPECT_FALSE(verify(deep.certificate, links, root.certificate));
  links.pop_back();
  const auto fits = issue(leaf("fits"), &chain[kPathMax]);
  const auto path = verify(fits.certificate, links, root.certificate);
  EXPECT_TRUE(path) << path.error().text;
}

TEST_F(CertificatePathTest, TakesACertificateForItsOwnAnchorOnly) {
  // Trusting a CA is not trusting one that it signed for another purpose, nor the other way round.
  EXPECT_FALSE(verify(root.certificate, {}, lower.certificate));
}

}  // namespace
}  // namespace doppel::security
