// doppel eventhubs ... as a user types it, and what the server is then asked.
#include <iostream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/event_facts.h"
#include "cli/eventhubs.h"
#include "cli/grammar.h"
#include "cli/testing.h"

namespace doppel::cli {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::Not;

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

const std::string kBase =
    "https://localhost:8443/subscriptions/sub/resourceGroups/group/providers/"
    "Microsoft.EventHub/namespaces/";

// The last request: method, path below kBase, body.
std::string asked(const FakeServer& server) {
  const auto& request = server.requests.back();
  const std::string url = request.url.substr(0, request.url.find('?'));
  return request.method + " " + (url.starts_with(kBase) ? url.substr(kBase.size()) : url) +
         (request.body.empty() ? "" : " " + request.body);
}

struct Line {
  std::vector<const char*> words;
  std::string request;
};

TEST(EventHubs, EveryCommandAsksWhatAzAsks) {
  const std::vector<Line> lines = {
      {{"namespace", "create", "-n", "n1", "-l", "westus2", "--sku", "Standard", "--capacity", "2",
        "--tags", "a=b", "c"},
       R"(PUT n1 {"tags":{"a":"b","c":""},"sku":{"name":"Standard","tier":"Standard","capacity":2},"location":"westus2"})"},
      {{"namespace", "create", "--name", "n1", "-g", "group", "--enable-auto-inflate", "true",
        "--maximum-throughput-units", "9"},
       R"(PUT n1 {"properties":{"isAutoInflateEnabled":true,"maximumThroughputUnits":9},"location":"eastus"})"},
      {{"namespace", "show"}, "GET events1"},
      {{"namespace", "show", "--namespace-name", "n1"}, "GET n1"},
      {{"namespace", "update", "-n", "n1", "--tags", ""}, R"(PATCH n1 {"tags":{}})"},
      {{"namespace", "delete", "-n", "n1"}, "DELETE n1"},
      {{"namespace", "exists", "-n", "n1"},
       "POST https://localhost:8443/subscriptions/sub/providers/Microsoft.EventHub/"
       R"(checkNameAvailability {"name":"n1"})"},
      {{"eventhub", "create", "-n", "e", "--namespace-name", "n1", "--partition-count", "4",
        "--message-retention", "1"},
       R"(PUT n1/eventhubs/e {"properties":{"partitionCount":4,"messageRetentionInDays":1}})"},
      {{"eventhub", "create", "-n", "e", "--retention-size", "16777216"},
       R"(PUT events1/eventhubs/e {"properties":{"retentionDescription":{"retentionSizeInBytes":16777216}}})"},
      {{"eventhub", "create", "-n", "e", "--retention-time", "5", "--cleanup-policy", "Delete"},
       R"(PUT events1/eventhubs/e {"properties":{"retentionDescription":{"retentionTimeInHours":5,"cleanupPolicy":"Delete"}}})"},
      {{"eventhub", "create", "-n", "e"}, R"(PUT events1/eventhubs/e {"properties":{}})"},
      {{"eventhub", "show", "-n", "e/f"}, "GET events1/eventhubs/e%2Ff"},
      {{"eventhub", "delete", "--eventhub-name", "e"}, "DELETE events1/eventhubs/e"},
      {{"eventhub", "consumer-group", "create", "--eventhub-name", "e", "-n", "cg",
        "--user-metadata", "mine"},
       R"(PUT events1/eventhubs/e/consumergroups/cg {"properties":{"userMetadata":"mine"}})"},
      {{"eventhub", "consumer-group", "show", "--eventhub-name", "e", "--consumer-group-name",
        "$Default"},
       "GET events1/eventhubs/e/consumergroups/%24Default"},
      {{"eventhub", "consumer-group", "delete", "--eventhub-name", "e", "--name", "cg"},
       "DELETE events1/eventhubs/e/consumergroups/cg"},
      {{"namespace", "authorization-rule", "create", "-n", "r", "--rights", "Send", "Listen"},
       R"(PUT events1/authorizationRules/r {"properties":{"rights":["Send","Listen"]}})"},
      {{"eventhub", "authorization-rule", "create", "--eventhub-name", "e", "-n", "r", "--rights",
        "Send"},
       R"(PUT events1/eventhubs/e/authorizationRules/r {"properties":{"rights":["Send"]}})"},
      {{"namespace", "authorization-rule", "keys", "list", "-n", "r"},
       "POST events1/authorizationRules/r/listKeys"},
      {{"eventhub", "authorization-rule", "keys", "renew", "--eventhub-name", "e", "-n", "r",
        "--key", "PrimaryKey"},
       R"(POST events1/eventhubs/e/authorizationRules/r/regenerateKeys {"keyType":"PrimaryKey"})"},
      {{"namespace", "authorization-rule", "keys", "renew", "-n", "r", "--key", "secondary",
        "--key-value", "mine"},
       R"(POST events1/authorizationRules/r/regenerateKeys {"keyType":"SecondaryKey","key":"mine"})"},
  };
  for (const auto& line : lines) {
    FakeServer server;
    server.answer({});
    auto words = line.words;
    words.insert(words.begin(), "eventhubs");
    const auto ran = run_line(server, words);
    EXPECT_EQ(ran.status, 0) << line.request << ": " << ran.err;
    ASSERT_FALSE(server.requests.empty()) << line.request;
    EXPECT_EQ(asked(server), line.request);
  }
}

TEST(EventHubs, ListsOfEveryKindFollowThePages) {
  for (const auto& [words, path] : std::vector<std::pair<std::vector<const char*>, std::string>>{
           {{"eventhubs", "namespace", "authorization-rule", "list"}, "events1/authorizationRules"},
           {{"eventhubs", "eventhub", "list"}, "events1/eventhubs"},
           {{"eventhubs", "eventhub", "consumer-group", "list", "--eventhub-name", "e"},
            "events1/eventhubs/e/consumergroups"}}) {
    FakeServer server;
    server.answer({.body = R"({"value": [{"name": "a"}], "nextLink": "/x?api-version=v"})"});
    server.answer({.body = R"({"value": [{"name": "b"}]})"});
    const auto ran = run_line(server, words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_TRUE(server.requests.front().url.starts_with(kBase + path + "?")) << path;
    EXPECT_THAT(ran.out, HasSubstr(R"("name": "a")"));
    EXPECT_THAT(ran.out, HasSubstr(R"("name": "b")"));
  }
}

TEST(EventHubs, NamespacesAreListedInTheSubscriptionOrInAGroup) {
  FakeServer server;
  server.answer({.body = R"({"value": []})"});
  server.answer({.body = R"({"value": []})"});
  EXPECT_EQ(run_line(server, {"eventhubs", "namespace", "list"}).status, 0);
  EXPECT_THAT(server.requests[0].url,
              HasSubstr("/subscriptions/sub/providers/Microsoft.EventHub/namespaces?"));
  EXPECT_EQ(run_line(server, {"eventhubs", "namespace", "list", "-g", "other"}).status, 0);
  EXPECT_THAT(server.requests[1].url, HasSubstr("/resourceGroups/other/providers/"));
}

TEST(EventHubs, PropertiesArePrintedBesideTheNameAsAzDoes) {
  FakeServer server;
  server.answer({.body = R"({"name": "e", "properties": {"partitionCount": 4, "status": "Active",
      "retentionDescription": {"retentionTimeInHours": 24}}})"});
  const auto ran = run_line(server, {"eventhubs", "eventhub", "show", "-n", "e"});
  EXPECT_THAT(ran.out, HasSubstr(R"("partitionCount": 4)"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\"properties\"")));
  server.answer({.body = R"({"value": [{"name": "e", "properties": {"partitionCount": 4,
      "status": "Active", "retentionDescription": {"retentionTimeInHours": 24}}}]})"});
  EXPECT_EQ(run_line(server, {"eventhubs", "eventhub", "list", "-o", "table"}).out,
            "Name  Partitions  RetentionHours  Status\n"
            "----  ----------  --------------  ------\n"
            "e     4           24              Active\n");
}

TEST(EventHubs, AnUpdateKeepsWhatItDoesNotName) {
  FakeServer server;
  server.answer({.body = R"({"properties": {"partitionCount": 2, "messageRetentionInDays": 1,
      "retentionDescription": {"retentionTimeInHours": 20}, "partitionIds": ["0", "1"]}})"});
  server.answer({});
  EXPECT_EQ(
      run_line(server, {"eventhubs", "eventhub", "update", "-n", "e", "--message-retention", "3"})
          .status,
      0);
  EXPECT_EQ(
      asked(server),
      R"(PUT events1/eventhubs/e {"properties":{"partitionCount":2,"messageRetentionInDays":3,"retentionDescription":{"retentionTimeInHours":20}}})");
}

TEST(EventHubs, AnUpdateMakesNothingNew) {
  FakeServer server;
  server.answer(
      {.status = 404, .body = R"({"error": {"code": "ResourceNotFound", "message": "none"}})"});
  const auto ran =
      run_line(server, {"eventhubs", "eventhub", "update", "-n", "e", "--message-retention", "3"});
  EXPECT_EQ(ran.status, 3);
  EXPECT_EQ(server.requests.size(), 1u);
  EXPECT_THAT(ran.err, HasSubstr("`doppel eventhubs eventhub list` shows what there is."));
}

TEST(EventHubs, ACapacityAloneKeepsTheSku) {
  FakeServer server;
  server.answer({.body = R"({"sku": {"name": "Premium", "tier": "Premium", "capacity": 1}})"});
  server.answer({});
  EXPECT_EQ(
      run_line(server, {"eventhubs", "namespace", "update", "-n", "n1", "--capacity", "3"}).status,
      0);
  EXPECT_EQ(asked(server), R"(PATCH n1 {"sku":{"capacity":3,"name":"Premium","tier":"Premium"}})");
}

TEST(EventHubs, WhatIsNotThereIsAnsweredWithTheCommandThatLists) {
  const FakeServer::Answer none{.status = 404,
                                .body = R"({"error": {"code": "NotFound", "message": "none"}})"};
  FakeServer server;
  for (int i = 0; i < 3; ++i) server.answer(none);
  const auto group =
      run_line(server, {"eventhubs", "eventhub", "consumer-group", "show", "--eventhub-name", "e",
                        "--namespace-name", "n1", "-n", "c"});
  EXPECT_EQ(group.status, 3);
  EXPECT_THAT(group.err, HasSubstr("doppel eventhubs eventhub consumer-group list "
                                   "--namespace-name n1 --eventhub-name e"));
  const auto made = run_line(server, {"eventhubs", "eventhub", "create", "-n", "e"});
  EXPECT_THAT(made.err, HasSubstr("`doppel eventhubs namespace list`"));
  const auto space = run_line(server, {"eventhubs", "namespace", "show", "-n", "x"});
  EXPECT_THAT(space.err, HasSubstr("`doppel eventhubs namespace list`"));
}

TEST(EventHubs, WrongCommandLinesAskTheServerNothing) {
  FakeServer server;
  const auto error = [&](std::vector<const char*> words) {
    words.insert(words.begin(), "eventhubs");
    const auto ran = run_line(server, words);
    EXPECT_NE(ran.status, 0);
    return ran.err;
  };
  EXPECT_THAT(error({"eventhub", "create", "-n", "e", "--partition-count", "four"}),
              HasSubstr("--partition-count takes a whole number, not 'four'"));
  EXPECT_THAT(error({"eventhub", "create", "-n", "e", "--message-retention", "1",
                     "--retention-time", "24"}),
              HasSubstr("not both"));
  EXPECT_THAT(error({"namespace", "update", "-n", "n1"}), HasSubstr("nothing to change"));
  EXPECT_THAT(error({"namespace", "create"}), HasSubstr("--name is required"));
  EXPECT_THAT(error({"namespace", "create", "-n", "n", "--enable-auto-inflate", "yes"}),
              HasSubstr("true or false"));
  EXPECT_THAT(error({"namespace", "authorization-rule", "create", "-n", "r"}),
              HasSubstr("--rights is required"));
  EXPECT_THAT(error({"eventhub", "consumer-group", "list"}),
              HasSubstr("--eventhub-name is required"));
  EXPECT_THAT(error({"namespace", "authorization-rule", "keys"}), HasSubstr("list, renew"));
  EXPECT_TRUE(server.requests.empty());
}

TEST(EventFacts, WebSocketGoesToTheHttpsPortWhateverHostAndPortAreNamed) {
  EXPECT_EQ(with_endpoint_port("Endpoint=sb://localhost/;SharedAccessKey=a/b:c=", 443),
            "Endpoint=sb://localhost:443/;SharedAccessKey=a/b:c=");
  EXPECT_EQ(with_endpoint_port("Endpoint=sb://a.b:15671/;X=y", 8443),
            "Endpoint=sb://a.b:8443/;X=y");
  EXPECT_EQ(with_endpoint_port("Endpoint=sb://[::1]/;X=y", 8443), "Endpoint=sb://[::1]:8443/;X=y");
  EXPECT_EQ(with_endpoint_port("HostName=x", 1), "HostName=x");
}

TEST(EventFacts, ThePartitionsAreThoseOfTheEventHubOnceItIsThere) {
  const std::string keys =
      R"({"primaryConnectionString": "Endpoint=sb://localhost:15671/;K=v", "primaryKey": "v"})";
  FakeServer server;
  server.answer({.body = keys});
  server.answer({.status = 404, .body = "{}"});
  server.answer({.body = keys});
  server.answer({.body = R"({"properties": {"partitionCount": 2}})"});
  auto session = server.session();
  const auto before = read_event_facts(session);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->partitions, 4);
  EXPECT_EQ(before->connection, "Endpoint=sb://localhost:15671/;K=v");
  EXPECT_EQ(before->ws_connection, "Endpoint=sb://localhost:8443/;K=v");
  EXPECT_EQ(before->emulator_connection, "") << "it is not switched on";
  EXPECT_EQ(read_event_facts(session)->partitions, 2);
}

TEST(Flattened, LeavesAloneWhatHasNoProperties) {
  EXPECT_EQ(json::write(flattened(json::parse(R"({"a":1})").value())), R"({"a":1})");
  EXPECT_EQ(json::write(flattened(json::parse(R"({"properties":null})").value())),
            R"({"properties":null})");
  EXPECT_EQ(json::write(flattened(json::parse(R"({"a":1,"properties":{"b":{"c":2}}})").value())),
            R"({"a":1,"b":{"c":2}})");
}

}  // namespace
}  // namespace doppel::cli
