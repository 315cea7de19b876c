// doppel iot dps ... as a user types it, and what the server is then asked.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/grammar.h"
#include "cli/testing.h"
#include "security/certificate.h"

namespace doppel::cli {
namespace {

using ::testing::ElementsAre;
using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::Not;

class DpsCommandsTest : public ::testing::Test {
 protected:
  struct Ran {
    int status;
    std::string out, err;
  };
  // A host name for the DPS saves asking the resource manager for it.
  Ran run_line(std::vector<std::string> words) {
    std::vector<const char*> argv = {"doppel", "iot", "dps"};
    for (const auto& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    auto* const old_out = std::cout.rdbuf(out.rdbuf());
    auto* const old_err = std::cerr.rdbuf(err.rdbuf());
    const int status = run(static_cast<int>(argv.size()), argv.data(), {},
                           [&](const std::string&) -> Result<Session> { return server.session(); });
    std::cout.rdbuf(old_out);
    std::cerr.rdbuf(old_err);
    return {status, out.str(), err.str()};
  }
  // Method, path without version, body.
  std::string asked(std::size_t index) const {
    const auto& request = server.requests.at(index);
    std::string url = request.url.substr(std::string("https://localhost:8443").size());
    const auto version = url.find("api-version=");
    url.resize(version - 1);
    return request.method + " " + url + (request.body.empty() ? "" : " " + request.body);
  }
  std::string file(std::string_view name, std::string_view content) {
    const std::string path = directory + "/" + std::string(name);
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void SetUp() override {
    directory = ::testing::TempDir() + "/dps_commands_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  FakeServer server;
  std::string directory;
};

constexpr const char* kPem =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdjCCARugAwIBAgIUZR4fVCEwJAZQrSqECO6Ge1D18cAwCgYIKoZIzj0EAwIw\n"
    "EDEOMAwGA1UEAwwFZGV2LTEwHhcNMjYxMTI0MjMzMjEzWhcNMzYxMTIxMjMzMjEz\n"
    "WjAQMQ4wDAYDVQQDDAVkZXYtMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIYV\n"
    "1r9VwPrQ3p8t6YsWqGYx/xkpenUp5HP0WabvWi7xlwqesZWlSaBJrNIcT0QRSpVp\n"
    "zcnOMIqWc1kErsLTbqajUzBRMB0GA1UdDgQWBBTKGu2DCWfveepqrY7JqLTTI7Sr\n"
    "SjAfBgNVHSMEGDAWgBTKGu2DCWfveepqrY7JqLTTI7SrSjAPBgNVHRMBAf8EBTAD\n"
    "AQH/MAoGCCqGSM49BAMCA0kAMEYCIQDOBVehb6QnHs/AP6QoKJLY4PBelxO+oAjn\n"
    "hYPgD2i/4gIhALPP0V6+Tav2KuwE75gH979T00+l8VI+i5dd0k02ZRYs\n"
    "-----END CERTIFICATE-----\n";

// ---- create and update ----

TEST_F(DpsCommandsTest, AnEnrollmentOfEachAttestation) {
  const std::string certificate = file("c.pem", kPem);
  const std::string der = file("c.der", security::Certificate::parse(kPem)->der());
  const std::string text = json::write(json::Value(kPem));
  struct Line {
    std::vector<std::string> words;
    std::string body;
  };
  const std::vector<Line> lines = {
      {{"--pk", "a2V5"}, R"({"type":"symmetricKey","symmetricKey":{"primaryKey":"a2V5"}})"},
      {{}, R"({"type":"symmetricKey","symmetricKey":{}})"},
      {{"--ek", "RUs=", "--srk", "U1JL"},
       R"({"type":"tpm","tpm":{"endorsementKey":"RUs=","storageRootKey":"U1JL"}})"},
      {{"--at", "TPM", "--endorsement-key", "RUs="},
       R"({"type":"tpm","tpm":{"endorsementKey":"RUs="}})"},
      {{"--cp", certificate, "--scp", der},
       R"({"type":"x509","x509":{"clientCertificates":{"primary":{"certificate":)" + text +
           R"(},"secondary":{"certificate":)" + text + "}}}}"},
  };
  for (const Line& line : lines) {
    server.answer({.body = "{}"});
    std::vector<std::string> words = {"enrollment",      "create", "-n",
                                      "dps.example.net", "--eid",  "dev-1"};
    words.insert(words.end(), line.words.begin(), line.words.end());
    const auto ran = run_line(words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(
        asked(server.requests.size() - 1),
        R"(PUT /enrollments/dev-1 {"registrationId":"dev-1","attestation":)" + line.body + "}");
  }
}

TEST_F(DpsCommandsTest, AGroupByCertificateOrByName) {
  server.answer({});
  server.answer({});
  const auto by_file = run_line({"enrollment-group", "create", "-n", "dps.example.net", "--eid",
                                 "g", "--certificate-path", file("c.pem", kPem), "--approval",
                                 "required", "--ee", "true"});
  EXPECT_EQ(by_file.status, 0) << by_file.err;
  EXPECT_THAT(asked(0), HasSubstr(R"("signingCertificates":{"primary":{"certificate":")"));
  EXPECT_THAT(asked(0), HasSubstr(R"("approval":"required")"));
  EXPECT_THAT(asked(0), HasSubstr(R"("capabilities":{"iotEdge":true})"));
  const auto by_name = run_line({"enrollment-group", "create", "-n", "dps.example.net", "--eid",
                                 "g", "--root-ca-name", "ca1", "--secondary-ca-name", "ca2"});
  EXPECT_EQ(by_name.status, 0) << by_name.err;
  EXPECT_THAT(asked(1), HasSubstr(R"("caReferences":{"primary":"ca1","secondary":"ca2"})"));
}

TEST_F(DpsCommandsTest, MistakesAreNamedBeforeAnythingIsSent) {
  const std::string certificate = file("c.pem", kPem);
  const std::string key = file("k.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n");
  struct Line {
    std::vector<std::string> words;
    std::string problem;
  };
  const std::vector<Line> lines = {
      {{"enrollment", "--ek", "RUs=", "--pk", "a2V5"}, "--primary-key is for attestation"},
      {{"enrollment", "--at", "x509"}, "needs --certificate-path"},
      {{"enrollment", "--at", "tpm"}, "needs --endorsement-key"},
      {{"enrollment", "--at", "magic"}, "symmetricKey, x509 or tpm"},
      {{"enrollment", "--cp", key}, "--certificate-path: "},
      {{"enrollment", "--cp", file("text", "hello")}, "--certificate-path: "},
      {{"enrollment", "--cp", file("empty", "")}, "--certificate-path: "},
      {{"enrollment", "--rp", "sometimes"}, "--reprovision-policy is"},
      {{"enrollment", "--ee", "maybe"}, "--edge-enabled is true or false"},
      {{"enrollment", "--tags", "{"}, "--initial-twin-tags takes JSON"},
      {{"enrollment-group", "--at", "tpm"}, "symmetricKey or x509"},
      {{"enrollment-group", "--cp", certificate, "--cn", "ca1"}, "not both"},
  };
  for (const Line& line : lines) {
    std::vector<std::string> words = {line.words[0],     "create", "-n",
                                      "dps.example.net", "--eid",  "e"};
    words.insert(words.end(), line.words.begin() + 1, line.words.end());
    const auto ran = run_line(words);
    EXPECT_EQ(ran.status, 1) << line.problem;
    EXPECT_THAT(ran.err, HasSubstr(line.problem));
  }
  EXPECT_TRUE(server.requests.empty());
}

TEST_F(DpsCommandsTest, AnUpdateLaysOverWhatIsThere) {
  server.answer({.body = R"({"enrollmentGroupId":"g","etag":"\"1\"","attestation":{"type":"x509",
      "x509":{"signingCertificates":{"primary":{"info":{}},"secondary":{"info":{}}}}}})"});
  server.answer({});
  const auto ran = run_line({"enrollment-group", "update", "-n", "dps.example.net", "--eid", "g",
                             "--remove-secondary-certificate", "--ps", "disabled"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(asked(1), HasSubstr(R"("signingCertificates":{"primary":{"info":{}}}})"));
  EXPECT_THAT(asked(1), HasSubstr(R"("provisioningStatus":"disabled")"));
  EXPECT_EQ(server.requests[1].headers.get_or("If-Match", ""), "\"1\"");
  server.answer({.body = R"({"attestation":{"type":"x509","x509":{"signingCertificates":
      {"primary":{"info":{}}}}}})"});
  const auto last = run_line({"enrollment-group", "update", "-n", "dps.example.net", "--eid", "g",
                              "--remove-certificate"});
  EXPECT_THAT(last.err, HasSubstr("one certificate must stay"));
}

// ---- registrations ----

TEST_F(DpsCommandsTest, RegistrationsAskWhatTheyShould) {
  const std::vector<std::string> at = {"-n", "dps.example.net", "--rid", "dev 1"};
  const auto words = [&](std::vector<std::string> own) {
    own.insert(own.end(), at.begin(), at.end());
    return own;
  };
  for (int i = 0; i < 6; ++i) server.answer({.body = "{}"});
  run_line(words({"registration", "show"}));
  run_line(words({"registration", "delete", "--etag", "abc"}));
  run_line(words({"registration", "delete", "--deprovision"}));
  run_line(words({"registration", "approve"}));
  run_line(words({"registration", "reject"}));
  run_line(words({"explain", "--payload", R"({"a":1})", "--eid", "g", "--call-webhook"}));
  EXPECT_EQ(asked(0), "GET /registrations/dev%201");
  EXPECT_EQ(asked(1), "DELETE /registrations/dev%201");
  EXPECT_EQ(server.requests[1].headers.get_or("If-Match", ""), "abc");
  EXPECT_EQ(asked(2), "POST /registrations/dev%201/deprovision");
  EXPECT_EQ(asked(3), "POST /registrations/dev%201/approve");
  EXPECT_EQ(asked(4), "POST /registrations/dev%201/reject");
  EXPECT_EQ(asked(5),
            "POST /registrations/dev%201/explain "
            R"({"payload":{"a":1},"enrollmentGroupId":"g","callWebhook":true})");
}

TEST_F(DpsCommandsTest, WhoWaitsIsListedInPages) {
  server.answer(
      {.body = R"([{"registrationId":"a","approval":{"enrollmentGroupId":"g"}}])", .headers = [] {
         http::Headers headers;
         headers.set("x-ms-continuation", "next");
         return headers;
       }()});
  server.answer({.body = R"([{"registrationId":"b","approval":{"enrollmentGroupId":"h"}}])"});
  const auto ran =
      run_line({"registration", "list", "--pending", "-n", "dps.example.net", "--eid", "H"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(asked(0), "GET /approvals?state=pending");
  EXPECT_EQ(server.requests[1].headers.get_or("x-ms-continuation", ""), "next");
  EXPECT_THAT(ran.out, HasSubstr("\"b\""));
  EXPECT_THAT(ran.out, Not(HasSubstr("\"a\"")));
}

// ---- trace ----

constexpr const char* kTrace = R"({"registrationId":"dev-1","last":7,"attempts":[{"number":7,
  "registrationId":"dev-1","begunUtc":"2027-01-15T08:00:00.0000000Z","tookMs":12.345,
  "call":"register","transport":"mqtt","peer":"192.0.2.7:1","trackingId":"t-1","isProven":false,
  "outcome":"refused","errorCode":401002,"message":"no enrollment covers this registration ID",
  "steps":[{"atMs":0.1,"step":"proof","verdict":"refused","detail":"the token is old"}]}]})";

TEST_F(DpsCommandsTest, ATraceIsReadable) {
  server.answer({.body = kTrace});
  const auto ran = run_line({"trace", "-n", "dps.example.net", "--rid", "dev-1"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(asked(0), "GET /registrations/dev-1/trace");
  EXPECT_EQ(ran.out,
            "#7 2027-01-15T08:00:00.000  register dev-1 over mqtt from 192.0.2.7:1: refused 401002 "
            "(12.3 ms)\n"
            "    tracking id t-1\n"
            "         0.1 ms  NO  proof         the token is old\n"
            "    no enrollment covers this registration ID\n");
  server.answer({.body = kTrace});
  const auto raw = run_line({"trace", "-n", "dps.example.net", "--top", "5", "-o", "json"});
  EXPECT_EQ(asked(1), "GET /traces?top=5");
  EXPECT_THAT(raw.out, HasSubstr("\"verdict\": \"refused\""));
  server.answer({.body = R"({"attempts":[]})"});
  EXPECT_THAT(run_line({"trace", "-n", "dps.example.net"}).out, HasSubstr("Nothing was tried"));
}

TEST_F(DpsCommandsTest, FollowingPrintsEachAttemptOnceAndGoesOnFromTheLast) {
  server.answer({.body = kTrace});
  const auto ran = run_line({"trace", "-n", "dps.example.net", "--follow", "--timeout", "0"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("#7 "));
  EXPECT_EQ(run_line({"trace", "-n", "dps.example.net", "--follow", "--timeout", "x"}).status, 1);
}

// ---- import and export ----

std::string rows(int from, int to) {
  std::string text = "registrationId,primaryKey\r\n";
  for (int i = from; i <= to; ++i) text += "dev-" + std::to_string(i) + ",a2V5\r\n";
  return text;
}

TEST_F(DpsCommandsTest, AnImportGoesInBatchesOfTenAndOnAfterErrors) {
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  server.answer({.body = R"({"isSuccessful":false,"errors":[{"registrationId":"DEV-11",
      "errorCode":400004,"errorStatus":"the key is short"}]})"});
  const auto ran = run_line(
      {"enrollment", "import", "-n", "dps.example.net", "--file", file("e.csv", rows(1, 12))});
  EXPECT_EQ(ran.status, 1);
  ASSERT_EQ(server.requests.size(), 2u);
  EXPECT_THAT(asked(0),
              HasSubstr(R"(POST /enrollments {"mode":"create","enrollments":[)"
                        R"({"registrationId":"dev-1","attestation":)"
                        R"({"symmetricKey":{"primaryKey":"a2V5"},"type":"symmetricKey"}})"));
  EXPECT_THAT(ran.err, HasSubstr("line 12, dev-11: 400004 the key is short"));
  EXPECT_THAT(ran.err, HasSubstr("1 of 12 rows failed; 11 done"));
}

TEST_F(DpsCommandsTest, AnImportCanBeRepeated) {
  const std::string there = R"({"isSuccessful":false,"errors":[{"registrationId":"dev-1",
      "errorCode":409201,"errorStatus":"Enrollment already exists"}]})";
  server.answer({.body = there});
  const std::string path = file("e.csv", rows(1, 2));
  const auto again =
      run_line({"enrollment", "import", "-n", "dps.example.net", "-f", path, "--skip-existing"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("\"existing\": 1"));
  server.answer({.body = there});
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  const auto upsert =
      run_line({"enrollment", "import", "-n", "dps.example.net", "-f", path, "--mode", "upsert"});
  EXPECT_EQ(upsert.status, 0) << upsert.err;
  EXPECT_THAT(asked(2), HasSubstr(R"({"mode":"update","enrollments":[{"registrationId":"dev-1")"));
  EXPECT_THAT(upsert.out, HasSubstr("\"done\": 2"));
}

TEST_F(DpsCommandsTest, AnImportThatStopsSaysHowToGoOn) {
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  server.answer({.status = 503, .body = R"({"message":"not now"})"});
  const std::string path = file("e.csv", rows(1, 25));
  const auto ran = run_line({"enrollment", "import", "-n", "dps.example.net", "-f", path});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("`--skip 11` goes on"));
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  run_line({"enrollment", "import", "-n", "dps.example.net", "-f", path, "--skip", "11"});
  EXPECT_THAT(asked(2), HasSubstr(R"("enrollments":[{"registrationId":"dev-11")"));
}

TEST_F(DpsCommandsTest, BadRowsAreNamedAndTheOthersGoIn) {
  server.answer({.body = R"({"isSuccessful":true,"errors":[]})"});
  const auto ran = run_line(
      {"enrollment-group", "import", "-n", "dps.example.net", "-f",
       file("g.ndjson", "{\"enrollmentGroupId\":\"a\"}\n{nonsense\n\n{\"other\":1}\n[1]\n")});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(asked(0), R"(POST /enrollmentGroups {"mode":"create","enrollmentGroups":[)"
                      R"({"enrollmentGroupId":"a"}]})");
  EXPECT_THAT(ran.err, HasSubstr("line 2: not JSON"));
  EXPECT_THAT(ran.err, HasSubstr("line 4: there is no enrollmentGroupId"));
  EXPECT_THAT(ran.err, HasSubstr("line 5: not a JSON object"));
  EXPECT_EQ(run_line({"enrollment", "import", "-n", "d.e", "-f", directory + "/none"}).status, 1);
  EXPECT_THAT(run_line({"enrollment", "import", "-n", "d.e", "-f", file("x.csv", "id\n1\n")}).err,
              HasSubstr("there is no column 'id'; there is: registrationId,"));
  EXPECT_EQ(run_line({"enrollment", "import", "-n", "d.e", "-f", "-", "--mode", "x"}).status, 1);
}

TEST_F(DpsCommandsTest, AnExportHidesKeysUnlessAskedAndIsForItsOwnerOnly) {
  const std::string page = R"([{"registrationId":"a","etag":"\"1\"","registrationState":{},
      "attestation":{"type":"symmetricKey"}},
      {"registrationId":"b","attestation":{"type":"x509","x509":{}}}])";
  server.answer({.body = page});
  server.answer({.body = R"({"type":"x509","x509":{"clientCertificates":{}}})"});
  const std::string path = directory + "/out.ndjson";
  const auto ran = run_line({"enrollment", "export", "-n", "dps.example.net", "-f", path});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(read(path),
            "{\"registrationId\":\"a\",\"attestation\":{\"type\":\"symmetricKey\"}}\n"
            "{\"registrationId\":\"b\",\"attestation\":{\"type\":\"x509\",\"x509\":"
            "{\"clientCertificates\":{}}}}\n");
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::others_read,
            std::filesystem::perms::none);
  EXPECT_EQ(asked(1), "POST /enrollments/b/attestationmechanism");
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));

  server.answer({.body = page});
  server.answer({.body = R"({"type":"symmetricKey","symmetricKey":{"primaryKey":"a2V5"}})"});
  server.answer({.body = R"({"type":"x509","x509":{"clientCertificates":{}}})"});
  const auto keys =
      run_line({"enrollment", "export", "-n", "dps.example.net", "--show-keys", "--format", "csv"});
  EXPECT_EQ(keys.status, 0) << keys.err;
  EXPECT_THAT(keys.out, HasSubstr("registrationId,deviceId,attestation,primaryKey"));
  EXPECT_THAT(keys.out, HasSubstr("a,,symmetricKey,a2V5,"));
}

TEST_F(DpsCommandsTest, AnExportThatFailsLeavesNoFile) {
  server.answer({.status = 500, .body = R"({"message":"broken"})"});
  const std::string path = directory + "/out.csv";
  EXPECT_EQ(run_line({"enrollment", "export", "-n", "dps.example.net", "-f", path}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  EXPECT_EQ(run_line({"enrollment", "export", "-n", "d.e", "-f", directory + "/no/way"}).status, 1);
}

// ---- policies, the resource, linked hubs ----

constexpr const char* kKeys = R"({"value":[{"keyName":"provisioningserviceowner",
    "primaryKey":"cA==","secondaryKey":"cw==","rights":"ServiceConfig"}]})";

TEST_F(DpsCommandsTest, APolicyIsAddedToTheOthers) {
  server.answer({.body = kKeys});
  server.answer({.body = R"({"etag":"e1","properties":{"idScope":"0ne1"}})"});
  server.answer({});
  server.answer({.body = R"({"value":[{"keyName":"reader","rights":"EnrollmentRead"}]})"});
  const auto ran = run_line({"policy", "create", "--policy-name", "reader", "--rights",
                             "EnrollmentRead", "RegistrationStatusRead"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(asked(2), HasSubstr(R"("keyName":"provisioningserviceowner","primaryKey":"cA==")"));
  EXPECT_THAT(
      asked(2),
      HasSubstr(R"({"keyName":"reader","rights":"EnrollmentRead, RegistrationStatusRead"}])"));
  EXPECT_EQ(server.requests[2].headers.get_or("If-Match", ""), "e1");
  server.answer({.body = kKeys});
  EXPECT_EQ(run_line({"policy", "show", "--pn", "nobody"}).status, 3);
  server.answer({.body = kKeys});
  EXPECT_THAT(run_line({"policy", "delete", "--pn", "provisioningserviceowner"}).err,
              HasSubstr("the last policy stays"));
  server.answer({.body = kKeys});
  EXPECT_THAT(
      run_line({"policy", "create", "--pn", "ProvisioningServiceOwner", "-r", "ServiceConfig"}).err,
      HasSubstr("already"));
}

TEST_F(DpsCommandsTest, TheConnectionStringHasHostAndKey) {
  server.answer({.body = R"({"properties":{"serviceOperationsHostName":"localhost"}})"});
  server.answer({.body = kKeys});
  const auto ran = run_line({"connection-string", "show", "--kt", "secondary"});
  EXPECT_THAT(ran.out, HasSubstr("HostName=localhost;SharedAccessKeyName=provisioningserviceowner;"
                                 "SharedAccessKey=cw=="));
}

TEST_F(DpsCommandsTest, UpdatesKeepTheRest) {
  const std::string dps =
      R"({"etag":"e1","tags":{"a":"b"},"properties":{"allocationPolicy":"Hashed",
      "iotHubs":[{"name":"hub1.example.net","connectionString":"HostName=hub1;SharedAccessKey=****"}]}})";
  server.answer({.body = dps});
  server.answer({.body = dps});
  const auto ran = run_line({"update", "--allocation-policy", "GeoLatency", "--set",
                             "tags.site=north", "properties.x=5"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(asked(1), HasSubstr(R"("tags":{"a":"b","site":"north"})"));
  EXPECT_THAT(asked(1), HasSubstr(R"("allocationPolicy":"GeoLatency")"));
  EXPECT_THAT(asked(1), HasSubstr(R"("x":5)"));
  server.answer({.body = dps});
  server.answer({.body = dps});
  const auto link = run_line({"linked-hub", "update", "--linked-hub", "hub1", "--allocation-weight",
                              "5", "--apply-allocation-policy", "false"});
  EXPECT_EQ(link.status, 0) << link.err;
  EXPECT_THAT(asked(3), HasSubstr(R"("applyAllocationPolicy":false,"allocationWeight":5)"));
  server.answer({.body = dps});
  EXPECT_EQ(run_line({"linked-hub", "show", "--linked-hub", "hub9"}).status, 3);
  EXPECT_EQ(run_line({"update", "--set", "nonsense"}).status, 1);
}

}  // namespace
}  // namespace doppel::cli
