// A server for tests of the command line: answers from a table, remembers what it was asked.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/session.h"

namespace doppel::cli::testing {

class FakeServer {
 public:
  struct Answer {
    int status = 200;
    std::string body = "{}";
    http::Headers headers = {};
  };

  // The next request after those that have answers already gets this one. Tokens are given without.
  void answer(Answer answer) { answers_.push_back(std::move(answer)); }
  void be_unreachable() { is_reachable_ = false; }

  Result<http::Response> handle(HttpRequest request) {
    if (!is_reachable_) return fail(Code::unavailable, "connection refused");
    if (request.url.ends_with("/oauth2/v2.0/token")) {
      token_requests.push_back(std::move(request));
      if (token_status != 200)
        return http::Response::json(token_status, R"({"error_description": "who are you"})");
      return http::Response::json(
          200, R"({"access_token": "token-)" + std::to_string(token_requests.size()) + "\"}");
    }
    requests.push_back(std::move(request));
    if (next_ == answers_.size()) return fail(Code::internal, "the test has no answer for this");
    const Answer& answer = answers_[next_++];
    http::Response response = http::Response::json(answer.status, answer.body);
    for (const auto& [name, value] : answer.headers) response.headers.set(name, value);
    return response;
  }

  // `this` outlives the session.
  Session session() {
    Profile profile{.host = "localhost",
                    .https_port = 8443,
                    .ca_file = {},
                    .tenant = "tenant",
                    .client_id = "client",
                    .client_secret = "se&cret",
                    .subscription = "sub",
                    .resource_group = "group",
                    .hub = "hub1",
                    .dps = "dps1",
                    .twins_instance = "localhost",
                    .event_space = "events1",
                    .function_app = {},
                    .enrollment_group = {}};
    return Session(std::move(profile), [this](HttpRequest r) { return handle(std::move(r)); });
  }

  std::vector<HttpRequest> requests, token_requests;
  int token_status = 200;

 private:
  std::vector<Answer> answers_;
  std::size_t next_ = 0;
  bool is_reachable_ = true;
};

}  // namespace doppel::cli::testing
