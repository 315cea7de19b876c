#include "hub/wire/http_service.h"

#include <gmock/gmock.h>

#include "hub/hub_fixture.h"

namespace doppel::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using HeaderList = std::vector<std::pair<std::string, std::string>>;

class HttpServiceTest : public HubFixture {
 protected:
  HttpServiceTest() {
    register_service_routes(router, hubs,
                            [this](std::string_view header) { return bearer(header); });
  }

  http::Response raw(std::string method, std::string path, std::string body, HeaderList headers,
                     std::string version = "2021-04-12") {
    http::Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    if (const auto mark = request.path.find('?'); mark != std::string::npos) {
      const auto pair = request.path.substr(mark + 1);
      const auto equals = pair.find('=');
      request.query.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
      request.path.resize(mark);
    }
    if (!version.empty()) request.query.emplace_back("api-version", version);
    request.tracking_id = "f40da7ba-8c91-4796-8fc3-89e1dfbdbe05";
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    return run(router.handle(std::move(request)));
  }
  // As the policy iothubowner, to the hub's public name.
  http::Response call(std::string method, std::string path, std::string body = {},
                      HeaderList headers = {}) {
    headers.emplace_back("Host", "contoso.test");
    headers.emplace_back("Authorization",
                         token("contoso.test", key_of("iothubowner1"), "iothubowner"));
    return raw(std::move(method), std::move(path), std::move(body), std::move(headers));
  }
  http::Response call_as(std::string_view policy, std::string method, std::string path) {
    return raw(
        std::move(method), std::move(path), {},
        {{"Host", "contoso.test"},
         {"Authorization", token("contoso.test", key_of(std::string(policy) + "1"), policy)}});
  }
  static void expect_error(const http::Response& response, int status, std::string_view name) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.headers.get_or("iothub-errorcode", ""), name);
    const auto body = parse(response.body);
    EXPECT_THAT(std::string(*json::find_string(body, "Message")),
                StartsWith("ErrorCode:" + std::string(name) + ";"));
    EXPECT_EQ(*json::find_string(body, "ExceptionMessage"),
              "Tracking ID:f40da7ba8c9147968fc389e1dfbdbe05-G:0-TimeStamp:01/15/2027 08:00:00");
  }
  Result<resources::Principal> bearer(std::string_view header) {
    if (header == "Bearer reader") return principal("Reader");
    if (header == "Bearer owner") return principal("Owner");
    if (header == "Bearer stranger") return principal("");
    return fail(Code::unauthenticated, "not a token of ours");
  }
  static resources::Principal principal(std::string role) {
    resources::Principal someone{.client_id = "c", .object_id = "o", .roles = {}};
    if (!role.empty()) someone.roles.push_back({.role = std::move(role), .scope = "/"});
    return someone;
  }

  http::Router router;
};

TEST_F(HttpServiceTest, CreatesReadsUpdatesAndDeletes) {
  auto answer = call("PUT", "/devices/d1", R"({"deviceId":"d1"})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.get_or("Content-Type", ""), "application/json; charset=utf-8");
  const auto made = parse(answer.body);
  const auto etag = std::string(made.at("etag").as_string());
  EXPECT_EQ(answer.headers.get_or("ETag", ""), "\"" + etag + "\"");
  std::vector<std::string> names;
  for (const auto& member : made.as_object()) names.emplace_back(member.key());
  EXPECT_THAT(names, ElementsAre("deviceId", "generationId", "etag", "connectionState", "status",
                                 "statusReason", "connectionStateUpdatedTime", "statusUpdatedTime",
                                 "lastActivityTime", "cloudToDeviceMessageCount", "authentication",
                                 "capabilities"));
  EXPECT_EQ(made.at("connectionState").as_string(), "Disconnected");
  EXPECT_EQ(made.at("lastActivityTime").as_string(), "0001-01-01T00:00:00Z");

  answer = call("GET", "/devices/d1");
  EXPECT_EQ(parse(answer.body), made);

  auto changed = made.as_object();
  changed["status"] = "Disabled";
  answer = call("PUT", "/devices/d1", json::write(changed), {{"If-Match", "\"" + etag + "\""}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(parse(answer.body).at("status").as_string(), "disabled");
  EXPECT_EQ(parse(answer.body).at("authentication"), made.at("authentication"));

  expect_error(call("DELETE", "/devices/d1", "", {{"If-Match", "\"" + etag + "\""}}), 412,
               "PreconditionFailed");
  answer = call("DELETE", "/devices/d1", "", {{"If-Match", "\"*\""}});
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.body, "");
  expect_error(call("GET", "/devices/d1"), 404, "DeviceNotFound");
}

TEST_F(HttpServiceTest, RefusesWhatIsWrongWithADevice) {
  expect_error(call("PUT", "/devices/bad%20id%2Fwith%20slash", "{}"), 400, "ArgumentInvalid");
  expect_error(call("PUT", "/devices/d1", R"({"deviceId":"d2"})"), 400, "ArgumentInvalid");
  expect_error(call("PUT", "/devices/d1", R"({"status":"broken"})"), 400, "ArgumentInvalid");
  expect_error(call("PUT", "/devices/d1", R"({"authentication":7})"), 400, "ArgumentInvalid");
  expect_error(call("PUT", "/devices/d1", R"({"authentication":{"type":"magic"}})"), 400,
               "ArgumentInvalid");
  expect_error(call("PUT", "/devices/d1", "[]"), 400, "DeserializationError");
  expect_error(call("PUT", "/devices/d1", "{"), 400, "DeserializationError");
  expect_error(call("PUT", "/devices/d1", ""), 400, "DeserializationError");
  expect_error(call("PUT", "/devices/d1", "{}", {{"If-Match", "*"}}), 404, "DeviceNotFound");
  ASSERT_EQ(call("PUT", "/devices/d1", "{}").status, 200);
  expect_error(call("PUT", "/devices/d1", "{}"), 409, "DeviceAlreadyExists");
}

// Node's normaliser sends empty strings where it wants keys made.
TEST_F(HttpServiceTest, EmptyKeysAreGenerated) {
  const auto answer =
      call("PUT", "/devices/d1",
           R"({"authentication":{"symmetricKey":{"primaryKey":"","secondaryKey":null}}})");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(parse(answer.body)
                .at("authentication")
                .at("symmetricKey")
                .at("primaryKey")
                .as_string()
                .size(),
            44u);
}

TEST_F(HttpServiceTest, AThumbprintMakesASelfSignedDevice) {
  const auto answer = call("PUT", "/devices/d1",
                           R"({"authentication":{"x509Thumbprint":{"primaryThumbprint":")" +
                               std::string(40, 'A') + R"("}}})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto authentication = parse(answer.body).at("authentication");
  EXPECT_EQ(authentication.at("type").as_string(), "selfSigned");
  EXPECT_TRUE(authentication.at("symmetricKey").at("primaryKey").is_null());
}

TEST_F(HttpServiceTest, ListsWithTopAndTrailingSlash) {
  for (const auto id : {"a", "b", "c"}) make_device(id);
  EXPECT_EQ(parse(call("GET", "/devices/?top=2").body).as_array().size(), 2u);
  EXPECT_EQ(parse(call("GET", "/devices/").body).as_array().size(), 3u);
  for (const auto top : {"0", "1001", "x", "-1"})
    expect_error(call("GET", std::string("/devices?top=") + top), 400, "ArgumentInvalid");
}

TEST_F(HttpServiceTest, Statistics) {
  make_device("a");
  EXPECT_EQ(call("GET", "/statistics/devices").body,
            R"({"totalDeviceCount":1,"enabledDeviceCount":1,"disabledDeviceCount":0})");
  EXPECT_EQ(call("GET", "/statistics/service").body, R"({"connectedDeviceCount":0})");
}

TEST_F(HttpServiceTest, Modules) {
  expect_error(call("PUT", "/devices/d1/modules/m1", R"({"deviceId":"d1","moduleId":"m1"})"), 404,
               "DeviceNotFound");
  make_device("d1");
  auto answer = call("PUT", "/devices/d1/modules/m1", R"({"deviceId":"d1","moduleId":"m1"})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  expect_error(call("PUT", "/devices/d1/modules/m1", "{}"), 409, "ModuleAlreadyExistsOnDevice");
  answer = call("GET", "/devices/d1/modules");
  ASSERT_EQ(parse(answer.body).as_array().size(), 1u);
  EXPECT_EQ(parse(answer.body).at(0).at("moduleId").as_string(), "m1");
  expect_error(call("GET", "/devices/d1/modules/m2"), 404, "ModuleNotFound");
  answer = call("PATCH", "/twins/d1/modules/m1", R"({"tags":{"a":1}})");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(parse(answer.body).at("moduleId").as_string(), "m1");
  EXPECT_EQ(call("DELETE", "/devices/d1/modules/m1", "", {{"If-Match", "*"}}).status, 204);
  EXPECT_EQ(call("GET", "/devices/d1/modules").body, "[]");
}

TEST_F(HttpServiceTest, TwinsArePatchedAndReplacedUnderTheirEtag) {
  make_device("d1");
  auto answer = call("GET", "/twins/d1");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get_or("ETag", ""), "\"AAAAAAAAAAE=\"");
  answer = call(
      "PATCH", "/twins/d1",
      R"({"tags":{"n":{"x":1}},"properties":{"desired":{"p":{"q":[1,2.5]}},"reported":{"r":1}}})",
      {{"If-Match", "\"AAAAAAAAAAE=\""}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr(R"("p":{"q":[1,2.5]})"));
  const auto twin = parse(answer.body);
  EXPECT_EQ(twin.at("properties").at("desired").at("$version").as_int64(), 2);
  EXPECT_FALSE(twin.at("properties").at("reported").as_object().contains("r"));
  expect_error(
      call("PATCH", "/twins/d1", R"({"tags":{"z":1}})", {{"If-Match", "\"AAAAAAAAAP8=\""}}), 412,
      "PreconditionFailed");
  expect_error(call("PATCH", "/twins/d1", R"({"tags":7})"), 400, "ArgumentInvalid");
  expect_error(call("PATCH", "/twins/d1", R"({"tags":{"a.b":7}})"), 400, "ArgumentInvalid");
  expect_error(call("PATCH", "/twins/d2", R"({"tags":{}})"), 404, "DeviceNotFound");
  // A whole twin, as clients got it, comes back.
  answer = call("PUT", "/twins/d1", json::write(twin), {{"If-Match", "*"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(parse(answer.body).at("properties").at("desired").at("$version").as_int64(), 3);
}

TEST_F(HttpServiceTest, QueriesPage) {
  for (const auto id : {"a", "b", "c"}) make_device(id);
  HeaderList headers{{"x-ms-max-item-count", "2"}};
  auto answer = call("POST", "/devices/query", R"({"query":"SELECT * FROM devices"})", headers);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.get_or("x-ms-item-type", ""), "Twin");
  EXPECT_EQ(parse(answer.body).as_array().size(), 2u);
  headers.emplace_back("x-ms-continuation", answer.headers.get_or("x-ms-continuation", "missing"));
  answer = call("POST", "/devices/query", R"({"query":"SELECT * FROM devices"})", headers);
  EXPECT_EQ(parse(answer.body).as_array().size(), 1u);
  EXPECT_EQ(answer.headers.find("x-ms-continuation"), std::nullopt);
  expect_error(call("POST", "/devices/query", R"({"query":"SELECT FROM WHERE"})"), 400,
               "ArgumentInvalid");
  expect_error(call("POST", "/devices/query", R"({"q":1})"), 400, "ArgumentNull");
  expect_error(call("POST", "/devices/query", R"({"query":"SELECT * FROM devices"})",
                    {{"x-ms-max-item-count", "many"}}),
               400, "ArgumentInvalid");
}

TEST_F(HttpServiceTest, BulkReportsEachFailure) {
  auto answer =
      call("POST", "/devices",
           R"([{"id":"a","importMode":"create","tags":{"t":1}},{"id":"b","importMode":"Create"}])");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"isSuccessful":true,"errors":[],"warnings":[]})");
  EXPECT_THAT(call("GET", "/twins/a").body, HasSubstr(R"("tags":{"t":1})"));

  answer = call("POST", "/devices", R"([{"id":"a","importMode":"create"},{"id":"bad id"},{"id":"c"},
      {"id":"x","importMode":"Delete"},{"id":"b","importMode":"DeleteIfMatchETag","eTag":"no"},
      {"id":"b","importMode":"explode"}])");
  EXPECT_EQ(answer.status, 400);
  const auto result = parse(answer.body);
  EXPECT_FALSE(result.at("isSuccessful").as_bool());
  std::vector<std::pair<std::string, std::int64_t>> errors;
  for (const auto& error : result.at("errors").as_array())
    errors.emplace_back(error.at("deviceId").as_string(), error.at("errorCode").as_int64());
  using Pair = std::pair<std::string, std::int64_t>;
  EXPECT_THAT(errors, ElementsAre(Pair("a", 409001), Pair("bad id", 400004), Pair("x", 404001),
                                  Pair("b", 412001), Pair("b", 400004)));
  EXPECT_TRUE(get_device("c")) << "the others are done all the same";

  EXPECT_EQ(call("POST", "/devices",
                 R"([{"id":"a","importMode":"updateTwin","properties":{"desired":{"x":1}}},
                     {"id":"b","importMode":"update","status":"disabled"},
                     {"id":"c","importMode":"delete"}])")
                .status,
            200);
  EXPECT_EQ(get_device("b")->status, DeviceStatus::disabled);
  EXPECT_FALSE(get_device("c"));
}

TEST_F(HttpServiceTest, BulkRefusesWhatIsNoListOfDevices) {
  expect_error(call("POST", "/devices", "{}"), 400, "DeserializationError");
  expect_error(call("POST", "/devices", "[]"), 400, "ArgumentInvalid");
  expect_error(call("POST", "/devices", "[1]"), 400, "DeserializationError");
  std::string many = "[";
  for (int i = 0; i < 101; ++i) many += R"({"id":"a"},)";
  many.back() = ']';
  expect_error(call("POST", "/devices", many), 400, "ArgumentInvalid");
}

// ---- Who may ----

TEST_F(HttpServiceTest, EveryCallNeedsAVersion) {
  const HeaderList headers{
      {"Host", "contoso.test"},
      {"Authorization", token("contoso.test", key_of("iothubowner1"), "iothubowner")}};
  for (const auto version : {"", "2021", "latest", "2021-04-12x"})
    expect_error(raw("GET", "/devices", "", headers, version), 400, "InvalidProtocolVersion");
  for (const auto version : {"2016-11-14", "2020-05-31-preview", "2099-01-01"})
    EXPECT_EQ(raw("GET", "/devices", "", headers, version).status, 200);
}

TEST_F(HttpServiceTest, RefusalsSayNothingAboutWhy) {
  const auto refused = [&](HeaderList headers) {
    const auto answer = raw("GET", "/devices/d1", "", std::move(headers));
    expect_error(answer, 401, "IotHubUnauthorizedAccess");
    EXPECT_THAT(answer.body, HasSubstr(R"("ErrorCode:IotHubUnauthorizedAccess;Unauthorized")"));
  };
  const std::string owner = "iothubowner";
  refused({{"Host", "contoso.test"}});
  refused({{"Host", "contoso.test"}, {"Authorization", "nonsense"}});
  refused(
      {{"Host", "contoso.test"}, {"Authorization", token("contoso.test", key_of("wrong"), owner)}});
  refused({{"Host", "contoso.test"},
           {"Authorization", token("contoso.test", key_of("iothubowner1"), "nobody")}});
  refused({{"Host", "contoso.test"},
           {"Authorization", token("fabrikam.test", key_of("iothubowner1"), owner)}});
  refused({{"Host", "contoso.test"},
           {"Authorization", token("contoso.test/twins", key_of("iothubowner1"), owner)}});
  refused({{"Host", "contoso.test"},
           {"Authorization",
            token("contoso.test", key_of("iothubowner1"), owner, -std::chrono::minutes(6))}});
  const auto device = make_device("d1");
  refused({{"Host", "contoso.test"}, {"Authorization", device_token(device)}});
}

TEST_F(HttpServiceTest, PoliciesOpenWhatTheirRightsSay) {
  make_device("d1");
  EXPECT_EQ(call_as("registryRead", "GET", "/devices/d1").status, 200);
  EXPECT_EQ(call_as("registryRead", "DELETE", "/devices/d1").status, 401);
  EXPECT_EQ(call_as("registryRead", "GET", "/twins/d1").status, 401);
  EXPECT_EQ(call_as("service", "GET", "/twins/d1").status, 200);
  EXPECT_EQ(call_as("service", "GET", "/devices/d1").status, 401);
  EXPECT_EQ(call_as("device", "GET", "/devices/d1").status, 401);
}

TEST_F(HttpServiceTest, TokensMayNameAPath) {
  make_device("d1");
  const auto with_sr = [&](std::string_view sr) {
    return raw("GET", "/devices/d1", "",
               {{"Host", "contoso.test"},
                {"Authorization", token(sr, key_of("iothubowner2"), "iothubowner")}})
        .status;
  };
  EXPECT_EQ(with_sr("contoso.test/devices"), 200);
  EXPECT_EQ(with_sr("contoso.test/devices/d1"), 200);
  EXPECT_EQ(with_sr("contoso.test/devices/d"), 401);
}

TEST_F(HttpServiceTest, TheHubIsFoundByHostAliasOrToken) {
  make_device("d1");
  const auto answers = [&](std::string host, std::string_view sr) {
    return raw("GET", "/devices/d1", "",
               {{"Host", std::move(host)},
                {"Authorization", token(sr, key_of("iothubowner1"), "iothubowner")}})
        .status;
  };
  EXPECT_EQ(answers("LOCALHOST:8443", "localhost:8443"), 200);
  EXPECT_EQ(answers("localhost", "contoso.test"), 200);
  EXPECT_EQ(answers("gateway.test", "contoso.test"), 200) << "only the token's host is known";
  EXPECT_EQ(answers("gateway.test", "gateway.test"), 401);
}

// Two hubs share a name: the key that signed says which one is meant.
TEST_F(HttpServiceTest, AmongHubsOfOneNameTheSignatureDecides) {
  auto other = default_hub();
  other.name = HubName("fabrikam");
  other.host_names = {"fabrikam.test", "localhost"};
  for (auto& policy : other.policies) policy.primary_key = key_of("fabrikam" + policy.name);
  auto both = std::make_shared<resources::Catalog>();
  both->hubs = {default_hub(), std::move(other)};
  both->finish();
  catalog = std::move(both);
  make_device("of-contoso");
  const auto get = [&](std::string_view device, std::string_view key) {
    return raw("GET", "/devices/" + std::string(device), "",
               {{"Host", "localhost"}, {"Authorization", token("localhost", key, "iothubowner")}})
        .status;
  };
  EXPECT_EQ(get("of-contoso", key_of("iothubowner1")), 200);
  EXPECT_EQ(get("of-contoso", key_of("fabrikamiothubowner")), 404);
  EXPECT_EQ(get("of-contoso", key_of("nobody")), 401);
}

TEST_F(HttpServiceTest, BearersOpenByTheirRoles) {
  make_device("d1");
  const auto as = [&](std::string who, std::string method) {
    return raw(std::move(method), "/devices/d1", "",
               {{"Host", "contoso.test"}, {"Authorization", "Bearer " + std::move(who)}})
        .status;
  };
  EXPECT_EQ(as("reader", "GET"), 200);
  EXPECT_EQ(as("reader", "DELETE"), 401);
  EXPECT_EQ(as("stranger", "GET"), 401);
  EXPECT_EQ(as("forged", "GET"), 401);
  EXPECT_EQ(as("owner", "DELETE"), 204);
}

TEST_F(HttpServiceTest, OurOwnMistakesAreNotToldToClients) {
  faults.fail_next_flush(store::FaultInjection::Fault::refuse);
  const auto answer = call("PUT", "/devices/d1", "{}");
  expect_error(answer, 503, "ServiceUnavailable");
  EXPECT_NE(answer.headers.find("Retry-After"), std::nullopt);
}

}  // namespace
}  // namespace doppel::hub
