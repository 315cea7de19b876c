// Certificates on the way from a connection to the answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/http/router.h"
#include "provisioning/testing.h"
#include "provisioning/wire/http_device.h"
#include "provisioning/wire/proof.h"
#include "security/certificate_testing.h"

namespace doppel::provisioning {
namespace {

using security::testing::ca;
using security::testing::issue;
using security::testing::Issued;
using security::testing::leaf;
using ::testing::HasSubstr;
using ::testing::Not;

class X509WireTest : public ::testing::Test, public testing::World {
 protected:
  X509WireTest() { register_device_routes(router, provisioning); }
  ~X509WireTest() override { sk_X509_free(sent); }

  // A register over HTTPS on a connection that showed `device` and what is in `sent`.
  http::Response come(std::string_view id, const Issued& device) {
    peer.client_certificate = device.certificate.get();
    peer.client_chain = sent;
    http::Request request;
    request.method = "PUT";
    request.path = fmt::format("/{}/registrations/{}/register", testing::kScope, id);
    request.query = {{"api-version", "2019-03-31"}};
    request.body = "{}";
    request.tracking_id = "t";
    request.peer = &peer;
    auto task = router.handle(std::move(request));
    return run(std::move(task));
  }
  static std::string reason(const http::Response& response) {
    const auto body = json::parse(response.body).value();
    const auto* info = json::find(body, "info");
    return info == nullptr ? "" : json::get_string_or(*info, "reason", "");
  }

  http::Router router;
  http::PeerInfo peer;
  STACK_OF(X509) * sent = sk_X509_new_null();
  Issued root = issue(ca("Root"));
  Issued middle = issue(ca("Middle"), &root);
};

TEST_F(X509WireTest, ProvesADeviceByItsConnection) {
  const auto device = issue(leaf("dev-1"), &middle);
  ASSERT_TRUE(put(EnrollmentKind::group, "group",
                  R"({"attestation":{"type":"x509","x509":{"signingCertificates":{"primary":)" +
                      json::write(json::Object{{"certificate", root.certificate.pem()}}) + "}}}}"));
  const auto without = come("dev-1", device);
  EXPECT_EQ(without.status, 401);
  EXPECT_EQ(reason(without), "notTrusted");
  sk_X509_push(sent, middle.certificate.get());
  const auto with = come("dev-1", device);
  EXPECT_EQ(with.status, 200) << with.body;
  EXPECT_THAT(with.body, HasSubstr(R"("x509":{"enrollmentGroupId":"group"})"));
}

// The code is Azure's; a word and the device's own certificate say more.
TEST_F(X509WireTest, SaysWhatIsWrongWithACertificate) {
  auto expired = leaf("dev-1");
  expired.not_after_s = 1'700'000'000;
  const auto answer = come("dev-1", issue(expired));
  EXPECT_EQ(answer.status, 401);
  EXPECT_THAT(answer.body, HasSubstr(R"("errorCode":401002)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("message":"Invalid certificate")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("info":{"reason":"expired","certSubject":"CN=dev-1"})"));
  EXPECT_EQ(reason(come("dev-2", issue(leaf("dev-1")))), "commonNameIsNotRegistrationId");
}

// A stranger must not learn which IDs and which CAs there are.
TEST_F(X509WireTest, TellsStrangersApartFromNobody) {
  const auto mine = issue(leaf("dev-1"));
  ASSERT_TRUE(put(EnrollmentKind::individual, "dev-1",
                  R"({"attestation":{"type":"x509","x509":{"clientCertificates":{"primary":)" +
                      json::write(json::Object{{"certificate", mine.certificate.pem()}}) + "}}}}"));
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "dev-2", R"({"attestation":{"type":"symmetricKey"}})"));
  ASSERT_TRUE(put(EnrollmentKind::group, "group",
                  R"({"attestation":{"type":"x509","x509":{"signingCertificates":{"primary":)" +
                      json::write(json::Object{{"certificate", root.certificate.pem()}}) + "}}}}"));
  auto server = leaf("dev-4");
  server.extensions = {{NID_ext_key_usage, "serverAuth"}};
  const auto impostor = issue(ca("Root"));
  const auto shape = [](http::Response response) {
    auto body = json::parse(response.body)->get_object();
    body.erase("timestampUtc");
    body["info"].get_object().erase("certSubject");
    return json::write(body);
  };
  const auto unknown = shape(come("dev-3", issue(leaf("dev-3"))));
  EXPECT_EQ(shape(come("dev-1", issue(leaf("dev-1")))), unknown)
      << "another certificate is enrolled";
  EXPECT_EQ(shape(come("dev-2", issue(leaf("dev-2")))), unknown) << "keys are enrolled";
  EXPECT_EQ(shape(come("dev-4", issue(server, &impostor))), unknown) << "a CA of a known name";
}

TEST_F(X509WireTest, LooksAtCertificatesOnlyWithoutAToken) {
  const auto device = issue(leaf("dev-1"));
  peer.client_certificate = device.certificate.get();
  EXPECT_EQ(proof_of(&peer, "").certificates->leaf, device.certificate);
  EXPECT_EQ(proof_of(&peer, "token").certificates, nullptr);
  EXPECT_EQ(proof_of(nullptr, "").certificates, nullptr);
  peer.client_certificate = nullptr;
  EXPECT_EQ(proof_of(&peer, "").certificates, nullptr);
}

}  // namespace
}  // namespace doppel::provisioning
