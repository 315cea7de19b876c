// TPM attestation over HTTPS (dps.md section 2.4), the TPM in software.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/http/router.h"
#include "provisioning/tpm_testing.h"
#include "provisioning/wire/http_device.h"

namespace doppel::provisioning {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::SoftTpm;

class HttpTpmTest : public ::testing::Test, public testing::TpmWorld {
 protected:
  HttpTpmTest() { register_device_routes(router, provisioning); }

  http::Response send(std::string method, std::string path, std::string body,
                      std::string authorization = {}) {
    http::Request request;
    request.method = std::move(method);
    request.path = fmt::format("/{}/registrations/{}", testing::kScope, path);
    request.target = request.path;
    request.query = {{"api-version", "2019-03-31"}};
    request.headers.add("Host", "localhost");
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    request.body = std::move(body);
    request.tracking_id = "track";
    return run(router.handle(std::move(request)));
  }
  // As all SDKs send it, on both legs.
  static std::string body_of(std::string_view id, const TpmKeys& keys, std::string_view more = "") {
    return fmt::format(
        R"({{"registrationId":"{}","tpm":{{"endorsementKey":"{}","storageRootKey":"{}"}}{}}})", id,
        base64_encode(keys.endorsement_key), base64_encode(keys.storage_root_key), more);
  }
  static std::string text(const http::Response& response, std::string_view name) {
    return json::get_string_or(json::parse(response.body).value(), name, "");
  }
  // The key in a challenge; empty when there is none.
  std::string activate(const http::Response& response) {
    const auto blob = base64_decode(text(response, "authenticationKey"));
    return blob ? tpm.activate(*blob).value_or("") : "";
  }

  http::Router router;
};

TEST_F(HttpTpmTest, ChallengesRegistersAndPolls) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto body = body_of("tpm-1", keys(), R"(,"payload":{"a":1})");
  const auto challenge = send("PUT", "tpm-1/register", body);
  EXPECT_EQ(challenge.status, 401);
  EXPECT_EQ(text(challenge, "message"), "Authorization required");
  EXPECT_EQ(text(challenge, "keyName"), "registration");
  EXPECT_EQ(text(challenge, "trackingId"), "track");
  EXPECT_THAT(challenge.body, HasSubstr(R"("errorCode":401000)"));
  // C takes a body with a status for something else.
  EXPECT_THAT(challenge.body, Not(HasSubstr("\"status\"")));
  EXPECT_EQ(challenge.headers.get_or("Content-Type", ""), "application/json; charset=utf-8");

  const auto token = tpm_token("tpm-1", activate(challenge));
  const auto registered = send("PUT", "tpm-1/register", body, token);
  ASSERT_EQ(registered.status, 200) << registered.body;
  const auto document = json::parse(registered.body).value();
  const auto state = json::find(document, "registrationState")->get_object();
  EXPECT_TRUE(delivered(state));
  // Node polls with a body, and the keys are not in it.
  const auto polled =
      send("GET", "tpm-1/operations/" + text(registered, "operationId"), "{}", token);
  EXPECT_EQ(polled.status, 200);
  EXPECT_EQ(polled.body, registered.body);
}

TEST_F(HttpTpmTest, RefusesAllButTheEnrolledTpmAlike) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  ASSERT_TRUE(put_group());
  ASSERT_TRUE(
      put(EnrollmentKind::individual, "key-1", R"({"attestation":{"type":"symmetricKey"}})"));
  const SoftTpm other = SoftTpm::make_ec();
  for (const auto& [id, presented] : {std::pair<std::string, TpmKeys>{"tpm-1", keys_of(other)},
                                      {"nobody", keys()},
                                      {"key-1", keys()},
                                      {"b d", keys()}}) {
    const auto refused = send("PUT", id + "/register", body_of(id, presented));
    EXPECT_EQ(refused.status, 401) << id;
    EXPECT_THAT(refused.body, HasSubstr(R"("errorCode":401002,"trackingId":"track")")) << id;
    EXPECT_THAT(refused.body, Not(HasSubstr("authenticationKey"))) << id;
  }
  // Nothing was presented at all.
  const auto empty = send("PUT", "tpm-1/register", "");
  EXPECT_EQ(empty.status, 401);
  EXPECT_THAT(empty.body, Not(HasSubstr("authenticationKey")));
}

TEST_F(HttpTpmTest, RefusesWhatIsNoAnswer) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto body = body_of("tpm-1", keys());
  const auto key = activate(send("PUT", "tpm-1/register", body));
  const auto wrong = send("PUT", "tpm-1/register", body, tpm_token("tpm-1", "guess"));
  EXPECT_EQ(wrong.status, 401);
  // Not one more challenge: C would take it for its own.
  EXPECT_THAT(wrong.body, Not(HasSubstr("authenticationKey")));
  const auto token = tpm_token("tpm-1", key);
  EXPECT_EQ(send("PUT", "tpm-1/register", R"({"registrationId":"tpm-1"})", token).status, 401);
  EXPECT_EQ(send("GET", "tpm-1/operations/4.0.x", "", token).status, 401);  // not used yet
  EXPECT_EQ(send("PUT", "tpm-1/register", body, token).status, 200);
  EXPECT_EQ(send("PUT", "tpm-1/register", body, token).status, 401);  // used
  EXPECT_EQ(send("GET", "tpm-1/operations/4.0.x", "", token).status, 404);
  clock.advance(kTpmUseKept + std::chrono::seconds(1));
  EXPECT_EQ(send("GET", "tpm-1/operations/4.0.x", "", token).status, 401);
}

TEST_F(HttpTpmTest, SaysWhatIsWrongWithABody) {
  ASSERT_TRUE(put_tpm("tpm-1"));
  const auto refused = [&](std::string_view body) {
    const auto response = send("PUT", "tpm-1/register", std::string(body));
    EXPECT_EQ(response.status, 401) << body;  // who has proven nothing learns nothing
    return response.body;
  };
  refused(R"({"tpm":7})");
  refused(R"({"tpm":{}})");
  refused(R"({"tpm":{"endorsementKey":"%","storageRootKey":"%"}})");
  refused(body_of("other", keys()));
  // The endorsement key is the enrolled one: its owner is told.
  const auto told =
      send("PUT", "tpm-1/register", body_of("tpm-1", TpmKeys{tpm.endorsement_key, "nonsense"}));
  EXPECT_EQ(told.status, 400);
  EXPECT_THAT(told.body, HasSubstr("tpm.storageRootKey"));
  // What comes with a good token, too.
  const auto token =
      tpm_token("tpm-1", activate(send("PUT", "tpm-1/register", body_of("tpm-1", keys()))));
  EXPECT_EQ(send("PUT", "tpm-1/register", R"({"tpm":null,"payload":1})", token).status, 401);
}

// A symmetric-key device may send a null or an empty member; it has a token.
TEST_F(HttpTpmTest, DoesNotChallengeWhoBringsAToken) {
  ASSERT_TRUE(put_group());
  const auto registered = send("PUT", "dev-1/register", R"({"registrationId":"dev-1","tpm":null})",
                               group_token("dev-1"));
  EXPECT_EQ(registered.status, 200);
}

}  // namespace
}  // namespace doppel::provisioning
