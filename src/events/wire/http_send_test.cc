// The HTTP send API: what is posted is in the log, and in the right partition.
#include "events/wire/http_send.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events/wire/event_hub_fixture.h"
#include "security/sas.h"

namespace doppel::events {
namespace {

class HttpSend : public EventHubFixture {
 protected:
  HttpSend() { register_send_routes(router, context, bearer); }

  http::Response post(std::string path, std::string body,
                      std::string_view content_type = "text/plain", std::string_view broker = {},
                      std::string_view key = kKey) {
    http::Request request;
    request.method = "POST";
    request.target = path;
    request.path = std::move(path);
    request.headers.set("Host", "localhost:8443");
    request.headers.set("Content-Type", content_type);
    const auto expires = pair.clock.now() + std::chrono::hours(1);
    request.headers.set("Authorization",
                        *security::make_sas("https://localhost:8443/eh1", key,
                                            security::KeyForm::text, "Root", expires));
    if (!broker.empty()) request.headers.set("BrokerProperties", broker);
    request.body = std::move(body);
    return doppel::testing::run(pair.executor, router.handle(std::move(request)));
  }
  std::vector<Event> stored(std::uint32_t partition) {
    const auto found = doppel::testing::run(
        pair.executor, log.read({.log = {"ns1", "eh1"}, .index = partition}, {}, 100));
    std::vector<Event> events;
    for (const auto& event : *found) events.push_back(event.event);
    return events;
  }

  BearerCheck bearer = [](std::string_view) -> Result<resources::Principal> {
    return fail(Code::unauthenticated, "none");
  };
  http::Router router;
};

TEST_F(HttpSend, StoresTheBodyInThePartitionOfTheAddressOrTheKey) {
  EXPECT_EQ(post("/eh1/partitions/2/messages", "two").status, 201);
  EXPECT_EQ(post("/eh1/messages", "keyed", "text/plain", R"({"PartitionKey":"pk"})").status, 201);
  EXPECT_EQ(post("/eh1/publishers/pk/messages", "published").status, 201);
  ASSERT_EQ(stored(2).size(), 1u);
  EXPECT_EQ(stored(2)[0].body, "two");
  ASSERT_EQ(stored(3).size(), 2u);
  EXPECT_EQ(stored(3)[0].partition_key, "pk");
  EXPECT_EQ(stored(3)[1].body, "published");
}

TEST_F(HttpSend, StoresABatchWithItsProperties) {
  const auto answer = post("/eh1/partitions/0/messages",
                           R"([{"Body":"a","UserProperties":{"n":5,"t":"x"}},{"Body":"b"}])",
                           "application/vnd.microsoft.servicebus.json");
  EXPECT_EQ(answer.status, 201);
  const auto events = stored(0);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].body, "a");
  EXPECT_EQ(events[0].property("n"), "5");
  EXPECT_EQ(events[1].body, "b");
}

TEST_F(HttpSend, RefusesWrongKeysPartitionsAndBatches) {
  EXPECT_EQ(post("/eh1/messages", "x", "text/plain", {}, "wrong").status, 401);
  EXPECT_EQ(post("/none/messages", "x").status, 401);
  EXPECT_EQ(post("/eh1/partitions/9/messages", "x").status, 404);
  EXPECT_EQ(post("/eh1/messages", "{}", "application/vnd.microsoft.servicebus.json").status, 400);
  EXPECT_EQ(post("/eh1/messages", "x", "text/plain", "nonsense").status, 400);
}

}  // namespace
}  // namespace doppel::events
