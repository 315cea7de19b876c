#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/http/router.h"
#include "provisioning/testing.h"
#include "provisioning/wire/http_device.h"
#include "provisioning/wire/http_service.h"

namespace doppel::provisioning {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpOperatorTest : public ::testing::Test, public testing::World {
 protected:
  HttpOperatorTest() {
    register_device_routes(router, provisioning);
    register_service_routes(
        router, provisioning,
        BearerCheck([](std::string_view header) -> Result<resources::Principal> {
          if (header != "Bearer reader") return fail(Code::unauthenticated, "no");
          resources::Principal reader;
          reader.client_id = "anna";
          reader.roles = {{.role = "Reader", .scope = "/"}};
          return reader;
        }));
    EXPECT_TRUE(put_group());
  }

  struct Sent {
    std::string method;
    std::string path;
    std::string body = {};
    std::string authorization = {};
    std::vector<std::pair<std::string, std::string>> query = {};
    std::string peer = {};
  };
  http::Response send(Sent sent) {
    http::PeerInfo peer{.address = sent.peer};
    http::Request request;
    request.method = std::move(sent.method);
    request.path = sent.path;
    request.target = std::move(sent.path);
    request.query = {{"api-version", "2021-10-01"}};
    for (auto& item : sent.query) request.query.push_back(std::move(item));
    request.headers.add("Host", "localhost");
    request.headers.add("Authorization", sent.authorization);
    request.body = std::move(sent.body);
    request.tracking_id = "track";
    if (!peer.address.empty()) request.peer = &peer;
    return run(router.handle(std::move(request)));
  }
  http::Response ask(std::string method, std::string path, std::string body = {},
                     std::vector<std::pair<std::string, std::string>> query = {},
                     std::string_view policy = "provisioningserviceowner") {
    auto token = security::make_sas("localhost", testing::kPolicyKey, security::KeyForm::base64,
                                    policy, clock.now() + std::chrono::hours(1));
    return send({.method = std::move(method),
                 .path = std::move(path),
                 .body = std::move(body),
                 .authorization = *std::move(token),
                 .query = std::move(query)});
  }
  http::Response register_over_http(std::string id, std::string token, std::string peer,
                                    std::string body = {}) {
    return send({.method = "PUT",
                 .path = fmt::format("/{}/registrations/{}/register", testing::kScope, id),
                 .body = std::move(body),
                 .authorization = std::move(token),
                 .peer = std::move(peer)});
  }
  static json::Value parsed(const http::Response& response) {
    return json::parse(response.body).value();
  }
  static std::size_t attempts(const http::Response& response) {
    return json::find(parsed(response), "attempts")->get_array().size();
  }

  http::Router router;
};

TEST_F(HttpOperatorTest, TheTraceTellsWhatTheDeviceIsNotTold) {
  const auto wrong = token("dev-1", base64_encode("some other key, 16"));
  const auto refused = register_over_http("dev-1", wrong, "192.0.2.7:1");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.body, Not(HasSubstr("group")));
  EXPECT_EQ(register_over_http("dev-1", group_token("dev-1"), "192.0.2.7:1").status, 200);
  EXPECT_EQ(register_over_http("dev-2", group_token("dev-2"), "192.0.2.7:1").status, 200);
  const auto trace = ask("GET", "/registrations/DEV-1/trace");
  EXPECT_EQ(trace.status, 200);
  EXPECT_EQ(attempts(trace), 2u);
  EXPECT_THAT(trace.body, HasSubstr(R"("outcome":"refused","errorCode":401002)"));
  EXPECT_THAT(trace.body, HasSubstr("no enrollment group's key made the token"));
  EXPECT_THAT(trace.body, HasSubstr(R"("peer":"192.0.2.7:1")"));
  EXPECT_THAT(trace.body, HasSubstr(R"("trackingId":"track")"));
  EXPECT_THAT(trace.body, Not(HasSubstr("SharedAccessSignature")));
  EXPECT_EQ(attempts(ask("GET", "/traces")), 3u);
  EXPECT_EQ(attempts(ask("GET", "/traces", "", {{"top", "1"}})), 1u);
  EXPECT_EQ(attempts(ask("GET", "/traces", "", {{"after", "2"}})), 1u);
  EXPECT_EQ(attempts(ask("GET", "/registrations/unknown/trace")), 0u);
}

TEST_F(HttpOperatorTest, ABadBodyIsTracedToo) {
  EXPECT_EQ(register_over_http("dev-1", group_token("dev-1"), "192.0.2.7:1", "{").status, 400);
  const auto trace = ask("GET", "/registrations/dev-1/trace");
  EXPECT_THAT(trace.body, HasSubstr(R"("step":"body","verdict":"refused")"));
  EXPECT_THAT(trace.body, HasSubstr(R"("isProven":true)"));
}

TEST_F(HttpOperatorTest, EachNeedsItsRight) {
  for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
           {"GET", "/registrations/dev-1/trace"},
           {"GET", "/traces"},
           {"GET", "/approvals"},
           {"POST", "/registrations/dev-1/approve"},
           {"POST", "/registrations/dev-1/reject"},
           {"POST", "/registrations/dev-1/deprovision"},
           {"POST", "/registrations/dev-1/explain"},
           {"POST", "/enrollmentGroups/thermostats/testwebhook"},
           {"POST", "/enrollments/dev-1/testwebhook"}}) {
    EXPECT_EQ(send({.method = method, .path = path}).status, 401) << path;
    // The policy "reader" may read enrollments only.
    EXPECT_EQ(ask(method, path, "", {}, "reader").status, 401) << path;
    const bool is_read = method == "GET";
    const auto by_role = send({.method = method, .path = path, .authorization = "Bearer reader"});
    EXPECT_EQ(by_role.status, is_read ? 200 : 401) << path;
  }
}

TEST_F(HttpOperatorTest, BadRequestsAreRefused) {
  EXPECT_EQ(ask("GET", "/traces", "", {{"after", "x"}}).status, 400);
  EXPECT_EQ(ask("GET", "/traces", "", {{"top", "-1"}}).status, 400);
  EXPECT_EQ(ask("GET", "/approvals", "", {{"state", "maybe"}}).status, 400);
  EXPECT_EQ(ask("POST", "/registrations/dev-1/explain", "[1]").status, 400);
  EXPECT_EQ(ask("POST", "/registrations/dev-1/explain", "{").status, 400);
  EXPECT_EQ(ask("POST", "/registrations/dev-1/approve").status, 404);
  EXPECT_EQ(ask("POST", "/registrations/dev-1/deprovision").status, 404);
  EXPECT_EQ(ask("POST", "/enrollmentGroups/thermostats/testwebhook").status, 400);
  EXPECT_EQ(ask("POST", "/enrollments/none/testwebhook").status, 404);
}

TEST_F(HttpOperatorTest, ApprovalGoesOverHttpToo) {
  ASSERT_TRUE(put_group(R"(,"approval":"required")"));
  const auto waiting = register_over_http("dev-1", group_token("dev-1"), "192.0.2.7:1");
  EXPECT_EQ(waiting.status, 202);
  EXPECT_EQ(waiting.headers.get_or("Retry-After", ""), "10");
  const auto operation = json::get_string_or(parsed(waiting), "operationId", "");
  EXPECT_THAT(ask("GET", "/registrations/dev-1").body, HasSubstr(R"("state":"pending")"));
  EXPECT_EQ(parsed(ask("GET", "/approvals", "", {{"state", "Pending"}})).get_array().size(), 1u);
  const auto approved = ask("POST", "/registrations/dev-1/approve");
  EXPECT_EQ(approved.status, 200);
  EXPECT_THAT(approved.body, HasSubstr(R"("decidedBy":"provisioningserviceowner")"));
  const auto polled = send(
      {.method = "GET",
       .path = fmt::format("/{}/registrations/dev-1/operations/{}", testing::kScope, operation),
       .authorization = group_token("dev-1")});
  EXPECT_EQ(polled.status, 200);
  EXPECT_THAT(polled.body, HasSubstr(R"("status":"assigned")"));
  EXPECT_EQ(ask("POST", "/registrations/dev-1/reject").status, 404) << "it is in";
  EXPECT_EQ(ask("POST", "/registrations/dev-1/deprovision").status, 200);
}

// Rule 17 of the protocol: 429 only for what may pass. A bad proof that was looked at is 401
// always.
TEST_F(HttpOperatorTest, WhoGuessesWaitsAndProvenDevicesDoNot) {
  const std::string peer = "192.0.2.7:1";
  ASSERT_EQ(register_over_http("good", group_token("good"), peer).status, 200);
  const auto wrong = token("dev-1", base64_encode("some other key, 16"));
  int refused = 0;
  http::Response last;
  for (int i = 0; i < 1000; ++i) {
    last = register_over_http("dev-1", wrong, peer);
    if (last.status != 401) break;
    ++refused;
  }
  EXPECT_EQ(refused, 100);
  EXPECT_EQ(last.status, 429);
  EXPECT_NE(last.headers.get_or("Retry-After", ""), "");
  EXPECT_EQ(register_over_http("good", group_token("good"), peer).status, 200);
  EXPECT_EQ(register_over_http("new", group_token("new"), peer).status, 429);
  EXPECT_EQ(register_over_http("new", group_token("new"), "192.0.2.8:1").status, 200);
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(register_over_http("new2", group_token("new2"), peer).status, 200);
  EXPECT_EQ(register_over_http("dev-1", wrong, peer).status, 401);
}

}  // namespace
}  // namespace doppel::provisioning
