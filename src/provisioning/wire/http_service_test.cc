// The corners of the service API (dps.md section 6).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/metrics.h"
#include "provisioning/wire/device_api.h"
#include "provisioning/wire/http_fixture.h"

namespace doppel::provisioning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HttpTest;
using ::testing::UnorderedElementsAre;

constexpr const char* kKeys = R"({"attestation":{"type":"symmetricKey"}})";

class ServiceTest : public HttpTest {
 protected:
  std::vector<std::string> ids(const http::Response& response, std::string_view name) {
    std::vector<std::string> found;
    EXPECT_EQ(response.status, 200) << response.body;
    if (response.status != 200) return found;
    const auto items = parsed(response);
    for (const auto& item : items.get_array()) {
      found.push_back(json::get_string_or(item, name, ""));
    }
    return found;
  }
  std::vector<std::string> registrations(std::string_view query) {
    return ids(call("POST", "/registrations/query", fmt::format(R"({{"query":"{}"}})", query)),
               "registrationId");
  }
};

TEST_F(ServiceTest, MatchesPathsWithoutCaseAndWithATrailingSlash) {
  ASSERT_EQ(call("PUT", "/enrollmentgroups/Sensors/", kKeys).status, 200);
  for (const char* path :
       {"/enrollmentGroups/sensors", "/ENROLLMENTGROUPS/SENSORS/", "/enrollmentgroups/sens%6Frs"}) {
    const auto shown = call("GET", path);
    EXPECT_EQ(shown.status, 200) << path;
    EXPECT_EQ(text(shown, "enrollmentGroupId"), "Sensors") << "as it was spelled first";
  }
  EXPECT_EQ(ids(call("POST", "/enrollmentGroups/query/", R"({"query":"*"})"), "enrollmentGroupId"),
            std::vector<std::string>{"Sensors"});
  EXPECT_EQ(call("PUT", "/enrollments/a%3Ab", kKeys).status, 200);
  EXPECT_EQ(text(call("GET", "/enrollments/A:B"), "registrationId"), "a:b");
}

TEST_F(ServiceTest, TakesEveryTextThatClientsSendForAll) {
  ASSERT_EQ(call("PUT", "/enrollmentGroups/g", kKeys).status, 200);
  for (const char* query : {"*", "SELECT *", "select * from enrollmentGroups",
                            "{'additional_properties': {}, 'query': 'SELECT *'}"}) {  // az 0.23.1
    const auto page =
        call("POST", "/enrollmentGroups/query", fmt::format(R"({{"query":"{}"}})", query));
    EXPECT_EQ(ids(page, "enrollmentGroupId"), std::vector<std::string>{"g"}) << query;
    EXPECT_EQ(page.headers.get_or("x-ms-item-type", ""), "EnrollmentGroup");
    EXPECT_FALSE(page.headers.find("x-ms-continuation"));
  }
  EXPECT_EQ(ids(call("POST", "/enrollmentGroups/query"), "enrollmentGroupId").size(), 1u);
  for (const char* body : {"{}", R"({"query":7})", R"({"query":"SELECT a"})", "[", "7"}) {
    EXPECT_EQ(call("POST", "/enrollmentGroups/query", body).status, 400) << body;
  }
  for (const char* count : {"0", "-1", "x", "1.5"}) {
    EXPECT_EQ(call("POST", "/enrollmentGroups/query", R"({"query":"*"})",
                   {{"x-ms-max-item-count", count}})
                  .status,
              400)
        << count;
  }
}

TEST_F(ServiceTest, FindsEnrollmentsByTheirMembersAndTheirDevicesState) {
  ASSERT_EQ(call("PUT", "/enrollments/a",
                 R"({"attestation":{"type":"symmetricKey"},"provisioningStatus":"disabled"})")
                .status,
            200);
  const auto b = call("PUT", "/enrollments/b", kKeys);
  const auto keys = *json::find(*json::find(parsed(b), "attestation"), "symmetricKey");
  ASSERT_TRUE(register_device("b", token("b", json::get_string_or(keys, "primaryKey", ""))));
  const auto find = [&](std::string_view where) {
    return ids(call("POST", "/enrollments/query",
                    fmt::format(R"({{"query":"SELECT * FROM enrollments WHERE {}"}})", where)),
               "registrationId");
  };
  EXPECT_THAT(find("provisioningStatus = 'disabled'"), ElementsAre("a"));
  EXPECT_THAT(find("attestation.type = 'symmetricKey'"), ElementsAre("a", "b"));
  EXPECT_THAT(find("registrationState.status = 'assigned'"), ElementsAre("b"));
  EXPECT_THAT(find("registrationId IN ['b', 'c'] AND provisioningStatus != 'disabled'"),
              ElementsAre("b"));
}

TEST_F(ServiceTest, ListsAllRegistrationsAndFindsThemByHubAndStatus) {
  ASSERT_TRUE(put_group());
  const auto e1 = call("PUT", "/enrollments/single",
                       R"({"attestation":{"type":"symmetricKey"},"deviceId":"press-4",
                           "allocationPolicy":"static","iotHubs":["hub2.example.net"]})");
  ASSERT_EQ(e1.status, 200) << e1.body;
  const auto keys = *json::find(*json::find(parsed(e1), "attestation"), "symmetricKey");
  ASSERT_TRUE(
      register_device("single", token("single", json::get_string_or(keys, "primaryKey", ""))));
  for (const char* id : {"dev-1", "dev-2", "dev-3"}) ASSERT_TRUE(register_device(id));

  EXPECT_THAT(registrations("*"), ElementsAre("dev-1", "dev-2", "dev-3", "single"));
  EXPECT_THAT(registrations("SELECT * FROM registrations WHERE deviceId = 'press-4'"),
              ElementsAre("single"));
  EXPECT_EQ(registrations("SELECT * WHERE status = 'assigned'").size(), 4u);
  EXPECT_EQ(registrations("SELECT * WHERE assignedHub = 'hub1.example.net'").size() +
                registrations("SELECT * WHERE assignedHub = 'hub2.example.net'").size(),
            4u);
  // Page by page, each with the headers that .NET wants.
  std::vector<std::string> seen;
  std::string continuation;
  for (int pages = 0; pages < 9; ++pages) {
    std::vector<std::pair<std::string, std::string>> headers = {{"x-ms-max-item-count", "3"}};
    if (!continuation.empty()) headers.emplace_back("x-ms-continuation", continuation);
    const auto page = call("POST", "/registrations/query", "", headers);
    EXPECT_EQ(page.headers.get_or("x-ms-item-type", ""), "DeviceRegistration");
    for (auto& id : ids(page, "registrationId")) seen.push_back(std::move(id));
    continuation = page.headers.get_or("x-ms-continuation", "");
    if (continuation.empty()) break;
  }
  EXPECT_THAT(seen, UnorderedElementsAre("dev-1", "dev-2", "dev-3", "single"));
  EXPECT_EQ(send("POST", "/registrations/query", "", policy_token("localhost", "reader")).status,
            401)
      << "EnrollmentRead is no right for registrations";
}

TEST_F(ServiceTest, KnowsApiVersionsByTheirDate) {
  ASSERT_EQ(call("PUT", "/enrollments/e1", kKeys).status, 200);
  const auto status = [&](std::string version) {
    return send("GET", "/enrollments/e1", "", policy_token(), {}, std::move(version)).status;
  };
  for (const char* version :
       {"2017-08-31-preview", "2017-11-15", "2018-04-01", "2018-09-01-preview", "2018-11-01",
        "2019-03-31", "2021-06-01", "2021-10-01", "2021-11-01-preview", "2025-07-01-preview"}) {
    EXPECT_EQ(status(version), 200) << version;
  }
  for (const char* version : {"", "1999-01-01", "2021-13-01", "2021-10-32", "latest", "2021-10",
                              "2021-10-01-beta", "2021-10-01x"}) {
    EXPECT_EQ(status(version), 400) << version;
  }
}

TEST_F(ServiceTest, NamesTheErrorInAHeaderToo) {
  const auto unknown = call("GET", "/enrollments/none");
  EXPECT_EQ(unknown.headers.get_or("x-ms-error-code", ""), "404201");
  EXPECT_EQ(call("GET", "/registrations/none").headers.get_or("x-ms-error-code", ""), "404202");
  const auto refused = send("PUT", fmt::format("/{}/registrations/d/register", testing::kScope), "",
                            "SharedAccessSignature none");
  EXPECT_EQ(refused.headers.get_or("x-ms-error-code", ""), "401002");
  EXPECT_EQ(send("PUT", "/enrollments/e1", "<a/>", policy_token(), {{"X", "y"}}).status, 400);
  http::Request xml;
  xml.method = "PUT";
  xml.path = "/enrollments/e1";
  xml.query = {{"api-version", "2021-10-01"}};
  xml.headers.add("Host", "localhost");
  xml.headers.add("Authorization", policy_token());
  xml.headers.add("Content-Type", "text/xml");
  xml.body = "<a/>";
  EXPECT_EQ(run(router.handle(std::move(xml))).status, 415);
}

TEST_F(ServiceTest, ATokenOpensItsPathOnlyAndAPolicyItsRights) {
  const auto status = [&](std::string path, std::string resource) {
    return send("GET", std::move(path), "", policy_token(resource)).status;
  };
  ASSERT_EQ(call("PUT", "/enrollmentGroups/g", kKeys).status, 200);
  EXPECT_EQ(status("/enrollmentGroups/g", "localhost/enrollmentgroups"), 200);
  EXPECT_EQ(status("/enrollmentgroups/G", "LOCALHOST:8443/enrollmentGroups/g"), 200);
  EXPECT_EQ(status("/enrollmentGroups/g", "localhost/enrollmentGroups/g2"), 401);
  EXPECT_EQ(status("/enrollmentGroups/g", "localhost/enrollmentGroups/g/attestationmechanism"),
            401);
  EXPECT_EQ(status("/enrollmentGroups/g", "localhost/enrollments"), 401);
}

TEST_F(ServiceTest, AnInstancesLimitsHoldOnBothSidesAndPass) {
  auto limited = make_catalog();
  limited->dps.front().operations_per_minute = 6;
  limited->dps.front().registrations_per_minute = 2;
  catalog = limited;
  ASSERT_TRUE(put_group());
  for (int i = 0; i < 6; ++i) EXPECT_EQ(call("GET", "/enrollmentGroups/thermostats").status, 200);
  const auto refused = call("GET", "/enrollmentGroups/thermostats");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.get_or("Retry-After", ""), "5");
  EXPECT_EQ(refused.headers.get_or("x-ms-error-code", ""), "429001");
  executor.advance(std::chrono::seconds(10));  // one sixth of a minute
  EXPECT_EQ(call("GET", "/enrollmentGroups/thermostats").status, 200);
  EXPECT_EQ(call("GET", "/enrollmentGroups/thermostats").status, 429);
  // Whoever has no right costs the others nothing.
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(send("GET", "/enrollmentGroups/thermostats", "", "").status, 401);
  }

  const auto url = fmt::format("/{}/registrations/dev-1/register", testing::kScope);
  const auto good = group_token("dev-1");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(send("PUT", url, "", "wrong").status, 401);
  EXPECT_EQ(send("PUT", url, "", good).status, 200);
  EXPECT_EQ(send("PUT", url, "", good).status, 200);
  const auto late = send("PUT", url, "", good);
  EXPECT_EQ(late.status, 429);
  EXPECT_EQ(late.headers.get_or("Retry-After", ""), "5");
  EXPECT_THAT(metrics::render_prometheus(), HasSubstr("doppel_provisioning_throttled_total"));
}

// ---- What an enrollment may say (dps.md section 3) ----

TEST_F(ServiceTest, RefusesEachMistakeWithATextThatNamesIt) {
  struct Case {
    std::string_view members;
    std::string_view text;
  };
  const std::string key = R"("attestation":{"type":"symmetricKey"})";
  const std::vector<Case> cases = {
      {R"("attestation":7)", "attestation is required"},
      {R"("attestation":null)", "attestation is required"},
      {R"("attestation":{})", "attestation.type"},
      {R"("attestation":{"type":"none"})", "attestation.type"},
      {R"("attestation":{"type":"symmetricKey","symmetricKey":7})", "symmetricKey"},
      {R"("attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"YWJj"}})", "16 to 64"},
      {R"("attestation":{"type":"symmetricKey","symmetricKey":{"secondaryKey":5}})",
       "secondaryKey"},
      {R"("attestation":{"type":"tpm"})", "tpm"},
      {R"("attestation":{"type":"tpm","tpm":{}})", "endorsementKey"},
      {R"("attestation":{"type":"x509"})", "x509"},
      {"@,\"provisioningStatus\":\"off\"", "provisioningStatus"},
      {"@,\"provisioningStatus\":true", "provisioningStatus"},
      {"@,\"capabilities\":7", "capabilities"},
      {R"(@,"capabilities":{"iotEdge":"yes"})", "iotEdge"},
      {R"(@,"reprovisionPolicy":{})", "reprovisionPolicy"},
      {R"(@,"reprovisionPolicy":{"updateHubAssignment":1,"migrateDeviceData":true})",
       "updateHubAssignment"},
      {R"(@,"allocationPolicy":"nearest")", "allocationPolicy"},
      {R"(@,"allocationPolicy":7)", "allocationPolicy"},
      {R"(@,"allocationPolicy":"custom")", "customAllocationDefinition"},
      {R"(@,"allocationPolicy":"custom","customAllocationDefinition":{"webhookUrl":"https://a"})",
       "apiVersion"},
      {R"(@,"customAllocationDefinition":{"webhookUrl":"ftp://a","apiVersion":"2019-03-31"})",
       "webhookUrl"},
      {R"(@,"allocationPolicy":"static")", "exactly one"},
      {R"(@,"allocationPolicy":"static","iotHubs":["hub1.example.net","hub2.example.net"])",
       "exactly one"},
      {R"(@,"iotHubs":"hub1.example.net")", "iotHubs"},
      {R"(@,"iotHubs":[7])", "iotHubs"},
      {R"(@,"iotHubs":["hub9.example.net"])", "not linked"},
      {R"(@,"iotHubHostName":"hub9.example.net")", "not linked"},
      {R"(@,"iotHubHostName":{})", "iotHubHostName"},
      {R"(@,"initialTwin":7)", "initialTwin"},
      {R"(@,"initialTwin":{"tags":[]})", "tags"},
      {R"(@,"initialTwin":{"properties":{"desired":"x"}})", "desired"},
      {R"(@,"optionalDeviceInformation":[])", "optionalDeviceInformation"},
      {R"(@,"deviceId":"white space")", "deviceId"},
      {R"(@,"deviceId":7)", "deviceId"},
      {R"(@,"registrationId":"another")", "differs"},
      {R"(@,"credentialPolicyName":7)", "credentialPolicyName"},
  };
  for (const auto& [members, wanted] : cases) {
    std::string body(members);
    if (body.starts_with('@')) body.replace(0, 1, key);
    const auto response = call("PUT", "/enrollments/bad", "{" + body + "}");
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(response.headers.get_or("x-ms-error-code", ""), "400004") << body;
    EXPECT_THAT(text(response, "message"), HasSubstr(std::string(wanted))) << body;
  }
  EXPECT_EQ(call("GET", "/enrollments/bad").status, 404) << "nothing was written";
  for (const char* id : {"bad_", "b%20d", "b%2Fd", ".", "b%C3%A4d"}) {
    EXPECT_EQ(call("PUT", fmt::format("/enrollments/{}", id), kKeys).status, 400) << id;
  }
  EXPECT_EQ(call("PUT", "/enrollments/" + std::string(129, 'a'), kKeys).status, 400);
  EXPECT_EQ(call("PUT", "/enrollments/" + std::string(128, 'a'), kKeys).status, 200);
}

TEST_F(ServiceTest, TranslatesTheStaticHubOfOldClients) {
  const auto made = call("PUT", "/enrollments/old",
                         R"({"attestation":{"type":"symmetricKey"},
                             "iotHubHostName":"HUB2.example.net"})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(text(made, "allocationPolicy"), "static");
  EXPECT_EQ(text(made, "iotHubHostName"), "HUB2.example.net");
  const auto keys = *json::find(*json::find(parsed(made), "attestation"), "symmetricKey");
  const auto answer =
      register_device("old", token("old", json::get_string_or(keys, "primaryKey", "")));
  ASSERT_TRUE(answer && answer->outcome);
  EXPECT_EQ(testing::text_of(answer->outcome->state, "assignedHub"), "hub2.example.net");
}

TEST_F(ServiceTest, ReadsANullAsLeftOutAndLeavesUnsetPoliciesUnset) {
  const auto made = call("PUT", "/enrollments/e1",
                         R"({"registrationId":null,"deviceId":null,"iotHubs":null,
                             "attestation":{"type":"SYMMETRICKEY","symmetricKey":null},
                             "capabilities":null,"initialTwin":null,"reprovisionPolicy":null,
                             "allocationPolicy":null,"customAllocationDefinition":null,
                             "provisioningStatus":null,"unknown":{"a":1},"etag":"old"})");
  ASSERT_EQ(made.status, 200) << made.body;
  const auto shown = parsed(made);
  for (const char* name : {"deviceId", "iotHubs", "initialTwin", "reprovisionPolicy",
                           "allocationPolicy", "customAllocationDefinition", "unknown"}) {
    EXPECT_EQ(json::find(shown, name), nullptr) << name;
  }
  EXPECT_EQ(text(made, "provisioningStatus"), "enabled");
  EXPECT_EQ(json::write(*json::find(shown, "capabilities")), R"({"iotEdge":false})");
}

// ---- Bulk ----

TEST_F(ServiceTest, BulkOperationsGoOnAfterAFailureInEveryMode) {
  const auto bulk = [&](std::string_view mode, std::string_view items) {
    return call("POST", "/enrollmentGroups",
                fmt::format(R"({{"mode":"{}","enrollmentGroups":[{}]}})", mode, items));
  };
  const auto group = [](std::string_view id, std::string_view more = "") {
    return fmt::format(R"({{"enrollmentGroupId":"{}","attestation":{{"type":"symmetricKey"}}{}}})",
                       id, more);
  };
  EXPECT_EQ(bulk("create", "").body, R"({"isSuccessful":true,"errors":[]})");
  EXPECT_EQ(bulk("CREATE", group("a") + "," + group("b")).body,
            R"({"isSuccessful":true,"errors":[]})");
  auto result = bulk("create", group("a") + ",7," + group("c"));
  EXPECT_THAT(result.body, HasSubstr(R"({"enrollmentGroupId":"a","errorCode":409201)"));
  EXPECT_THAT(result.body, HasSubstr(R"({"enrollmentGroupId":"","errorCode":400004)"));
  EXPECT_EQ(call("GET", "/enrollmentGroups/c").status, 200);
  result = bulk("update", group("none") + "," + group("a", R"(,"provisioningStatus":"disabled")"));
  EXPECT_THAT(result.body, HasSubstr(R"({"enrollmentGroupId":"none","errorCode":404201)"));
  const auto a = call("GET", "/enrollmentGroups/a");
  EXPECT_EQ(text(a, "provisioningStatus"), "disabled");
  const auto etag = json::write(*json::find(parsed(a), "etag"));
  EXPECT_THAT(bulk("updateIfMatchETag", group("a", R"(,"etag":"\"old\"")")).body,
              HasSubstr(R"("errorCode":412001)"));
  EXPECT_EQ(bulk("updateIfMatchEtag", group("a", ",\"etag\":" + etag)).body,
            R"({"isSuccessful":true,"errors":[]})");
  result = bulk("delete", R"({"enrollmentGroupId":"none"},{"enrollmentGroupId":"a"})");
  EXPECT_THAT(result.body, HasSubstr(R"("isSuccessful":false)"));
  EXPECT_EQ(call("GET", "/enrollmentGroups/a").status, 404);
  for (const char* body : {"{}", R"({"mode":"create"})", R"({"mode":7,"enrollmentGroups":[]})",
                           R"({"mode":"create","enrollmentGroups":7})", "[]"}) {
    EXPECT_EQ(call("POST", "/enrollmentGroups", body).status, 400) << body;
  }
}

}  // namespace
}  // namespace doppel::provisioning
