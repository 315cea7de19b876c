#include "provisioning/issuance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time_text.h"
#include "errors/dps.h"
#include "provisioning/testing.h"
#include "provisioning/wire/device_api.h"
#include "security/certificate_path.h"
#include "security/request_testing.h"

namespace doppel::provisioning {
namespace {

using security::Certificate;
using security::testing::make_request;
using ::testing::HasSubstr;
using testing::text_of;

constexpr std::string_view kPolicy = R"(,"credentialPolicyName":"default")";

class IssuanceTest : public ::testing::Test, public testing::World {
 protected:
  DeviceCall call(std::string_view id) {
    return {.instance = instance(),
            .id = RegistrationId(id),
            .proof = {.sas_token = group_token(id)},
            .api_version = "2025-07-01-preview",
            .tracking_id = "t",
            .transport = "https"};
  }
  static std::string body_with(const std::string& der) {
    return json::write(json::Object{{"csr", base64_encode(der)}});
  }
  DeviceAnswer ask(std::string_view id, const std::string& der) {
    auto task = api.register_device(call(id), body_with(der));
    return run(std::move(task));
  }
  static std::string request_for(std::string id) { return make_request({.common_names = {id}}); }

  // The chain of a registration that must have been assigned.
  static std::vector<Certificate> chain_of(const DeviceAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto body = json::parse(answer.body).value();
    const auto* state = json::find(body, "registrationState");
    const auto* chain = state == nullptr ? nullptr : json::find(*state, "issuedCertificateChain");
    std::vector<Certificate> read;
    if (chain == nullptr) {
      ADD_FAILURE() << answer.body;
      return read;
    }
    for (const auto& one : chain->get_array()) {
      read.push_back(Certificate::parse(json::view(one.get_string())).value());
    }
    return read;
  }
  std::int64_t identity_type(std::string_view device) {
    for (const char* hub : {"hub1", "hub2"}) {
      if (const auto identity = stored_identity(hub, device)) {
        return json::to_int64(*json::find(*identity, "type")).value();
      }
    }
    return -1;
  }

  DeviceApi api{provisioning};
};

TEST_F(IssuanceTest, GivesTheDeviceACertificateThatItsHubWillBelieve) {
  ASSERT_TRUE(put_group(kPolicy));
  const std::string der = request_for("dev-1");
  const auto chain = chain_of(ask("dev-1", der));
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[0].common_name(), "dev-1");
  EXPECT_TRUE(security::CertificateRequest::from_der(der)->has_key_of(chain[0]));
  const auto& issuer = catalog->dps[0].certificates.at(0);
  EXPECT_EQ(chain[1], issuer.certificate);
  EXPECT_TRUE(security::verify_path(chain[0], {}, std::span(&issuer.certificate, 1), clock.now()));
  EXPECT_EQ(identity_type("dev-1"), int(hub::AuthenticationType::certificate_authority));
}

TEST_F(IssuanceTest, RenewsByRegisteringAgain) {
  ASSERT_TRUE(put_group(kPolicy));
  const auto first = chain_of(ask("dev-1", request_for("dev-1")));
  clock.advance(std::chrono::days(20));
  const auto before = version();
  const auto second = chain_of(ask("dev-1", request_for("dev-1")));
  EXPECT_EQ(version(), before) << "nothing but the certificate is new";
  EXPECT_EQ(first[1], second[1]);
  EXPECT_GT(second[0].not_after_s(), first[0].not_after_s());
}

// The look-up tells the state, never the certificate, and takes no request.
TEST_F(IssuanceTest, IsNoPartOfTheLookUp) {
  ASSERT_TRUE(put_group(kPolicy));
  chain_of(ask("dev-1", request_for("dev-1")));
  auto plain = api.look_up(call("dev-1"), R"({"registrationId":"dev-1"})");
  const auto state = run(std::move(plain));
  EXPECT_EQ(state.status, 200);
  EXPECT_FALSE(state.body.contains("issuedCertificateChain"));
  auto asking = api.look_up(call("dev-1"), body_with(request_for("dev-1")));
  EXPECT_EQ(run(std::move(asking)).status, 400);
}

TEST_F(IssuanceTest, IsShownToWhoeverPolls) {
  ASSERT_TRUE(put_group(std::string(kPolicy) +
                        R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  webhooks.delay = std::chrono::seconds(3);
  std::optional<DeviceAnswer> first;
  auto task = api.register_device(call("dev-1"), body_with(request_for("dev-1")));
  executor.post(
      [&] { spawn(std::move(task), [&](const DeviceAnswer& answer) { first = answer; }); });
  executor.run_until_idle();
  executor.advance(std::chrono::milliseconds(500));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->status, 202);
  executor.advance(std::chrono::seconds(3));
  const auto operation = json::get_string_or(json::parse(first->body).value(), "operationId", "");
  auto poll = api.poll(call("dev-1"), operation);
  EXPECT_EQ(chain_of(run(std::move(poll))).size(), 2u);
}

TEST_F(IssuanceTest, RefusesBadRequests) {
  ASSERT_TRUE(put_group(kPolicy));
  const auto refusal = [&](const std::string& body) {
    auto task = api.register_device(call("dev-1"), body);
    const auto answer = run(std::move(task));
    EXPECT_EQ(answer.status, 400) << answer.body;
    return answer.body;
  };
  EXPECT_THAT(refusal(R"({"csr":7})"), HasSubstr("base64"));
  EXPECT_THAT(refusal(R"({"csr":"***"})"), HasSubstr("base64"));
  EXPECT_THAT(refusal(R"({"csr":"AAAA"})"), HasSubstr("not a signing request"));
  EXPECT_THAT(refusal(body_with(request_for("dev-2"))), HasSubstr("common name"));
  EXPECT_THAT(refusal(body_with(make_request({.common_names = {"dev-1"}, .curve = "P-224"}))),
              HasSubstr("224 bits"));
  EXPECT_THAT(refusal(body_with(std::string(20'000, 'x'))), HasSubstr("at most"));
  EXPECT_EQ(count("fakehub"), 0u);
  // A stranger learns nothing of it.
  auto stranger = call("dev-1");
  stranger.proof.sas_token = token("dev-1", base64_encode("0123456789abcdef"));
  auto task = api.register_device(stranger, R"({"csr":"***"})");
  EXPECT_EQ(run(std::move(task)).status, 401);
}

TEST_F(IssuanceTest, NeedsACredentialPolicy) {
  ASSERT_TRUE(put_group());
  EXPECT_THAT(ask("dev-1", request_for("dev-1")).body, HasSubstr("credentialPolicyName"));
  EXPECT_EQ(count("fakehub"), 0u);
  EXPECT_FALSE(put_group(R"(,"credentialPolicyName":"unknown")"));
}

TEST_F(IssuanceTest, SignsWithAConfiguredIntermediate) {
  const auto root = security::testing::issue(security::testing::ca("Root"));
  const auto factory = security::testing::issue(security::testing::ca("Factory"), &root);
  auto changed = make_catalog();
  changed->dps[0].certificates = {
      {.name = "root", .certificate = root.certificate, .is_verified = true},
      {.name = "factory",
       .certificate = factory.certificate,
       .is_verified = true,
       .private_key = factory.key_pem(),
       .issued_days = 7}};
  catalog = std::move(changed);
  EXPECT_FALSE(put_group(R"(,"credentialPolicyName":"root")")) << "its key is elsewhere";
  ASSERT_TRUE(put_group(R"(,"credentialPolicyName":"Factory")"));
  const auto chain = chain_of(ask("dev-1", request_for("dev-1")));
  ASSERT_EQ(chain.size(), 3u);
  EXPECT_EQ(chain[1], factory.certificate);
  EXPECT_EQ(chain[2], root.certificate);
  EXPECT_EQ(chain[0].not_after_s(), to_unix_seconds(clock.now()) + 7 * 24 * 3600);
}

TEST_F(IssuanceTest, FailsTheRegistrationWhenTheIssuerIsGoneOrExpired) {
  ASSERT_TRUE(put_group(kPolicy));
  chain_of(ask("dev-1", request_for("dev-1")));
  clock.advance(std::chrono::days(400));
  const auto answer = ask("dev-2", request_for("dev-2"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("status":"failed")"));
  EXPECT_THAT(answer.body, HasSubstr("valid from"));
  EXPECT_EQ(count("fakehub"), 1u) << "nothing was assigned without its certificate";
}

TEST_F(IssuanceTest, NamesTheDeviceAsItsHubDoes) {
  ASSERT_TRUE(put(EnrollmentKind::individual, "reg-1",
                  fmt::format(R"({{"deviceId":"device-1","credentialPolicyName":"default",
                    "attestation":{{"type":"symmetricKey","symmetricKey":{{"primaryKey":"{}"}}}}}})",
                              device_key("reg-1"))));
  const auto chain = chain_of(ask("reg-1", request_for("reg-1")));
  EXPECT_EQ(chain.at(0).common_name(), "device-1");
}

TEST_F(IssuanceTest, GivesNobodyACertificateForAnothersRequest) {
  ASSERT_TRUE(put_group(std::string(kPolicy) +
                        R"(,"allocationPolicy":"custom","customAllocationDefinition":{
       "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.replies = {WebhookReply{200, R"({"iotHubHostName":"hub1.example.net"})"}};
  webhooks.delay = std::chrono::milliseconds(100);
  std::vector<int> statuses;
  for (int i = 0; i < 2; ++i) {
    auto task = api.register_device(call("dev-1"), body_with(request_for("dev-1")));
    executor.post([&statuses, task = std::make_shared<Task<DeviceAnswer>>(std::move(task))] {
      spawn(std::move(*task),
            [&](const DeviceAnswer& answer) { statuses.push_back(answer.status); });
    });
    executor.run_until_idle();
  }
  executor.advance(std::chrono::seconds(1));
  EXPECT_THAT(statuses, ::testing::UnorderedElementsAre(200, 429)) << "the other tries again";
}

}  // namespace
}  // namespace doppel::provisioning
