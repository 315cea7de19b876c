#include "cli/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/testing.h"

namespace doppel::cli {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;

TEST(Session, SendsABearerTokenAndTheApiVersion) {
  FakeServer server;
  server.answer({.body = R"({"a": 1})"});
  auto session = server.session();
  const auto answer = session.send_json({.path = "/x"});
  ASSERT_TRUE(answer);
  EXPECT_EQ(server.requests[0].url, "https://localhost:8443/x?api-version=2023-06-30");
  EXPECT_EQ(server.requests[0].headers.get_or("Authorization", ""), "Bearer token-1");
  EXPECT_THAT(server.token_requests[0].body, HasSubstr("client_secret=se%26cret"));
}

TEST(Session, OneTokenServesAllCallsOfOneService) {
  FakeServer server;
  for (int i = 0; i < 3; ++i) server.answer({});
  auto session = server.session();
  ASSERT_TRUE(session.send({.path = "/a", .api_version = kTwinsVersion}));
  ASSERT_TRUE(session.send({.path = "/b", .api_version = kTwinsVersion}));
  ASSERT_TRUE(session.send({.path = "/c", .api_version = kHubVersion}));
  ASSERT_EQ(server.token_requests.size(), 2u);
  EXPECT_THAT(server.token_requests[0].body, HasSubstr("digitaltwins.azure.net"));
  EXPECT_THAT(server.token_requests[1].body, HasSubstr("iothubs.azure.net"));
}

TEST(Session, ServicesAreReachedByTheirNamesAtThePortOfTheServer) {
  FakeServer server;
  server.answer({});
  auto session = server.session();
  ASSERT_TRUE(session.send({.path = "/x?y=1", .api_version = "v", .host = "twins2.example:443"}));
  EXPECT_EQ(server.requests[0].url, "https://localhost:8443/x?y=1&api-version=v");
  EXPECT_EQ(server.requests[0].headers.get_or("Host", ""), "twins2.example:8443");
}

TEST(Session, ListsFollowNextLinkToTheEnd) {
  FakeServer server;
  server.answer({.body = R"({"value": [1, 2], "nextLink": "/x?api-version=v&after=2"})"});
  server.answer(
      {.body = R"({"value": [3], "nextLink": "https://other:1/x?api-version=v&after=3"})"});
  server.answer({.body = R"({"value": [], "nextLink": null})"});
  auto session = server.session();
  const auto all = session.list_all({.path = "/x", .api_version = "v"});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 3u);
  ASSERT_EQ(server.requests.size(), 3u);
  EXPECT_EQ(server.requests[1].url, "https://localhost:8443/x?api-version=v&after=2");
  EXPECT_EQ(server.requests[2].url, "https://localhost:8443/x?api-version=v&after=3");
}

TEST(Session, QueriesFollowTheContinuationToTheEnd) {
  FakeServer server;
  FakeServer::Answer first{.body = R"([1, 2])"};
  first.headers.set("x-ms-continuation", "page-2");
  server.answer(first);
  server.answer({.body = "[3]"});
  auto session = server.session();
  const auto all = session.query_all({.path = "/devices/query", .api_version = kHubVersion});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 3u);
  EXPECT_EQ(server.requests[0].headers.get_or("x-ms-continuation", "none"), "none");
  EXPECT_EQ(server.requests[1].headers.get_or("x-ms-continuation", "none"), "page-2");
}

TEST(Session, AnAnswerThatIsNoListIsAnError) {
  FakeServer server;
  server.answer({.body = R"({"values": []})"});
  auto session = server.session();
  const auto all = session.list_all({.path = "/x"});
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code, Code::bad_gateway);
}

struct Refusal {
  int status;
  std::string body;
  Code code;
  std::string message;
};

TEST(Session, RefusalsKeepTheWordsOfTheService) {
  const std::vector<Refusal> refusals = {
      {404, R"({"error": {"code": "DigitalTwinNotFound", "message": "There is none."}})",
       Code::not_found, "DigitalTwinNotFound: There is none."},
      {400,
       R"({"error": {"code": "ValidationFailed", "message": "No.", "details": [{"message": "a"}, {"message": "b"}]}})",
       Code::invalid_argument, "ValidationFailed: No.\n  a\n  b"},
      {409, R"({"Message": "ErrorCode:DeviceAlreadyExists;x", "ExceptionMessage": ""})",
       Code::already_exists, "ErrorCode:DeviceAlreadyExists;x"},
      {412, R"({"errorCode": 412000, "message": "Precondition failed"})", Code::precondition_failed,
       "Precondition failed"},
      {429, "slow down", Code::throttled, "slow down"},
      {403, "{}", Code::forbidden, "{}"},
      {503, "", Code::unavailable, ""}};
  for (const auto& refusal : refusals) {
    FakeServer server;
    server.answer({.status = refusal.status, .body = refusal.body});
    auto session = server.session();
    const auto response = session.send({.path = "/x"});
    ASSERT_FALSE(response) << refusal.status;
    EXPECT_EQ(response.error().code, refusal.code) << refusal.status;
    EXPECT_EQ(response.error().message, refusal.message) << refusal.status;
  }
}

TEST(Session, AServerThatDoesNotAnswerIsNamedWithWhatToDo) {
  FakeServer server;
  server.be_unreachable();
  auto session = server.session();
  const auto response = session.send({.path = "/x"});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::unavailable);
  EXPECT_THAT(response.error().message, HasSubstr("https://localhost:8443 does not answer"));
  EXPECT_THAT(response.error().message, HasSubstr("connection refused"));
  EXPECT_THAT(response.error().message, HasSubstr("doppel serve"));
}

TEST(Session, ARefusedCredentialSaysWhereItComesFrom) {
  FakeServer server;
  server.token_status = 401;
  auto session = server.session();
  const auto response = session.send({.path = "/x"});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::unauthenticated);
  EXPECT_THAT(response.error().message, HasSubstr("who are you"));
  EXPECT_THAT(response.error().message, HasSubstr("CLI profile"));
}

TEST(Session, NotReadyIsNotReady) {
  FakeServer server;
  server.answer({.status = 503, .body = "starting or stopping"});
  auto session = server.session();
  const auto ready = session.check_ready();
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().message, HasSubstr("starting or stopping"));
  EXPECT_TRUE(server.token_requests.empty());
}

TEST(Session, ANamedInstanceIsFoundInTheSubscriptionAHostIsTakenAsItIs) {
  FakeServer server;
  server.answer({.body = R"({"value": [{"name": "twins1", "properties": {"hostName": "localhost"}},
      {"name": "Twins2", "properties": {"hostName": "twins2.example"}}]})"});
  auto session = server.session();
  Arguments by_name, by_host, nobody;
  by_name.add("--dt-name", {"twins2"});
  by_host.add("--dt-name", {"twins9.example"});
  EXPECT_EQ(session.twins_host(by_name).value(), "twins2.example");
  EXPECT_EQ(session.twins_host(by_host).value(), "twins9.example");
  EXPECT_EQ(server.requests.size(), 1u);
  nobody.add("--dt-name", {"nobody"});
  server.answer({.body = R"({"value": []})"});
  EXPECT_EQ(session.twins_host(nobody).error().code, Code::not_found);
}

TEST(Session, ANameWithoutDefaultIsAskedFor) {
  FakeServer server;
  auto session = server.session();
  const auto name = session.name_or_default(Arguments{}, "--name", "");
  ASSERT_FALSE(name);
  EXPECT_THAT(name.error().message, HasSubstr("--name"));
}

TEST(JsonArgument, TakesJsonAndSaysWhatIsWrong) {
  EXPECT_TRUE(parse_json_argument("--tags", R"({"a": 1})"));
  const auto bad = parse_json_argument("--tags", "{a}");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("--tags"));
  const auto absent = parse_json_argument("--models", "@/no/such/file");
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error().message, HasSubstr("/no/such/file"));
}

}  // namespace
}  // namespace doppel::cli
