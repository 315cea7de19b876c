#include "protocol/http/router.h"

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace doppel::http {
namespace {

Task<Response> answer(std::string name, Request request) {
  std::string body = name;
  for (const auto& [key, value] : request.params) body += " " + key + "=" + value;
  co_return Response::text(200, std::move(body));
}

Task<Response> throwing(Request) {
  throw std::runtime_error("broken library");
  co_return Response{};
}

class RouterTest : public ::testing::Test {
 public:
  void add(std::string_view method, std::string_view pattern, std::string name,
           Router::Condition condition = {}) {
    router.add(
        method, pattern, [name](Request request) { return answer(name, std::move(request)); },
        std::move(condition));
  }

  Response ask(std::string_view method, std::string_view path) {
    Request request;
    request.method = method;
    request.path = path;
    auto task = router.handle(std::move(request));
    return doppel::testing::run(executor, std::move(task));
  }
  std::string body(std::string_view method, std::string_view path) {
    const auto response = ask(method, path);
    return response.status == 200 ? response.body : std::to_string(response.status);
  }

  Router router;
  doppel::testing::ManualClock clock;
  doppel::testing::ManualExecutor executor{clock};
};

TEST_F(RouterTest, CapturesAndDecodesItsNames) {
  add("GET", "/devices/{id}/messages/{kind}", "messages");
  EXPECT_EQ(body("GET", "/devices/a%2Fb/messages/events"), "messages id=a/b kind=events");
  EXPECT_EQ(body("GET", "/devices/a+b%20c/messages/x"), "messages id=a+b c kind=x");
  EXPECT_EQ(body("GET", "/devices/50%/messages/x"), "messages id=50% kind=x");
  EXPECT_EQ(body("GET", "/devices//messages/x"), "404");
  EXPECT_EQ(body("GET", "/devices/a/messages"), "404");
}

// Node calls /devices/?api-version and /enrollmentgroups/{id}; the documents say otherwise.
TEST_F(RouterTest, IgnoresCaseAndATrailingSlash) {
  add("GET", "/enrollmentGroups/{id}", "group");
  add("GET", "/devices", "list");
  add("GET", "/", "root");
  EXPECT_EQ(body("GET", "/enrollmentgroups/G1"), "group id=G1");
  EXPECT_EQ(body("GET", "/devices/"), "list");
  EXPECT_EQ(body("GET", "/DEVICES"), "list");
  EXPECT_EQ(body("GET", "/"), "root");
  EXPECT_EQ(body("GET", "/devices//"), "404");
}

TEST_F(RouterTest, LiteralsWinOverNamesFromTheLeftInAnyOrderOfRegistration) {
  for (const bool reversed : {false, true}) {
    router = Router();
    std::vector<std::string> patterns = {"/{a}/{b}",   "/jobs/{id}",      "/jobs/v2",
                                         "/{rest...}", "/jobs/{rest...}", "/{a}/v2"};
    if (reversed) std::ranges::reverse(patterns);
    for (const auto& pattern : patterns) add("GET", pattern, pattern);
    EXPECT_EQ(body("GET", "/jobs/v2"), "/jobs/v2");
    EXPECT_EQ(body("GET", "/jobs/7"), "/jobs/{id} id=7");
    EXPECT_EQ(body("GET", "/jobs/7/8"), "/jobs/{rest...} rest=7/8");
    EXPECT_EQ(body("GET", "/jobs"), "/jobs/{rest...} rest=");
    EXPECT_EQ(body("GET", "/x/v2"), "/{a}/v2 a=x");
    EXPECT_EQ(body("GET", "/x/y"), "/{a}/{b} a=x b=y");
    EXPECT_EQ(body("GET", "/x/y/z"), "/{rest...} rest=x/y/z");
  }
}

TEST_F(RouterTest, ATrueConditionWinsOnTheSamePatternOnly) {
  bool holds = true;
  add("GET", "/digitaltwins/{id}", "hub");
  add("GET", "/digitaltwins/{id}", "twins", [&](const Request&) { return holds; });
  add("GET", "/{any}/{id}", "other", [](const Request&) { return true; });
  EXPECT_EQ(body("GET", "/digitaltwins/d"), "twins id=d");
  holds = false;
  EXPECT_EQ(body("GET", "/digitaltwins/d"), "hub id=d");
}

TEST_F(RouterTest, SaysWhichMethodsAPathHas) {
  add("PUT", "/a/{id}", "put");
  add("DELETE", "/a/{id}", "delete");
  add("PUT", "/a/b", "exact");
  const auto response = ask("POST", "/a/b");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.get_or("Allow", ""), "PUT, DELETE");
  EXPECT_EQ(body("DELETE", "/a/b"), "delete id=b") << "the method decides before the pattern";
  EXPECT_TRUE(router.knows("/a/x/"));
  EXPECT_FALSE(router.knows("/b"));
}

TEST_F(RouterTest, HeadTakesTheRouteOfGet) {
  add("GET", "/a", "get");
  EXPECT_EQ(body("HEAD", "/a"), "get");
}

TEST_F(RouterTest, TheFallbackReplacesTheAnswerForUnknownPathsOnly) {
  add("GET", "/a", "get");
  router.set_fallback([](Request request) { return answer("fallback", std::move(request)); });
  EXPECT_EQ(body("GET", "/b"), "fallback");
  EXPECT_EQ(body("PUT", "/a"), "405");
}

TEST_F(RouterTest, AHandlerThatThrowsIsAnsweredWith500) {
  router.add("GET", "/late", [](Request request) { return throwing(std::move(request)); });
  router.add("GET", "/early", [](Request) -> Task<Response> { throw std::bad_alloc(); });
  EXPECT_EQ(body("GET", "/late"), "500");
  EXPECT_EQ(body("GET", "/early"), "500");
}

}  // namespace
}  // namespace doppel::http
