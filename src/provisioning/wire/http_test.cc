#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provisioning/wire/http_fixture.h"

namespace doppel::provisioning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HttpTest;

constexpr const char* kBody = R"({"registrationId":"e1","attestation":{"type":"symmetricKey"}})";

TEST_F(HttpTest, ADeviceRegistersPollsAndLooksUp) {
  ASSERT_TRUE(put_group());
  const auto token = group_token("dev-1");
  const auto base = fmt::format("/{}/registrations/dev-1", testing::kScope);
  const auto registered = send("PUT", base + "/register", R"({"registrationId":"dev-1"})", token);
  EXPECT_EQ(registered.status, 200);
  EXPECT_EQ(registered.headers.get_or("Content-Type", ""), "application/json; charset=utf-8");
  EXPECT_EQ(registered.headers.get_or("x-ms-request-id", ""), "track");
  EXPECT_EQ(text(registered, "status"), "assigned");
  // Node polls with a body.
  const auto polled =
      send("GET", base + "/operations/" + text(registered, "operationId"), "{}", token);
  EXPECT_EQ(polled.status, 200);
  EXPECT_EQ(polled.body, registered.body);
  const auto state = send("POST", base, R"({"registrationId":"dev-1"})", token);
  EXPECT_EQ(text(state, "status"), "assigned");
  EXPECT_EQ(text(state, "operationId"), "");
}

TEST_F(HttpTest, RefusesDevicesByTheTable) {
  ASSERT_TRUE(put_group());
  const auto url = [](std::string_view scope, std::string_view id) {
    return fmt::format("/{}/registrations/{}/register", scope, id);
  };
  const auto good = group_token("dev-1");
  const auto wrong = token("dev-1", base64_encode("some other key, 16"));
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), "", wrong).status, 401);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), "", "").status, 401);
  EXPECT_EQ(send("PUT", url(testing::kScope, "unknown"), "", good).status, 401);
  EXPECT_EQ(send("PUT", url("0neFFFFFFFF", "dev-1"), "", good).status, 401);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), "{", good).status, 400);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), "{", wrong).status, 401);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), R"({"registrationId":"b"})", good).status,
            400);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), "", good, {}, "").status, 400);
  EXPECT_EQ(send("PUT", url(testing::kScope, "dev-1"), std::string(kMessageSizeMax + 1, ' '), good)
                .status,
            413);
  EXPECT_EQ(send("POST", fmt::format("/{}/registrations/dev-1", testing::kScope), "", good).status,
            404);
  const auto refused = send("PUT", url(testing::kScope, "dev-1"), "", wrong);
  EXPECT_THAT(refused.body, HasSubstr(R"("errorCode":401002,"trackingId":"track")"));
}

TEST_F(HttpTest, TellsAssigningWithRetryAfterAndLocation) {
  ASSERT_TRUE(put_group(R"(,"allocationPolicy":"custom","customAllocationDefinition":{
      "webhookUrl":"https://fn.example.net/a","apiVersion":"2019-03-31"})"));
  webhooks.delay = std::chrono::seconds(2);
  std::optional<http::Response> response;
  http::Request request;
  request.method = "PUT";
  request.path = fmt::format("/{}/registrations/dev-1/register", testing::kScope);
  request.query = {{"api-version", "2019-03-31"}};
  request.headers.add("Host", "localhost");
  request.headers.add("Authorization", group_token("dev-1"));
  executor.post([&] {
    spawn(router.handle(std::move(request)), [&](http::Response r) { response = std::move(r); });
  });
  executor.advance(std::chrono::milliseconds(500));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 202);
  EXPECT_EQ(response->headers.get_or("Retry-After", ""), "1");
  EXPECT_EQ(response->headers.get_or("Location", ""),
            fmt::format("https://localhost/{}/registrations/dev-1/register", testing::kScope));
  executor.advance(std::chrono::seconds(10));
}

TEST_F(HttpTest, HidesKeysFromReadersAndKeepsThemThroughAnUpdate) {
  const auto made = call("PUT", "/enrollments/e1", kBody);
  ASSERT_EQ(made.status, 200);
  const auto shown = call("GET", "/enrollments/e1");
  EXPECT_EQ(json::write(*json::find(parsed(shown), "attestation")), R"({"type":"symmetricKey"})");
  // Node spells this path in lower case, and posts nothing.
  const auto keys = call("POST", "/enrollments/e1/attestationmechanism");
  const auto first = json::write(*json::find(parsed(keys), "symmetricKey"));
  EXPECT_EQ(call("PUT", "/enrollments/e1", shown.body).status, 200);
  EXPECT_EQ(call("PUT", "/enrollments/e1", R"({"attestation":{"type":"symmetricKey",
      "symmetricKey":{}}})")
                .status,
            200);
  const auto later = call("POST", "/ENROLLMENTS/e1/attestationMechanism");
  EXPECT_EQ(json::write(*json::find(parsed(later), "symmetricKey")), first);
}

TEST_F(HttpTest, ComparesEtagsAsEveryClientSendsThem) {
  const auto etag = text(call("PUT", "/enrollments/e1", kBody), "etag");
  EXPECT_TRUE(etag.starts_with('"'));
  const auto put = [&](std::string if_match) {
    return call("PUT", "/enrollments/e1", kBody, {{"If-Match", std::move(if_match)}});
  };
  EXPECT_EQ(put(R"("AAAAAAAAAAA=")").status, 412);
  auto next = put(etag);  // Node, C, az
  ASSERT_EQ(next.status, 200);
  const auto bare = text(next, "etag");
  next = put(bare.substr(1, bare.size() - 2));
  ASSERT_EQ(next.status, 200);
  EXPECT_EQ(put("*").status, 200);
  EXPECT_EQ(put("\"*\"").status, 200);
  EXPECT_EQ(call("PUT", "/enrollments/none", R"({"attestation":{"type":"symmetricKey"}})",
                 {{"If-Match", "*"}})
                .status,
            412);
  EXPECT_EQ(call("DELETE", "/enrollments/e1", "", {{"If-Match", "\"old\""}}).status, 412);
  EXPECT_EQ(call("DELETE", "/enrollments/e1", "", {{"If-Match", "*"}}).status, 204);
  EXPECT_EQ(call("DELETE", "/enrollments/e1").status, 404);
  EXPECT_EQ(call("GET", "/enrollments/e1").status, 404);
}

TEST_F(HttpTest, RefusesEnrollmentsThatCannotWork) {
  const auto refused = [&](std::string_view members) {
    const auto response =
        call("PUT", "/enrollments/bad", fmt::format(R"({{"registrationId":"bad"{}}})", members));
    EXPECT_EQ(response.status, 400) << members;
    return response.body;
  };
  const std::string key = R"(,"attestation":{"type":"symmetricKey"})";
  EXPECT_THAT(refused(""), HasSubstr("attestation is required"));
  EXPECT_THAT(refused(R"(,"attestation":{"type":"magic"})"), HasSubstr("400004"));
  EXPECT_THAT(
      refused(R"(,"attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"x"}})"),
      HasSubstr("base64"));
  EXPECT_THAT(refused(key + R"(,"allocationPolicy":"custom")"),
              HasSubstr("customAllocationDefinition"));
  EXPECT_THAT(refused(key + R"(,"allocationPolicy":"static")"), HasSubstr("exactly one"));
  EXPECT_THAT(refused(key + R"(,"allocationPolicy":"best")"), HasSubstr("allocationPolicy"));
  EXPECT_THAT(refused(key + R"(,"iotHubs":["far.example.net"])"), HasSubstr("not linked"));
  EXPECT_THAT(refused(key + R"(,"reprovisionPolicy":{"migrateDeviceData":true})"),
              HasSubstr("reprovisionPolicy"));
  EXPECT_THAT(refused(key + R"(,"registrationId":"other")"), HasSubstr("differs"));
  EXPECT_THAT(refused(key + R"(,"deviceId":"a b")"), HasSubstr("deviceId"));
  EXPECT_EQ(call("PUT", "/enrollments/bad_", kBody).status, 400);
  EXPECT_EQ(call("PUT", "/enrollmentGroups/g", R"({"attestation":{"type":"tpm","tpm":{
      "endorsementKey":"AA=="}}})")
                .status,
            400);
  EXPECT_EQ(count("dps"), 0u);
}

TEST_F(HttpTest, PagesUntilTheEndAndThenSendsNoToken) {
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_EQ(call("PUT", fmt::format("/enrollments/{}", id),
                   R"({"attestation":{"type":"symmetricKey"}})")
                  .status,
              200);
  }
  std::string continuation;
  std::vector<std::string> seen;
  for (int pages = 0; pages < 10; ++pages) {
    std::vector<std::pair<std::string, std::string>> headers = {{"x-ms-max-item-count", "1"}};
    if (!continuation.empty()) headers.emplace_back("x-ms-continuation", continuation);
    const auto page = call("POST", "/enrollments/query", R"({"query":"*"})", headers);
    ASSERT_EQ(page.status, 200);
    EXPECT_EQ(page.headers.get_or("x-ms-item-type", ""), "Enrollment");
    const auto items = parsed(page);
    for (const auto& item : items.get_array()) {
      seen.push_back(json::get_string_or(item, "registrationId", ""));
    }
    const auto token = page.headers.find("x-ms-continuation");
    if (!token) break;
    EXPECT_FALSE(token->empty());
    continuation = *token;
  }
  EXPECT_THAT(seen, ElementsAre("a", "b", "c"));
  const auto found =
      call("POST", "/enrollments/query", R"({"query":"SELECT * WHERE registrationId = 'b'"})");
  EXPECT_EQ(parsed(found).get_array().size(), 1u);
  EXPECT_EQ(call("POST", "/enrollments/query", R"({"query":"DROP TABLE"})").status, 400);
  EXPECT_EQ(
      call("POST", "/enrollments/query", R"({"query":"*"})", {{"x-ms-continuation", "bm90IG91cnM"}})
          .status,
      400);
}

TEST_F(HttpTest, RunsBulkOperationsItemByItem) {
  const auto bulk = [&](std::string_view mode, std::string_view items) {
    return call("POST", "/enrollments/",
                fmt::format(R"({{"mode":"{}","enrollments":[{}]}})", mode, items));
  };
  const std::string one = R"({"registrationId":"a","attestation":{"type":"symmetricKey",
      "symmetricKey":{"primaryKey":"","secondaryKey":""}}})";
  const std::string bad = R"({"registrationId":"b"})";
  EXPECT_EQ(bulk("create", one).body, R"({"isSuccessful":true,"errors":[]})");
  const auto mixed = bulk("create", one + "," + bad);
  EXPECT_EQ(mixed.status, 200);
  EXPECT_THAT(mixed.body, HasSubstr(R"({"registrationId":"a","errorCode":409201)"));
  EXPECT_THAT(mixed.body, HasSubstr(R"({"registrationId":"b","errorCode":400004)"));
  EXPECT_THAT(bulk("updateIfMatchEtag", one).body, HasSubstr("needs an etag"));
  EXPECT_EQ(bulk("delete", one).body, R"({"isSuccessful":true,"errors":[]})");
  EXPECT_EQ(bulk("erase", one).status, 400);
  std::string eleven = bad;
  for (int i = 0; i < 10; ++i) eleven += "," + bad;
  EXPECT_EQ(bulk("create", eleven).status, 400);
}

TEST_F(HttpTest, ShowsRegistrationsOfAGroupAndForgetsThem) {
  ASSERT_TRUE(put_group());
  ASSERT_TRUE(register_device("dev-1"));
  const auto list = call("POST", "/registrations/thermostats/query");
  EXPECT_EQ(list.headers.get_or("x-ms-item-type", ""), "DeviceRegistration");
  EXPECT_EQ(parsed(list).get_array().size(), 1u);
  const auto state = call("GET", "/registrations/DEV-1");
  EXPECT_EQ(text(state, "status"), "assigned");
  EXPECT_EQ(call("DELETE", "/registrations/dev-1", "", {{"If-Match", "x"}}).status, 412);
  EXPECT_EQ(call("DELETE", "/registrations/dev-1", "", {{"If-Match", text(state, "etag")}}).status,
            204);
  EXPECT_EQ(call("GET", "/registrations/dev-1").status, 404);
  EXPECT_EQ(parsed(call("POST", "/registrations/thermostats/query")).get_array().size(), 0u);
}

TEST_F(HttpTest, ChecksRightsAtEveryDoor) {
  const auto get = [&](std::string authorization) {
    return send("GET", "/enrollments/e1", "", std::move(authorization)).status;
  };
  const auto put = [&](std::string authorization) {
    return send("PUT", "/enrollments/e1", kBody, std::move(authorization)).status;
  };
  EXPECT_EQ(put(policy_token()), 200);
  EXPECT_EQ(put(policy_token("dps1.example.net/enrollments")), 200);
  EXPECT_EQ(put(policy_token("localhost/registrations")), 401);
  EXPECT_EQ(put(policy_token("localhost/enroll")), 401);
  EXPECT_EQ(put(policy_token("other.example.net")), 401);
  EXPECT_EQ(put(policy_token("localhost", "nobody")), 401);
  EXPECT_EQ(put(policy_token("localhost", "reader")), 401);
  EXPECT_EQ(get(policy_token("localhost", "reader")), 200);
  EXPECT_EQ(get("Bearer reader"), 200);
  EXPECT_EQ(put("Bearer reader"), 401);
  EXPECT_EQ(get("Bearer other"), 401);
  EXPECT_EQ(get(""), 401);
  EXPECT_EQ(
      send("POST", "/enrollments/e1/attestationmechanism", "", policy_token("localhost", "reader"))
          .status,
      401);
  EXPECT_EQ(send("GET", "/enrollments/e1", "", policy_token(), {}, "").status, 400);
}

}  // namespace
}  // namespace doppel::provisioning
