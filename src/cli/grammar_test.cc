#include "cli/grammar.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/testing.h"

namespace doppel::cli {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;

struct Ran {
  int status;
  std::string out, err;
};

Ran run_line(FakeServer& server, std::vector<const char*> words) {
  words.insert(words.begin(), "doppel");
  std::ostringstream out, err;
  auto* const old_out = std::cout.rdbuf(out.rdbuf());
  auto* const old_err = std::cerr.rdbuf(err.rdbuf());
  const int status = run(static_cast<int>(words.size()), words.data(), {},
                         [&](const std::string&) -> Result<Session> { return server.session(); });
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {status, out.str(), err.str()};
}

TEST(Grammar, RunsACommandAndPrintsItsAnswer) {
  FakeServer server;
  server.answer({.body = R"({"$dtId": "a b"})"});
  const auto ran = run_line(server, {"dt", "twin", "show", "--twin-id", "a b"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("\"$dtId\": \"a b\""));
  EXPECT_THAT(server.requests[0].url, HasSubstr("/digitaltwins/a%20b?"));
}

TEST(Grammar, NotFoundIsStatus3AnyOtherRefusal1) {
  FakeServer server;
  server.answer({.status = 404, .body = R"({"error": {"code": "X", "message": "not there"}})"});
  server.answer({.status = 400, .body = R"({"error": {"code": "X", "message": "bad"}})"});
  const auto absent = run_line(server, {"dt", "twin", "show", "-t", "a"});
  EXPECT_EQ(absent.status, 3);
  EXPECT_EQ(absent.err, "doppel: X: not there\n");
  EXPECT_EQ(absent.out, "");
  EXPECT_EQ(run_line(server, {"dt", "twin", "show", "-t", "a"}).status, 1);
}

TEST(Grammar, AnUnknownWordIsNamedWithWhatThereIs) {
  FakeServer server;
  const auto ran = run_line(server, {"dt", "twin", "shwo", "--twin-id", "a"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("`doppel dt twin` has no 'shwo'; there is: create, show, list"));
  EXPECT_THAT(ran.err, HasSubstr("See `doppel dt twin --help`."));
  EXPECT_TRUE(server.requests.empty());
}

TEST(Grammar, AMissingWordIsAskedFor) {
  FakeServer server;
  EXPECT_THAT(run_line(server, {}).err, HasSubstr("a word is missing after `doppel`"));
  const auto ran = run_line(server, {"iot", "hub"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("a word is missing after `doppel iot hub`"));
}

TEST(Grammar, AMissingOptionIsNamedWithTheCommandThatWantsIt) {
  FakeServer server;
  const auto ran = run_line(server, {"dt", "twin", "show"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_EQ(ran.err, "doppel: --twin-id is required\nSee `doppel dt twin show --help`.\n");
}

TEST(Grammar, HelpIsNoMistake) {
  FakeServer server;
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"--help"}, {"dt", "--help"}, {"dt", "twin", "show", "--help"}}) {
    const auto ran = run_line(server, words);
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.out, HasSubstr("Usage: doppel"));
    EXPECT_EQ(ran.err, "");
  }
}

TEST(Grammar, TablesAreForPeople) {
  FakeServer server;
  server.answer({.body = R"({"value": [{"$dtId": "t", "$metadata": {"$model": "dtmi:a;1"}}]})"});
  const auto ran = run_line(server, {"dt", "twin", "list", "-o", "table"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("t      dtmi:a;1"));
  EXPECT_EQ(run_line(server, {"dt", "twin", "list", "-o", "xml"}).status, 2);
}

TEST(Grammar, DeletesPrintNothingAndCarryTheEtag) {
  FakeServer server;
  server.answer({.status = 204, .body = ""});
  const auto ran = run_line(server, {"dt", "twin", "delete", "-t", "a", "--etag", "W/\"1\""});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(server.requests[0].method, "DELETE");
  EXPECT_EQ(server.requests[0].headers.get_or("If-Match", ""), "W/\"1\"");
}

TEST(Grammar, ProgramsReadWhatTheCommandLineLeavesOutFromTheirConfiguration) {
  const std::string file = ::testing::TempDir() + "grammar_test.toml";
  std::ofstream(file)
      << "data-dir = \"/from/file\"\nhostname = [\"a\", \"b\"]\nhttps-port = 8443\nquiet = true\n";
  Arguments got;
  const std::vector<Program> programs = {
      {"serve",
       "",
       {{.names = "--data-dir", .help = ""},
        {.names = "--hostname", .help = "", .kind = Option::Kind::values},
        {.names = "--https-port", .help = ""},
        {.names = "--quiet,-q", .help = "", .kind = Option::Kind::flag}},
       [&](const Arguments& args) {
         got = args;
         return 0;
       }}};
  const auto serve = [&](std::vector<const char*> words) {
    words.insert(words.begin(), {"doppel", "serve", "--config", file.c_str()});
    return run(static_cast<int>(words.size()), words.data(), programs,
               [](const std::string&) -> Result<Session> { return fail(Code::internal, ""); });
  };
  EXPECT_EQ(serve({"--https-port", "443"}), 0);
  EXPECT_EQ(got.get("--data-dir"), "/from/file");
  EXPECT_THAT(got.all("--hostname"), ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(got.get("--https-port"), "443");
  EXPECT_TRUE(got.has("--quiet"));
  std::ofstream(file) << "hostnames = [\"a\"]\n";
  EXPECT_EQ(serve({}), 2);
}

TEST(Grammar, RemovingAGroupIsConfirmed) {
  FakeServer server;
  std::istringstream no("n\n");
  auto* const old_in = std::cin.rdbuf(no.rdbuf());
  const auto ran = run_line(server, {"group", "delete", "--name", "factory"});
  std::cin.rdbuf(old_in);
  EXPECT_EQ(ran.status, 1);
  EXPECT_TRUE(server.requests.empty());
  server.answer({.status = 200, .body = ""});
  EXPECT_EQ(run_line(server, {"group", "delete", "--name", "factory", "--yes"}).status, 0);
  EXPECT_EQ(server.requests[0].method, "DELETE");
}

TEST(Wait, EndsWhenTheDigitalTwinIsGone) {
  FakeServer server;
  server.answer({.body = R"({"$dtId": "a"})"});
  server.answer({.status = 404, .body = R"({"error": {"code": "X", "message": "none"}})"});
  const auto ran = run_line(server, {"dt", "twin", "wait", "-t", "a", "--deleted"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("\"exists\": false"));
  EXPECT_EQ(server.requests.size(), 2u);
}

TEST(Wait, EndsWhenTheDigitalTwinIsThere) {
  FakeServer server;
  server.answer({.status = 404, .body = R"({"error": {"code": "X", "message": "none"}})"});
  server.answer({.body = R"({"$dtId": "a"})"});
  EXPECT_THAT(run_line(server, {"dt", "twin", "wait", "-t", "a"}).out,
              HasSubstr("\"exists\": true"));
}

TEST(Wait, GivesUpAfterItsTimeAndOnOtherErrorsAtOnce) {
  FakeServer server;
  server.answer({.body = "{}"});
  const auto late =
      run_line(server, {"dt", "twin", "wait", "-t", "a", "--deleted", "--timeout", "0"});
  EXPECT_EQ(late.status, 1);
  EXPECT_THAT(late.err, HasSubstr("is still there after 0 s"));
  server.answer({.status = 403, .body = R"({"error": {"code": "Forbidden", "message": "no"}})"});
  EXPECT_THAT(run_line(server, {"dt", "twin", "wait", "-t", "a"}).err, HasSubstr("Forbidden: no"));
  EXPECT_THAT(run_line(server, {"dt", "twin", "wait", "-t", "a", "--timeout", "x"}).err,
              HasSubstr("--timeout takes seconds"));
}

TEST(Check, FindsOrphansBothWays) {
  FakeServer server;
  server.answer(
      {.body = R"({"value": [{"name": "hub1", "properties": {"hostName": "localhost"}}]})"});
  server.answer({.body = R"([{"deviceId": "ok", "tags": {"dtId": "ok"}},
                             {"deviceId": "lost", "tags": {"dtId": "gone"}}, {"deviceId": "plain"}])"});
  server.answer(
      {.body = R"({"value": [{"$dtId": "ok"}, {"$dtId": "stray"}, {"$dtId": "plain"}]})"});
  server.answer({.body = R"({"value": [{"name": "dps1",
      "properties": {"serviceOperationsHostName": "localhost"}}]})"});
  server.answer(
      {.body = R"({"value": [{"name": "hub1", "properties": {"hostName": "localhost"}}]})"});
  server.answer({.body = R"([
      {"registrationId": "ok", "deviceId": "ok", "status": "assigned", "assignedHub": "localhost"},
      {"registrationId": "r", "deviceId": "missing", "status": "assigned",
       "assignedHub": "localhost"},
      {"registrationId": "far", "deviceId": "far", "status": "assigned", "assignedHub": "other"}])"});
  const auto ran = run_line(server, {"check"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  const auto findings = json::parse(ran.out).value().at("findings").as_array();
  ASSERT_EQ(findings.size(), 3u) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("device-without-digital-twin"));
  EXPECT_THAT(ran.out, HasSubstr("\"id\": \"stray\""));
  EXPECT_THAT(ran.out, HasSubstr("which the hub does not have"));
}

}  // namespace
}  // namespace doppel::cli
