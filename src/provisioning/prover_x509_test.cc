#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "errors/dps.h"
#include "provisioning/keys.h"
#include "provisioning/testing.h"
#include "security/certificate_testing.h"

namespace doppel::provisioning {
namespace {

using security::Certificate;
using security::testing::ca;
using security::testing::issue;
using security::testing::Issued;
using security::testing::leaf;
using security::testing::shown;
using ::testing::HasSubstr;
using testing::text_of;

class X509Test : public ::testing::Test, public testing::World {
 protected:
  static std::string slot(const Certificate& certificate) {
    return json::write(json::Object{{"certificate", certificate.pem()}});
  }
  Result<json::Object> put_individual(std::string_view id, const Certificate& primary,
                                      std::string_view more = "",
                                      const Certificate* secondary = nullptr) {
    return put(
        EnrollmentKind::individual, std::string(id),
        fmt::format(R"({{"registrationId":"{}","attestation":{{"type":"x509","x509":{{
                 "clientCertificates":{{"primary":{}{}}}}}}}{}}})",
                    id, slot(primary),
                    secondary == nullptr ? "" : R"(,"secondary":)" + slot(*secondary), more));
  }
  Result<json::Object> put_signers(std::string_view id, const Certificate& primary,
                                   std::string_view more = "", std::string_view x509_more = "") {
    return put(EnrollmentKind::group, std::string(id),
               fmt::format(R"({{"enrollmentGroupId":"{}","attestation":{{"type":"x509","x509":{{
                 "signingCertificates":{{"primary":{}}}{}}}}}{}}})",
                           id, slot(primary), x509_more, more));
  }
  Result<json::Object> put_reference(std::string_view id, std::string_view name) {
    return put(EnrollmentKind::group, std::string(id),
               fmt::format(R"({{"enrollmentGroupId":"{}","attestation":{{"type":"x509","x509":{{
                 "caReferences":{{"primary":"{}"}}}}}}}})",
                           id, name));
  }
  // The certificates of the provisioning service.
  void set_certificates(std::vector<resources::CaCertificate> certificates,
                        bool requires_verified = false) {
    auto made = make_catalog();
    made->dps[0].certificates = std::move(certificates);
    made->dps[0].requires_verified_certificates = requires_verified;
    catalog = std::move(made);
  }

  Result<OperationStatus> come(std::string_view id, const Issued& shown_device,
                               std::vector<Certificate> others = {}) {
    auto asked = request(id, "");
    asked.proof.certificates = shown(shown_device.certificate, std::move(others));
    return run(provisioning.registrar().register_device(std::move(asked)));
  }
  json::Object assigned(const Result<OperationStatus>& answer) {
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    if (!answer || !answer->outcome) return {};
    EXPECT_EQ(to_string(answer->outcome->status), "assigned")
        << json::write(answer->outcome->state);
    return answer->outcome->state;
  }
  std::string group_of(const Result<OperationStatus>& answer) {
    const json::Object state = assigned(answer);
    const auto* x509 = state.if_contains("x509");
    return x509 == nullptr ? "" : json::get_string_or(*x509, "enrollmentGroupId", "");
  }
  static bool is_disabled(const Result<OperationStatus>& answer) {
    return answer && answer->outcome && answer->outcome->status == OutcomeStatus::disabled;
  }
  static void expect_refused(const Result<OperationStatus>& answer, const ServiceError& error,
                             std::string_view reason) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().service, &error) << answer.error().message;
    EXPECT_THAT(answer.error().message, HasSubstr(reason));
  }
  std::string thumbprint(std::string_view hub, std::string_view id) {
    const auto identity = stored_identity(hub, id);
    return identity ? json::get_string_or(*identity, "thumbprint", "") : "";
  }

  Issued root = issue(ca("Root"));
  Issued middle = issue(ca("Middle"), &root);
  Issued device = issue(leaf("dev-1"), &middle);
};

// ---- Individual enrollments ----

TEST_F(X509Test, AdmitsAnIndividualByItsCertificate) {
  ASSERT_TRUE(put_individual("dev-1", device.certificate,
                             R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  const auto state = assigned(come("dev-1", device, {middle.certificate}));
  EXPECT_EQ(json::write(state.at("x509")), "{}");
  EXPECT_FALSE(state.contains("symmetricKey"));
  EXPECT_EQ(thumbprint("hub1", "dev-1"), device.certificate.sha256());
  const auto before = version();
  EXPECT_EQ(json::write(assigned(come("dev-1", device))), json::write(state));
  EXPECT_EQ(version(), before) << "a register that finds all as it should be writes nothing";
}

TEST_F(X509Test, TakesTheSecondaryAndGivesTheHubTheNewThumbprint) {
  const auto next = issue(leaf("dev-1"));
  ASSERT_TRUE(put_individual("dev-1", device.certificate,
                             R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])",
                             &next.certificate));
  assigned(come("dev-1", device));
  EXPECT_EQ(thumbprint("hub1", "dev-1"), device.certificate.sha256());
  const auto state = assigned(come("DEV-1", next));
  EXPECT_EQ(thumbprint("hub1", "dev-1"), next.certificate.sha256());
  EXPECT_EQ(text_of(state, "deviceId"), "dev-1");
  EXPECT_EQ(count("fakehub"), 1u);
}

TEST_F(X509Test, RefusesOtherCertificatesForAnIndividual) {
  ASSERT_TRUE(put_individual("dev-1", device.certificate));
  ASSERT_TRUE(put_signers("group", middle.certificate));
  // The same name and CA, another key: the individual entry decides, not the group.
  const auto other = issue(leaf("dev-1"), &middle);
  expect_refused(come("dev-1", other, {middle.certificate}), errors::dps::kCertificateNotTrusted,
                 "not one of the individual enrollment's");
}

TEST_F(X509Test, WantsTheRegistrationIdAsCommonName) {
  ASSERT_TRUE(put_signers("group", middle.certificate));
  expect_refused(come("dev-2", device), errors::dps::kCertificateName, "'dev-1'");
  auto several = leaf("dev-2");
  several.common_names = {"dev-2", "dev-1"};
  expect_refused(come("dev-2", issue(several, &middle)), errors::dps::kCertificateName,
                 "exactly one common name");
  EXPECT_EQ(group_of(come("DEV-1", device)), "group");
}

TEST_F(X509Test, RefusesLeavesThatAreNoGood) {
  auto expired = leaf("dev-1");
  expired.not_after_s = 1'700'000'000;
  auto future = leaf("dev-1");
  future.not_before_s = 1'900'000'000;
  auto weak = leaf("dev-1");
  weak.curve = "P-224";
  for (const auto& [spec, error] : {std::pair{expired, &errors::dps::kCertificateExpired},
                                    std::pair{future, &errors::dps::kCertificateNotYetValid},
                                    std::pair{weak, &errors::dps::kCertificateWeak}}) {
    const auto made = issue(spec, &middle);
    ASSERT_TRUE(put_individual("dev-1", made.certificate));
    expect_refused(come("dev-1", made), *error, "CN=dev-1");
  }
  EXPECT_EQ(count("fakehub"), 0u);
}

TEST_F(X509Test, RefusesWhoeverHasNoEnrollment) {
  expect_refused(come("dev-1", device, {middle.certificate, root.certificate}),
                 errors::dps::kCertificateNotTrusted, "no enrollment names an issuer");
  ASSERT_TRUE(put_group());  // by keys
  expect_refused(come("dev-1", device), errors::dps::kCertificateNotTrusted, "");
}

TEST_F(X509Test, RefusesACertificateWhereKeysAreEnrolled) {
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "dev-1", R"({"attestation":{"type":"symmetricKey"}})"));
  ASSERT_TRUE(put_signers("group", middle.certificate));
  expect_refused(come("dev-1", device), errors::dps::kCertificateNotTrusted, "another attestation");
}

TEST_F(X509Test, RefusesATokenWhereACertificateIsEnrolled) {
  ASSERT_TRUE(put_individual("dev-1", device.certificate));
  const auto answer = register_device("dev-1", token("dev-1", base64_encode("0123456789abcdef")));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("another attestation"));
}

// ---- Groups ----

TEST_F(X509Test, AdmitsAGroupsDeviceWithAndWithoutTheIntermediate) {
  ASSERT_TRUE(put_signers("group", middle.certificate,
                          R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])"));
  const auto state = assigned(come("dev-1", device, {middle.certificate}));
  EXPECT_EQ(json::write(state.at("x509")), R"({"enrollmentGroupId":"group"})");
  EXPECT_EQ(thumbprint("hub1", "dev-1"), device.certificate.sha256());
  const auto other = issue(leaf("dev-2"), &middle);
  EXPECT_EQ(group_of(come("dev-2", other)), "group") << "the stored certificate completes the path";
  // A renewed leaf keeps the record and refreshes the hub.
  const auto renewed = issue(leaf("dev-1"), &middle);
  const auto again = assigned(come("dev-1", renewed));
  EXPECT_EQ(text_of(again, "createdDateTimeUtc"), text_of(state, "createdDateTimeUtc"));
  EXPECT_EQ(thumbprint("hub1", "dev-1"), renewed.certificate.sha256());
}

TEST_F(X509Test, NeedsTheLinksUpToTheGroup) {
  ASSERT_TRUE(put_signers("group", root.certificate));
  expect_refused(come("dev-1", device), errors::dps::kCertificateNotTrusted, "");
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "group");
  EXPECT_EQ(group_of(come("dev-1", device, {root.certificate, middle.certificate})), "group");
}

// Certificates of the provisioning service are links too.
TEST_F(X509Test, CompletesPathsFromTheServicesCertificates) {
  ASSERT_TRUE(put_signers("group", root.certificate));
  set_certificates({{.name = "mid", .certificate = middle.certificate, .is_verified = false}});
  EXPECT_EQ(group_of(come("dev-1", device)), "group");
}

TEST_F(X509Test, ChoosesTheGroupNearestToTheLeaf) {
  ASSERT_TRUE(put_signers("a-root", root.certificate));
  ASSERT_TRUE(put_signers("b-middle", middle.certificate));
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate, root.certificate})), "b-middle");
  ASSERT_TRUE(put_signers("b-middle", middle.certificate, R"(,"provisioningStatus":"disabled")"));
  EXPECT_TRUE(is_disabled(come("dev-1", device, {middle.certificate, root.certificate})));
  EXPECT_TRUE(is_disabled(come("dev-1", device, {root.certificate})));
  ASSERT_TRUE(
      run(provisioning.enrollments().remove(instance(), EnrollmentKind::group, "b-middle", "")));
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "a-root");
}

// CAs of one name happen; the one whose key signed the leaf decides.
TEST_F(X509Test, TellsCasOfOneNameApart) {
  auto expired = ca("Middle");
  expired.not_after_s = 1'700'000'000;
  const auto old = issue(expired, &root);
  const auto other = issue(ca("Middle"));
  ASSERT_TRUE(put_signers("a-old", old.certificate));
  ASSERT_TRUE(put_signers("b-other", other.certificate, R"(,"provisioningStatus":"disabled")"));
  ASSERT_TRUE(put_signers("c-right", middle.certificate));
  EXPECT_EQ(group_of(come("dev-1", device)), "c-right");
  EXPECT_EQ(group_of(come("dev-1", device, {other.certificate, old.certificate})), "c-right");
}

// Only whoever is signed by a group's CA learns what is wrong with its path.
TEST_F(X509Test, NamesTheCertificateThatSpoilsAPath) {
  auto expired = ca("Old");
  expired.not_after_s = 1'700'000'000;
  const auto old = issue(expired, &root);
  ASSERT_TRUE(put_signers("root", root.certificate));
  const auto below = issue(leaf("dev-1"), &old);
  expect_refused(come("dev-1", below, {old.certificate}), errors::dps::kCertificateExpired,
                 "CN=Old");
  auto server = leaf("dev-1");
  server.extensions = {{NID_ext_key_usage, "serverAuth"}};
  expect_refused(come("dev-1", issue(server, &middle), {middle.certificate}),
                 errors::dps::kCertificatePath, "CN=dev-1");
  const auto impostor = issue(ca("Root"));
  expect_refused(come("dev-1", issue(server, &impostor)), errors::dps::kCertificateNotTrusted, "");
}

TEST_F(X509Test, BlocksACertificateThatADisabledEntryNames) {
  ASSERT_TRUE(put_signers("group", root.certificate));
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "group");
  // The leaf itself, by somebody else's entry.
  ASSERT_TRUE(put_individual("other", device.certificate, R"(,"provisioningStatus":"disabled")"));
  EXPECT_TRUE(is_disabled(come("dev-1", device, {middle.certificate})));
  ASSERT_TRUE(put_individual("other", device.certificate));
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "group");
  // The group's certificate, by another group.
  ASSERT_TRUE(put_signers("z", root.certificate, R"(,"provisioningStatus":"disabled")"));
  EXPECT_TRUE(is_disabled(come("dev-1", device, {middle.certificate})));
  ASSERT_TRUE(put_signers("z", issue(ca("Z")).certificate, R"(,"provisioningStatus":"disabled")"));
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "group");
}

TEST_F(X509Test, LocksAMemberOutByADisabledEntryOfAnyKind) {
  ASSERT_TRUE(put_signers("group", middle.certificate));
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  R"({"attestation":{"type":"symmetricKey"},"provisioningStatus":"disabled"})"));
  EXPECT_FALSE(come("dev-1", device));
}

// ---- CA references and verification ----

TEST_F(X509Test, AdmitsByAVerifiedReferenceOnly) {
  set_certificates({{.name = "My-Root", .certificate = root.certificate, .is_verified = false}});
  ASSERT_TRUE(put_reference("group", "my-root"));
  expect_refused(come("dev-1", device, {middle.certificate}), errors::dps::kCaNotVerified,
                 "not verified");
  set_certificates({{.name = "My-Root", .certificate = root.certificate, .is_verified = true}});
  EXPECT_EQ(group_of(come("dev-1", device, {middle.certificate})), "group");
  EXPECT_FALSE(put_reference("group", "unknown"));
}

TEST_F(X509Test, MayInsistOnVerifiedCertificates) {
  ASSERT_TRUE(put_signers("group", middle.certificate));
  set_certificates({}, true);
  expect_refused(come("dev-1", device), errors::dps::kCaNotVerified, "no verified certificate");
  set_certificates({{.name = "root", .certificate = root.certificate, .is_verified = true}}, true);
  EXPECT_EQ(group_of(come("dev-1", device)), "group");
  set_certificates({{.name = "mid", .certificate = middle.certificate, .is_verified = true}}, true);
  EXPECT_EQ(group_of(come("dev-1", device)), "group");
  set_certificates({{.name = "root", .certificate = root.certificate, .is_verified = false}}, true);
  expect_refused(come("dev-1", device), errors::dps::kCaNotVerified, "");
}

TEST_F(X509Test, MayHaveTheHubTrustTheCa) {
  ASSERT_TRUE(put_signers("group", middle.certificate,
                          R"(,"allocationPolicy":"static","iotHubs":["hub1.example.net"])",
                          R"(,"hubAuthentication":"certificateAuthority")"));
  assigned(come("dev-1", device));
  const auto identity = stored_identity("hub1", "dev-1");
  EXPECT_EQ(json::to_int64(*json::find(*identity, "type")),
            static_cast<int>(hub::AuthenticationType::certificate_authority));
  EXPECT_EQ(thumbprint("hub1", "dev-1"), "");
}

TEST_F(X509Test, BoundsWhatADeviceMaySend) {
  ASSERT_TRUE(put_signers("group", root.certificate));
  auto asked = request("dev-1", "");
  asked.proof.certificates = std::make_shared<const security::PresentedChain>(
      security::PresentedChain{.leaf = device.certificate, .is_cut = true});
  expect_refused(run(provisioning.registrar().register_device(std::move(asked))),
                 errors::dps::kCertificateNotTrusted, "more certificates than are taken");
  // Many CAs of one name end the search, they do not stretch it.
  std::vector<Certificate> alike;
  for (int i = 0; i < 10; ++i) alike.push_back(issue(ca("Middle")).certificate);
  EXPECT_FALSE(come("dev-1", device, alike));
}

TEST_F(X509Test, TellsTheFunctionAboutTheCertificate) {
  ASSERT_TRUE(put_signers("group", middle.certificate,
                          R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn/builtin?code=secret","apiVersion":"2019-03-31"})"));
  assigned(come("dev-1", device));
  ASSERT_EQ(functions.requests.size(), 1u);
  const auto* context = json::find(functions.requests[0], "deviceRuntimeContext");
  EXPECT_EQ(json::find(*context, "symmetricKey"), nullptr);
  const auto* x509 = json::find(*context, "x509");
  ASSERT_NE(x509, nullptr);
  EXPECT_EQ(json::get_string_or(*x509, "subjectName", ""), "CN=dev-1");
  EXPECT_EQ(json::get_string_or(*x509, "clientCertificate", ""), device.certificate.pem());
}

// ---- What enrollments look like ----

TEST_F(X509Test, ShowsInfoAndKeepsTheCertificate) {
  ASSERT_TRUE(put_individual("dev-1", device.certificate));
  const auto shown_entry =
      run(provisioning.enrollments().get(instance(), EnrollmentKind::individual, "dev-1")).value();
  const std::string text = json::write(shown_entry);
  EXPECT_THAT(text, ::testing::Not(HasSubstr("BEGIN CERTIFICATE")));
  EXPECT_THAT(text, HasSubstr(R"("subjectName":"CN=dev-1")"));
  EXPECT_THAT(text, HasSubstr(R"("issuerName":"CN=Middle")"));
  EXPECT_THAT(text, HasSubstr(R"("notAfterUtc":"2100-01-01T00:00:00Z")"));
  EXPECT_THAT(text, HasSubstr(R"("version":3)"));
  // What was read is written back.
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1", text));
  EXPECT_EQ(json::write(assigned(come("dev-1", device)).at("x509")), "{}");
}

TEST_F(X509Test, KeepsCertificatesThatSwapTheirPlaces) {
  const auto next = issue(leaf("dev-1")).certificate;
  ASSERT_TRUE(put_individual("dev-1", device.certificate, "", &next));
  const auto info = [](const Certificate& one) {
    return json::write(json::Object{{"info", certificate_info(one)}});
  };
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  fmt::format(R"({{"attestation":{{"type":"x509","x509":{{"clientCertificates":
                    {{"primary":{}}}}}}}}})",
                              info(next))));
  const auto entry =
      run(provisioning.enrollments().find(instance(), EnrollmentKind::individual, "dev-1")).value();
  EXPECT_EQ(entry->x509->primary, next);
  EXPECT_EQ(entry->x509->secondary, std::nullopt);
  // The one that was dropped is not known any more.
  EXPECT_FALSE(put(EnrollmentKind::individual, "dev-1",
                   fmt::format(R"({{"attestation":{{"type":"x509","x509":{{"clientCertificates":
                     {{"primary":{}}}}}}}}})",
                               info(device.certificate))));
}

TEST_F(X509Test, RefusesBadEntries) {
  const std::string good = slot(middle.certificate);
  const auto refusal = [&](EnrollmentKind kind, const std::string& x509) {
    const auto made = put(kind, "entry", R"({"attestation":{"type":"x509","x509":)" + x509 + "}}");
    EXPECT_FALSE(made) << x509;
    if (made) return std::string();
    EXPECT_EQ(made.error().service, &errors::dps::kInvalidEnrollment);
    return made.error().message;
  };
  const auto of_device = EnrollmentKind::individual;
  const auto of_group = EnrollmentKind::group;
  EXPECT_THAT(refusal(of_device, "{}"), HasSubstr("no certificate"));
  EXPECT_THAT(refusal(of_device, R"({"clientCertificates":{}})"), HasSubstr("no certificate"));
  EXPECT_THAT(refusal(of_device, R"({"clientCertificates":7})"), HasSubstr("object"));
  EXPECT_THAT(refusal(of_device, R"({"clientCertificates":{"primary":{"certificate":"x"}}})"),
              HasSubstr("clientCertificates.primary.certificate: neither PEM"));
  EXPECT_THAT(refusal(of_device, R"({"clientCertificates":{"primary":{"info":{}}}})"),
              HasSubstr("not that of a stored one"));
  EXPECT_THAT(refusal(of_device, R"({"signingCertificates":{"primary":)" + good + "}}"),
              HasSubstr("is for groups"));
  EXPECT_THAT(refusal(of_device, R"({"caReferences":{"primary":"a"}})"),
              HasSubstr("is for groups"));
  EXPECT_THAT(refusal(of_group, R"({"clientCertificates":{"primary":)" + good + "}}"),
              HasSubstr("is for individual"));
  EXPECT_THAT(refusal(of_group, R"({"signingCertificates":{"primary":)" + good +
                                    R"(},"caReferences":{"primary":"a"}})"),
              HasSubstr("one of them decides"));
  EXPECT_THAT(refusal(of_group, R"({"caReferences":{"primary":7}})"), HasSubstr("name"));
  EXPECT_THAT(refusal(of_group, R"({"caReferences":{}})"), HasSubstr("names no certificate"));
  EXPECT_THAT(refusal(of_group, R"({"signingCertificates":{"primary":)" + good +
                                    R"(},"hubAuthentication":"none"})"),
              HasSubstr("hubAuthentication"));
  EXPECT_EQ(count("dps"), 0u) << "what is refused leaves nothing behind";
}

// The index is written with the entry and goes with it.
TEST_F(X509Test, LeavesNoIndexBehind) {
  ASSERT_TRUE(put_individual("dev-1", device.certificate));
  ASSERT_TRUE(put_signers("group", middle.certificate));
  ASSERT_TRUE(put_signers("group", root.certificate));
  EXPECT_EQ(group_of(come("dev-3", issue(leaf("dev-3"), &root))), "group");
  EXPECT_FALSE(come("dev-2", issue(leaf("dev-2"), &middle)));
  auto& enrollments = provisioning.enrollments();
  ASSERT_TRUE(run(enrollments.remove_registration(instance(), "dev-3", "")));
  ASSERT_TRUE(run(enrollments.remove(instance(), EnrollmentKind::individual, "dev-1", "")));
  ASSERT_TRUE(run(enrollments.remove(instance(), EnrollmentKind::group, "group", "")));
  const auto prefix = instance_prefix("dps1");
  const auto left = run(store->snapshot()->scan(prefix, store::after_prefix(prefix), 100)).value();
  EXPECT_LE(left.size(), 1u) << "the counter of groups alone";
}

}  // namespace
}  // namespace doppel::provisioning
