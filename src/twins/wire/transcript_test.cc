// Plays the HTTP transcripts in tests/cases/twins against the routes: request in, answer out. A
// transcript is a list of exchanges:
//
//   # comment
//   > PUT /digitaltwins/room?api-version=2022-05-31
//   > If-None-Match: *
//   > {"$metadata": {"$model": "dtmi:test:Room;1"}}
//   < 200
//   < ETag: ${etag}
//   < {"$dtId": "room", "$etag": "${etag}", "...": "${*}"}
//
// Header lines stop at the first line that begins with { [ or ". Bodies are compared as JSON,
// members in any order;
// "${name}" is any text the first time and the same text from then on, "${*}" is any value. A
// header "!Name" must be absent. A body must be there exactly if the transcript has one. Times are
// those of the test's clock.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <errors/twins.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "protocol/http/parser.h"
#include "protocol/http/router.h"
#include "twins/testing.h"
#include "twins/wire/http_twins.h"

namespace doppel::twins::wire {
namespace {

using testing::World;

struct Exchange {
  int line = 0;
  std::string request_line{};
  std::vector<std::string> request_headers{};
  std::string request_body{};
  int status = 0;
  std::vector<std::string> answer_headers{};
  std::string answer_body{};
};

bool begins_body(std::string_view line) {
  return !line.empty() && (line.front() == '{' || line.front() == '[' || line.front() == '"');
}

std::vector<Exchange> read_transcript(const std::filesystem::path& path) {
  std::vector<Exchange> exchanges;
  std::ifstream file(path);
  std::string line;
  bool in_answer = true;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.size() < 2 || line.front() == '#') continue;
    const bool is_answer = line.front() == '<';
    const auto text = line.substr(2);
    if (!is_answer && in_answer) {
      exchanges.push_back({.line = number, .request_line = text});
      in_answer = false;
      continue;
    }
    auto& exchange = exchanges.back();
    if (is_answer && !in_answer) {
      exchange.status = std::stoi(text);
      in_answer = true;
      continue;
    }
    auto& body = is_answer ? exchange.answer_body : exchange.request_body;
    auto& headers = is_answer ? exchange.answer_headers : exchange.request_headers;
    if (!body.empty() || begins_body(text))
      body += text + "\n";
    else
      headers.push_back(text);
  }
  return exchanges;
}

class Captures {
 public:
  std::string fill(std::string text) const {
    for (const auto& [name, value] : values_) {
      const auto variable = "${" + name + "}";
      for (auto at = text.find(variable); at != std::string::npos;
           at = text.find(variable, at + value.size()))
        text.replace(at, variable.size(), value);
    }
    return text;
  }

  // Whether `actual` is what `expected` says; a variable's first use sets it.
  bool match_text(const std::string& expected, const std::string& actual) {
    if (!expected.starts_with("${") || !expected.ends_with("}")) return expected == actual;
    const auto name = expected.substr(2, expected.size() - 3);
    return name == "*" || values_.emplace(name, actual).first->second == actual;
  }

  bool match(const json::Value& expected, const json::Value& actual) {
    if (expected.is_string() && expected.get_string() == "${*}") return true;
    if (expected.is_string())
      return actual.is_string() &&
             match_text(expected.get_string().c_str(), actual.get_string().c_str());
    if (expected.is_array()) {
      if (!actual.is_array() || actual.get_array().size() != expected.get_array().size())
        return false;
      for (std::size_t i = 0; i < expected.get_array().size(); ++i)
        if (!match(expected.get_array()[i], actual.get_array()[i])) return false;
      return true;
    }
    if (!expected.is_object()) return json::equal(expected, actual);
    if (!actual.is_object() || actual.get_object().size() != expected.get_object().size())
      return false;
    for (const auto& [name, value] : expected.get_object()) {
      const auto* member = actual.get_object().if_contains(name);
      if (member == nullptr || !match(value, *member)) return false;
    }
    return true;
  }

 private:
  std::map<std::string, std::string> values_;
};

// Tokens of the transcripts: "owner" may do all, "reader" may read, anything else is nobody.
Result<TwinsInstanceName> admit(const http::Request& request, Need need) {
  const auto token = request.headers.get_or("Authorization", "Bearer owner");
  if (request.host() == "elsewhere") return fail(errors::twins::kSubDomainNotFound);
  if (token != "Bearer owner" && token != "Bearer reader")
    return fail(errors::twins::kUnauthorized);
  if (need == Need::write && token != "Bearer owner") return fail(errors::twins::kForbidden);
  return TwinsInstanceName("building");
}

class TranscriptTest : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  http::Response send(const Exchange& exchange) {
    auto text =
        fmt::format("{} HTTP/1.1\r\nHost: localhost\r\n", captures.fill(exchange.request_line));
    for (const auto& header : exchange.request_headers) {
      if (header.starts_with("Host:"))
        text.replace(text.find("Host:"), 15, header);
      else
        text += captures.fill(header) + "\r\n";
    }
    const auto body = captures.fill(exchange.request_body);
    if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
    text += "\r\n" + body;
    http::RequestParser parser;
    std::string_view input = text;
    for (;;) {
      const auto progress = parser.feed(input);
      input.remove_prefix(progress.consumed);
      if (progress.state == http::ParseState::complete) break;
      if (progress.state == http::ParseState::failed ||
          progress.state == http::ParseState::needs_more) {
        ADD_FAILURE() << "line " << exchange.line << ": the request is not HTTP";
        return {};
      }
    }
    return world.run(router.handle(parser.take()));
  }

  void check(const Exchange& exchange, const http::Response& answer) {
    const auto where = fmt::format("line {}: {}", exchange.line, exchange.request_line);
    EXPECT_EQ(answer.status, exchange.status) << where << "\n" << answer.body;
    for (const auto& header : exchange.answer_headers) {
      if (header.starts_with('!')) {
        EXPECT_FALSE(answer.headers.find(header.substr(1)).has_value()) << where << ": " << header;
        continue;
      }
      const auto colon = header.find(": ");
      const std::string actual(answer.headers.get_or(header.substr(0, colon), "(absent)"));
      EXPECT_TRUE(captures.match_text(header.substr(colon + 2), actual))
          << where << ": " << header << "\n"
          << actual;
    }
    if (exchange.answer_body.empty()) {
      EXPECT_EQ(answer.body, "") << where;
      return;
    }
    const auto actual = json::parse(answer.body);
    ASSERT_TRUE(actual.has_value()) << where << "\n" << answer.body;
    EXPECT_TRUE(captures.match(testing::from_text(exchange.answer_body), *actual))
        << where << "\nwanted " << exchange.answer_body << "got    " << answer.body;
  }

  World world;
  http::Router router;
  Captures captures;
};

TEST_P(TranscriptTest, AnswersAsTheTranscriptSays) {
  register_routes(router, world.service, admit);
  ASSERT_TRUE(world.upload().has_value());
  const auto exchanges = read_transcript(GetParam());
  ASSERT_FALSE(exchanges.empty());
  for (const auto& exchange : exchanges) {
    world.clock.advance(std::chrono::seconds(1));
    check(exchange, send(exchange));
  }
}

std::vector<std::filesystem::path> transcripts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/cases/twins"))
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

INSTANTIATE_TEST_SUITE_P(Cases, TranscriptTest, ::testing::ValuesIn(transcripts()),
                         [](const auto& info) { return info.param.stem().string(); });

// Paths that IoT Hub has too.
TEST(TwinsRequestTest, IsToldFromAHubRequestByVersionThenByProof) {
  const auto is_twins = [](std::string version, std::string proof) {
    http::Request request;
    request.query = {{"api-version", version}};
    request.headers.set("Authorization", proof);
    return is_twins_request(request);
  };
  EXPECT_TRUE(is_twins("2020-10-31", "Bearer x"));
  EXPECT_TRUE(is_twins("2023-10-31", ""));
  EXPECT_FALSE(is_twins("2020-09-30", "SharedAccessSignature sr=x"));
  EXPECT_FALSE(is_twins("2021-04-12", ""));
  EXPECT_TRUE(is_twins("2031-01-01", "Bearer x"));
  EXPECT_FALSE(is_twins("2031-01-01", "SharedAccessSignature sr=x"));
}

}  // namespace
}  // namespace doppel::twins::wire
