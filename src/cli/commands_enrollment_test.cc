// doppel iot dps enrollment create as a user types it, and what the server is then asked.
#include <iostream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/grammar.h"
#include "cli/testing.h"

namespace doppel::cli {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;

// Status and what was printed as an error.
std::pair<int, std::string> run_create(FakeServer& server, std::vector<const char*> words) {
  const std::vector<const char*> command = {"doppel", "iot", "dps",      "enrollment",
                                            "create", "-n",  "localhost"};
  words.insert(words.begin(), command.begin(), command.end());
  std::ostringstream out, err;
  auto* const old_out = std::cout.rdbuf(out.rdbuf());
  auto* const old_err = std::cerr.rdbuf(err.rdbuf());
  const int status = run(static_cast<int>(words.size()), words.data(), {},
                         [&](const std::string&) -> Result<Session> { return server.session(); });
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {status, err.str()};
}

// The request that writes the enrollment: path and body.
std::string written(const FakeServer& server) {
  const auto& request = server.requests.back();
  const auto path = request.url.find("/enrollments/");
  return request.method + " " + request.url.substr(path, request.url.find('?') - path) + " " +
         request.body;
}

TEST(EnrollmentCommand, MakesATpmEnrollment) {
  FakeServer server;
  server.answer({});
  ASSERT_EQ(run_create(server, {"--enrollment-id", "tpm-1", "--attestation-type", "tpm",
                                "--endorsement-key", "AAEC", "--storage-root-key", "AAED"}),
            std::pair(0, std::string()));
  EXPECT_THAT(written(server), HasSubstr("PUT /enrollments/tpm-1 "));
  EXPECT_THAT(written(server),
              HasSubstr(R"("attestation":{"type":"tpm","tpm":{"endorsementKey":"AAEC",)"
                        R"("storageRootKey":"AAED"}})"));
}

// base32 of the SHA-256 of 00 01 02, as Python has it.
TEST(EnrollmentCommand, NamesATpmAsTheSdksDo) {
  FakeServer server;
  server.answer({});
  ASSERT_EQ(run_create(server, {"--at", "tpm", "--ek", "AAEC"}).first, 0);
  EXPECT_THAT(written(server),
              HasSubstr("PUT /enrollments/vzftfahfnyx27a7ucstohwv6tvp34gexmvcmax7ncinmzoc3kp6a "));
}

TEST(EnrollmentCommand, SaysWhatATpmEnrollmentNeeds) {
  const auto refusal = [](std::vector<const char*> words) {
    FakeServer server;
    const auto [status, err] = run_create(server, std::move(words));
    EXPECT_NE(status, 0);
    EXPECT_TRUE(server.requests.empty());
    return err;
  };
  EXPECT_THAT(refusal({"--rid", "t", "--at", "tpm"}), HasSubstr("--endorsement-key"));
  EXPECT_THAT(refusal({"--rid", "t", "--at", "tpm", "--ek", "%"}), HasSubstr("--endorsement-key"));
  EXPECT_THAT(refusal({"--rid", "t", "--at", "magic"}), HasSubstr("symmetricKey, x509 or tpm"));
  EXPECT_THAT(refusal({"--at", "symmetricKey"}), HasSubstr("--registration-id is required"));
}

}  // namespace
}  // namespace doppel::cli
