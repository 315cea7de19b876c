#include "protocol/http/parser.h"

#include <gtest/gtest.h>

#include "protocol/http/serializer.h"

namespace doppel::http {
namespace {

// Feeds `input` as a connection would and returns all messages; the refusal, if any, ends the list.
struct Outcome {
  std::vector<Request> requests;
  int refused = 0;  // status, 0: none
  std::string reason;
  std::string left;  // bytes still in the buffer
  int headers_seen = 0;
};

Outcome read(std::string_view input, std::size_t piece = std::string_view::npos,
             const ParserLimits& limits = {}) {
  RequestParser parser(limits);
  Outcome outcome;
  std::string buffer;
  while (!input.empty()) {
    const auto part = input.substr(0, piece);
    input.remove_prefix(part.size());
    buffer += part;
    for (bool more = true; more;) {
      const auto progress = parser.feed(buffer);
      buffer.erase(0, progress.consumed);
      switch (progress.state) {
        case ParseState::needs_more:
          more = false;
          break;
        case ParseState::headers_complete:
          ++outcome.headers_seen;
          break;
        case ParseState::complete:
          outcome.requests.push_back(parser.take());
          more = !buffer.empty();
          break;
        case ParseState::failed:
          outcome.refused = parser.refusal().status;
          outcome.reason = parser.refusal().reason;
          return outcome;
      }
    }
  }
  outcome.left = buffer;
  return outcome;
}

std::string get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "\r\n";
}

TEST(RequestParserTest, ReadsEverythingByteByByteAsInOnePiece) {
  const std::string input =
      "PUT /0ne1/registrations/dev/register?api-version=2019-03-31 HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Length: 5\r\n\r\nhello" +
      get("/a") +
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n" +
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get("/d");
  for (std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7},
                            std::size_t{64}, input.size()}) {
    const auto outcome = read(input, piece);
    ASSERT_EQ(outcome.refused, 0) << outcome.reason << " in pieces of " << piece;
    ASSERT_EQ(outcome.requests.size(), 5U) << piece;
    EXPECT_EQ(outcome.headers_seen, 5);
    EXPECT_EQ(outcome.requests[0].body, "hello");
    EXPECT_EQ(outcome.requests[0].path, "/0ne1/registrations/dev/register");
    EXPECT_EQ(outcome.requests[0].query_value("API-version"), "2019-03-31");
    EXPECT_EQ(outcome.requests[2].body, "hello world");
    EXPECT_FALSE(outcome.requests[2].headers.find("Trailer"));
    EXPECT_EQ(outcome.requests[4].path, "/d");
    EXPECT_EQ(outcome.left, "");
  }
}

TEST(RequestParserTest, AFinalChunkArrivingInAnyPiecesNeverTripsTheGrammar) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string body : {"0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", "0\r\nA: b\r\n\r\n"}) {
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
      RequestParser parser;
      const std::string first = head + body.substr(0, cut);
      std::size_t at = 0;
      ParseState state{};
      for (const auto end : {first.size(), (head + body).size()}) {
        do {
          const auto progress = parser.feed((head + body).substr(at, end - at));
          at += progress.consumed;
          state = progress.state;
        } while (state == ParseState::headers_complete);
      }
      EXPECT_EQ(state, ParseState::complete) << cut;
    }
  }
}

// Each of these is read differently by some other HTTP implementation: the stuff of request
// smuggling.
TEST(RequestParserTest, RefusesMessagesWhoseEndIsAmbiguous) {
  const std::pair<std::string, int> bad[] = {
      {"Content-Length: 3\r\nContent-Length: 3\r\n", 400},
      {"Content-Length: 3\r\nContent-Length: 4\r\n", 400},
      {"Content-Length: 3, 3\r\n", 400},
      {"Content-Length: +3\r\n", 400},
      {"Content-Length: -3\r\n", 400},
      {"Content-Length: 3 3\r\n", 400},
      {"Content-Length:\r\n", 400},
      {"Content-Length: 0x3\r\n", 400},
      {"Content-Length: 99999999999999999999\r\n", 400},
      {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: gzip, chunked\r\n", 501},
      {"Transfer-Encoding: chunked, identity\r\n", 501},
      {"Transfer-Encoding: identity\r\n", 501},
      {"Transfer-Encoding: xchunked\r\n", 501},
      {"Transfer-Encoding : chunked\r\n", 400},
      {" Transfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding:\r\n chunked\r\n", 400},
      {"X: a\r\n b\r\n", 400},
      {"X: a\r\n\tb\r\n", 400},
      {"X: a\r\n \r\n", 400},
      {"X:\r\n \r\n", 400},
      {"X: a\nY: b\r\n", 400},
      {"X: a\rY: b\r\n", 400},
      {std::string("X: a\0b\r\n", 9), 400},
      {std::string("X\0: a\r\n", 8), 400},
      {"X: a\x7f\r\n", 400},
      {": a\r\n", 400},
      {"no colon\r\n", 400},
      {"Host: other\r\n", 400},
  };
  for (const auto& [fields, status] : bad) {
    const std::string input =
        "POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    for (const std::size_t piece : {std::size_t{1}, input.size()}) {
      const auto outcome = read(input, piece);
      EXPECT_EQ(outcome.refused, status) << fields << outcome.reason;
      EXPECT_TRUE(outcome.requests.empty()) << fields;
    }
  }
}

TEST(RequestParserTest, RefusesBrokenChunks) {
  for (const std::string body :
       {"x\r\nab", "5\r\nhelloX0\r\n\r\n", "-1\r\n\r\n", "\r\n\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n",
        "5 \r\nhello\r\n0\r\n\r\n", "1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n",
        "1\r\na\r\n0\r\nbad trailer\r\n\r\n"}) {
    const auto outcome =
        read("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    EXPECT_EQ(outcome.refused, 400) << body;
    EXPECT_TRUE(outcome.requests.empty());
  }
}

TEST(RequestParserTest, RefusesBadStartLines) {
  for (const std::string line :
       {"GET  / HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.1 ", "GET /", "G(T / HTTP/1.1",
        "GET /a b HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1", "GET /# HTTP/1.1",
        "CONNECT h:443 HTTP/1.1", "GET http:///a HTTP/1.1", "GET http://u@h/ HTTP/1.1",
        "\x16\x03\x01\x02", "GET / http/1.1"}) {
    EXPECT_EQ(read(line + "\r\nHost: h\r\n\r\n").refused, 400) << line;
  }
  EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n").refused, 400) << "Host is missing";
  EXPECT_EQ(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").refused, 400);
  EXPECT_EQ(read("GET / HTTP/1.0\r\n\r\n").requests.size(), 1U);
}

TEST(RequestParserTest, KeepsItsLimits) {
  const ParserLimits limits{.header_bytes_max = 1000,
                            .header_count_max = 10,
                            .target_bytes_max = 100,
                            .body_bytes_max = 50};
  const auto status = [&](const std::string& input) {
    const int whole = read(input, std::string::npos, limits).refused;
    EXPECT_EQ(read(input, 1, limits).refused, whole);
    return whole;
  };
  EXPECT_EQ(status(get("/" + std::string(99, 'a'))), 0);
  EXPECT_EQ(status(get("/" + std::string(100, 'a'))), 414);
  EXPECT_EQ(status(get("/" + std::string(5000, 'a'))), 431);
  EXPECT_EQ(status(get("/", "X: " + std::string(800, 'a') + "\r\n")), 0);
  EXPECT_EQ(status(get("/", "X: " + std::string(2000, 'a') + "\r\n")), 431);
  std::string many;
  for (int i = 0; i < 9; ++i) many += "X: y\r\n";
  EXPECT_EQ(status(get("/", many)), 0);
  EXPECT_EQ(status(get("/", many + "X: y\r\n")), 431);
  EXPECT_EQ(
      status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n" + std::string(50, 'x')), 0);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 51\r\n\r\n"), 413);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(status(chunked + "20\r\n" + std::string(32, 'x') + "\r\n20\r\n"), 413);
  EXPECT_EQ(status(chunked + "1;" + std::string(2000, 'x')), 431);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 300; ++i) trailers += "X: y\r\n";
  EXPECT_EQ(status(chunked + trailers), 431);
}

TEST(RequestParserTest, ARouteMayAllowALargerBodyOnceTheHeadersAreKnown) {
  RequestParser parser({.body_bytes_max = 4});
  const std::string head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n";
  auto progress = parser.feed(head);
  ASSERT_EQ(progress.state, ParseState::headers_complete);
  parser.set_body_bytes_max(6);
  ASSERT_EQ(parser.feed("").state, ParseState::needs_more);
  ASSERT_EQ(parser.feed("abcdef").state, ParseState::complete);
  EXPECT_EQ(parser.take().body, "abcdef");
  // and the next message has the old limit
  ASSERT_EQ(parser.feed(head).state, ParseState::headers_complete);
  EXPECT_EQ(parser.feed("").state, ParseState::failed);
}

TEST(RequestParserTest, TellsContinueUpgradeAndKeepAliveFromTheHeaders) {
  RequestParser parser;
  const auto feed = [&](const std::string& input) {
    parser = RequestParser();
    EXPECT_EQ(parser.feed(input).state, ParseState::headers_complete) << input;
  };
  feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_TRUE(parser.keeps_alive());
  feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(parser.expects_continue()) << "there is no body to wait for";
  feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(parser.keeps_alive());
  feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(parser.keeps_alive());
  feed(get("/", "Connection: close\r\n"));
  EXPECT_FALSE(parser.keeps_alive());
  feed(get("/$iothub/websocket", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_TRUE(parser.wants_upgrade());
  feed(get("/", "Upgrade: websocket\r\n"));
  EXPECT_FALSE(parser.wants_upgrade());
  EXPECT_EQ(read(get("/", "Expect: 200-ok\r\n")).refused, 417);
}

TEST(RequestParserTest, AnAbsoluteTargetReplacesTheHost) {
  const auto outcome = read(get("https://hub1.example:8443/devices/d1?api-version=2021-04-12"));
  ASSERT_EQ(outcome.requests.size(), 1U);
  EXPECT_EQ(outcome.requests[0].host(), "hub1.example");
  EXPECT_EQ(outcome.requests[0].path, "/devices/d1");
  EXPECT_EQ(read(get("https://hub1?x=1")).requests[0].path, "/");
}

// Node's DPS client polls with a GET that carries "{}"; .NET sends DELETE with a body.
TEST(RequestParserTest, DrainsBodiesOfGetAndDelete) {
  for (const std::string method : {"GET", "DELETE"}) {
    const auto outcome =
        read(method + " /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}" + get("/next"));
    ASSERT_EQ(outcome.requests.size(), 2U);
    EXPECT_EQ(outcome.requests[0].body, "{}");
    EXPECT_EQ(outcome.requests[1].path, "/next");
  }
}

TEST(RequestParserTest, SkipsBlankLinesBetweenRequests) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::string::npos})
    EXPECT_EQ(read("\r\n\r\n" + get("/a") + "\r\n" + get("/b"), piece).requests.size(), 2U);
}

TEST(ResponseParserTest, ReadsBodiesWithLengthChunkedAndUntilTheEnd) {
  ResponseParser parser;
  const std::string sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  auto progress = parser.feed(sized);
  ASSERT_EQ(progress.state, ParseState::headers_complete);
  progress = parser.feed(sized.substr(progress.consumed));
  ASSERT_EQ(progress.state, ParseState::complete);
  EXPECT_TRUE(parser.keeps_alive());
  EXPECT_EQ(parser.take().body, "hi");

  const std::string until_end = "HTTP/1.1 200 OK\r\n\r\nall of it";
  progress = parser.feed(until_end);
  ASSERT_EQ(progress.state, ParseState::headers_complete);
  EXPECT_EQ(parser.feed(until_end.substr(progress.consumed)).state, ParseState::needs_more);
  EXPECT_EQ(parser.finish().state, ParseState::complete);
  EXPECT_FALSE(parser.keeps_alive());
  EXPECT_EQ(parser.take().body, "all of it");
}

TEST(ResponseParserTest, SkipsInterimAnswersAndKeepsAHeadAnswerWithoutBody) {
  ResponseParser parser;
  parser.expect_no_body();
  const std::string input =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
  auto progress = parser.feed(input);
  ASSERT_EQ(progress.state, ParseState::headers_complete);
  EXPECT_EQ(progress.consumed, input.size());
  EXPECT_EQ(parser.feed("").state, ParseState::complete);
  EXPECT_EQ(parser.take().status, 200);
}

TEST(ResponseParserTest, FailsWhenThePeerStopsHalfWay) {
  for (const std::string input :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 200 OK\r\nX: ", "", "HTT",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    ResponseParser parser;
    std::size_t at = 0;
    for (Progress progress{.state = ParseState::headers_complete};
         progress.state == ParseState::headers_complete;) {
      progress = parser.feed(std::string_view(input).substr(at));
      at += progress.consumed;
    }
    EXPECT_EQ(parser.finish().state, ParseState::failed) << input;
  }
}

TEST(SerializerTest, WhatItWritesReadsBackTheSame) {
  Request request{.method = "PATCH", .target = "/digitaltwins/a%2Fb?api-version=x"};
  request.headers.add("Host", "localhost:8443");
  request.headers.add("If-Match", "*");
  request.body = "[]";
  std::string bytes;
  append_request(bytes, request);
  const auto outcome = read(bytes);
  ASSERT_EQ(outcome.requests.size(), 1U) << bytes;
  EXPECT_EQ(outcome.requests[0].path, "/digitaltwins/a%2Fb");
  EXPECT_EQ(outcome.requests[0].host(), "localhost");
  EXPECT_EQ(outcome.requests[0].body, "[]");
}

TEST(SerializerTest, NobodyCanAddLinesToAnAnswer) {
  auto response = Response::text(200, "x");
  response.headers.add("iothub-app-a", "1\r\nSet-Cookie: evil\r\n\r\n");
  response.headers.add("bad name\r\n", "x");
  response.headers.add("content-length", "99");
  response.headers.add("Transfer-Encoding", "chunked");
  std::string bytes;
  append_response(bytes, response, AfterMessage::keep_open);
  EXPECT_EQ(bytes,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "iothub-app-a: 1  Set-Cookie: evil    \r\nContent-Length: 1\r\n\r\nx");
}

TEST(SerializerTest, AnswersWithoutABodyTellNoLength) {
  std::string bytes;
  append_response(bytes, Response::empty(204), AfterMessage::close);
  EXPECT_EQ(bytes, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  bytes.clear();
  append_response(bytes, Response::text(200, "abc"), AfterMessage::keep_open, true);
  EXPECT_TRUE(bytes.ends_with("Content-Length: 3\r\n\r\n")) << bytes;
}

}  // namespace
}  // namespace doppel::http
