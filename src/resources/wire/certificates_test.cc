// The certificates of hubs and provisioning services over the management API, from upload to
// verification.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/testing.h"
#include "json/value.h"
#include "protocol/http/router.h"
#include "resources/wire/routes.h"
#include "security/certificate_testing.h"
#include "store/memory/memory_store.h"

namespace doppel::resources {
namespace {

using security::Certificate;
using security::testing::ca;
using security::testing::issue;
using security::testing::leaf;
using ::testing::HasSubstr;
using ::testing::Not;

class CertificatesTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto opened = run(
        Resources::open(*store, executor, clock, random,
                        security::SecretBox(security::MasterKey::generate(random), random), {}));
    ASSERT_TRUE(opened);
    resources = std::move(*opened);
    ASSERT_TRUE(run(resources->create_admin_credential("app", "secret")));
    register_routes(router, *resources, {});
    token = "Bearer " +
            resources->issue_token("app", "secret", "https://management.azure.com/.default")->token;
    for (const auto& id : {resources->group_id("rg"), resources->hub_id("rg", "hub1"),
                           resources->dps_id("rg", "dps1")}) {
      ASSERT_TRUE(run(resources->put(id, json::Object{{"location", "eastus"}})));
    }
    folder = std::string("/subscriptions/") + std::string(kDefaultSubscription) +
             "/resourceGroups/rg/providers/Microsoft.Devices/" + GetParam() + "/certificates";
  }
  template <class T>
  T run(Task<T> task) {
    return doppel::testing::run(executor, std::move(task));
  }

  struct Answer {
    int status;
    std::string text;
    json::Value body;
    std::string property(std::string_view name) const {
      const auto* properties = json::find(body, "properties");
      return properties == nullptr ? "" : json::get_string_or(*properties, name, "");
    }
    std::string etag() const { return json::get_string_or(body, "etag", ""); }
    bool is_verified() const {
      const auto* value = json::find(*json::find(body, "properties"), "isVerified");
      return value != nullptr && value->get_bool();
    }
  };
  Answer send(std::string method, std::string tail, json::Object body = {}, std::string etag = {}) {
    http::Request request;
    request.method = std::move(method);
    request.path = folder + tail;
    request.query = {{"api-version", "2022-02-05"}};
    request.tracking_id = "00000000-0000-4000-8000-000000000001";
    request.headers.set("Authorization", token);
    if (!etag.empty()) request.headers.set("If-Match", etag);
    if (!body.empty()) request.body = json::write(body);
    const auto response = run(router.handle(std::move(request)));
    auto parsed = json::parse(response.body);
    return {.status = response.status,
            .text = response.body,
            .body = parsed ? *std::move(parsed) : json::Value()};
  }
  Answer upload(const std::string& name, const Certificate& certificate, json::Object more = {}) {
    json::Object properties = std::move(more);
    properties["certificate"] = base64_encode(certificate.pem());
    return send("PUT", "/" + name, {{"properties", std::move(properties)}});
  }

  doppel::testing::ManualClock clock;
  doppel::testing::ManualExecutor executor{clock};
  SystemRandom random;
  std::unique_ptr<store::Store> store = store::open_memory(clock);
  std::unique_ptr<Resources> resources;
  http::Router router;
  std::string token;
  std::string folder;
};

TEST_P(CertificatesTest, AreUploadedShownAndListed) {
  const auto root = issue(ca("Root")).certificate;
  const auto made = upload("root-1", root);
  EXPECT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.property("subject"), "CN=Root");
  EXPECT_EQ(made.property("thumbprint").size(), 40u);
  EXPECT_EQ(made.property("expiry"), "Fri, 01 Jan 2100 00:00:00 GMT");
  EXPECT_EQ(made.property("certificate"), base64_encode(root.pem())) << "in the form it came";
  const auto as_der = send("PUT", "/der", {{"certificate", base64_encode(root.der())}});
  EXPECT_EQ(as_der.property("certificate"), base64_encode(root.der()));
  EXPECT_EQ(send("PUT", "/text", {{"certificate", root.pem()}}).property("certificate"),
            base64_encode(root.der()));
  EXPECT_EQ(made.property("created"), "Fri, 15 Jan 2027 08:00:00 GMT");
  EXPECT_FALSE(made.is_verified());
  EXPECT_FALSE(made.etag().empty());
  EXPECT_EQ(send("GET", "/ROOT-1").text, made.text);
  EXPECT_THAT(send("GET", "").text, HasSubstr(R"("value":[{)"));
  // Neither form is another certificate.
  EXPECT_TRUE(
      send("PUT", "/der",
           {{"properties", {{"certificate", base64_encode(root.der())}, {"isVerified", true}}}})
          .is_verified());
  EXPECT_TRUE(send("PUT", "/der", {{"certificate", root.pem()}}).is_verified());
}

TEST_P(CertificatesTest, AreVerifiedByACertificateOfTheirKey) {
  const auto root = issue(ca("Root"));
  const auto stranger = issue(ca("Root"));
  auto answer = upload("root", root.certificate);
  const std::string first_etag = answer.etag();
  answer = send("POST", "/root/generateVerificationCode", {}, first_etag);
  ASSERT_EQ(answer.status, 200) << answer.text;
  const std::string code = answer.property("verificationCode");
  EXPECT_EQ(code.size(), 48u);
  EXPECT_THAT(send("GET", "/root").text, Not(HasSubstr(code)));
  EXPECT_NE(answer.etag(), first_etag);

  const auto verify = [&](const Certificate& proof, const std::string& etag) {
    return send("POST", "/root/verify", {{"certificate", base64_encode(proof.der())}}, etag);
  };
  const auto good = issue(leaf(code), &root).certificate;
  EXPECT_EQ(verify(good, first_etag).status, 412);
  EXPECT_EQ(verify(good, "").status, 412);
  EXPECT_THAT(verify(issue(leaf("other"), &root).certificate, answer.etag()).text,
              HasSubstr("not the verification code"));
  EXPECT_THAT(verify(issue(leaf(code), &stranger).certificate, answer.etag()).text,
              HasSubstr("not signed by"));
  auto expired = leaf(code);
  expired.not_after_s = 1'700'000'000;
  EXPECT_THAT(verify(issue(expired, &root).certificate, answer.etag()).text, HasSubstr("expired"));
  EXPECT_EQ(send("POST", "/root/verify", {{"certificate", "garbage"}}, answer.etag()).status, 400);
  EXPECT_FALSE(send("GET", "/root").is_verified());

  const auto verified = verify(good, answer.etag());
  EXPECT_EQ(verified.status, 200) << verified.text;
  EXPECT_TRUE(verified.is_verified());
  EXPECT_TRUE(send("GET", "/root").is_verified());
  EXPECT_EQ(verify(good, verified.etag()).status, 400) << "a code is good for once";
  // Services see it at once.
  const auto now = resources->catalog();
  const auto& known =
      now->dps[0].certificates.empty() ? now->hubs[0].certificates : now->dps[0].certificates;
  ASSERT_EQ(known.size(), 1u);
  EXPECT_TRUE(known[0].is_verified);
  EXPECT_EQ(known[0].certificate, root.certificate);
}

TEST_P(CertificatesTest, MayBeVouchedFor) {
  const auto root = issue(ca("Root")).certificate;
  EXPECT_TRUE(upload("root", root, {{"isVerified", true}}).is_verified());
  EXPECT_TRUE(upload("root", root).is_verified()) << "the same certificate stays verified";
  EXPECT_FALSE(upload("root", issue(ca("Root")).certificate).is_verified());
}

TEST_P(CertificatesTest, TakeTheOldFlatBody) {
  const auto root = issue(ca("Root")).certificate;
  const auto made = send("PUT", "/root", {{"certificate", root.pem()}});
  EXPECT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.property("subject"), "CN=Root");
}

TEST_P(CertificatesTest, RefuseWhatIsNoCertificate) {
  EXPECT_EQ(send("PUT", "/root", {{"properties", json::Object()}}).status, 400);
  EXPECT_THAT(send("PUT", "/root", {{"certificate", "garbage"}}).text, HasSubstr("neither PEM"));
  const auto made = issue(ca("Root"));
  EXPECT_THAT(send("PUT", "/root", {{"certificate", made.key_pem()}}).text,
              HasSubstr("private key"));
  EXPECT_EQ(upload("no spaces", made.certificate).status, 400);
  EXPECT_EQ(upload("root", made.certificate, {{"isVerified", 7}}).status, 400);
  EXPECT_EQ(send("POST", "/none/generateVerificationCode", {}, "*").status, 404);
}

TEST_P(CertificatesTest, AreDeletedByTheirEtag) {
  const auto made = upload("root", issue(ca("Root")).certificate);
  EXPECT_EQ(send("DELETE", "/root").status, 412);
  EXPECT_EQ(send("DELETE", "/root", {}, "AAAA").status, 412);
  EXPECT_EQ(send("DELETE", "/root", {}, made.etag()).status, 204);
  EXPECT_EQ(send("GET", "/root").status, 404);
  EXPECT_EQ(send("DELETE", "/root", {}, "*").status, 204);
}

TEST_P(CertificatesTest, AreLimitedInNumber) {
  const auto root = issue(ca("Root")).certificate;
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(upload("c" + std::to_string(i), root).status, 200);
  }
  EXPECT_EQ(upload("one-more", root).status, 403);
  EXPECT_EQ(upload("c7", root).status, 200) << "an update is no addition";
}

INSTANTIATE_TEST_SUITE_P(OfEveryOwner, CertificatesTest,
                         ::testing::Values("IotHubs/hub1", "provisioningServices/dps1"),
                         [](const auto& each) {
                           return std::string(each.param).starts_with("Iot") ? "hub" : "dps";
                         });

}  // namespace
}  // namespace doppel::resources
