// Any bytes, both directions: the parsers neither crash nor assert, say the same however the bytes
// arrive, and what was accepted survives being written and read again.
#include <algorithm>
#include <type_traits>

#include "base/check.h"
#include "base/encoding.h"
#include "protocol/http/parser.h"
#include "protocol/http/serializer.h"

namespace doppel::http {
namespace {

constexpr std::size_t kLargeBody = 100;  // more than the small limits allow

struct Outcome {
  std::string text;  // every message and the refusal, for comparing
  std::vector<Request> requests;
};

void describe(const Request& request, std::string& out) {
  out += request.method + ' ' + request.target + ' ' + request.path;
  for (const auto& [key, value] : request.query) out += '?' + key + '=' + value;
}
void describe(const Response& response, std::string& out) {
  out += std::to_string(response.status);
}

// Has a say in what follows, the same however the bytes arrive.
void at_headers(RequestParser& parser, std::string& out) {
  out += parser.expects_continue() ? 'c' : '-';
  out += parser.wants_upgrade() ? 'u' : '-';
  out += parser.keeps_alive() ? 'k' : '-';
  if (parser.head().method == "PUT") parser.set_body_bytes_max(kLargeBody);
}
void at_headers(ResponseParser& parser, std::string& out) {
  out += parser.keeps_alive() ? 'k' : '-';
}

void at_end(RequestParser& parser, std::string_view left, Outcome&) {
  check(!left.empty() || parser.head().method.empty() || !parser.is_idle(),
        "idle means nothing read");
}
void at_end(ResponseParser& parser, std::string_view left, Outcome& outcome) {
  if (parser.is_idle()) return;
  const auto progress = parser.finish();
  if (!left.empty()) return;  // the end of a message was missing, and how much of it may differ
  if (progress.state == ParseState::complete)
    outcome.text += "until the end:" + parser.take().body;
  else
    check(parser.refusal().status >= 400, "half a message is refused");
}

void keep(Request request, Outcome& outcome) { outcome.requests.push_back(std::move(request)); }
void keep(Response, Outcome&) {}

template <class Parser>
Outcome read(std::string_view input, std::size_t piece, const ParserLimits& limits,
             bool first_has_no_body = false) {
  Parser parser(limits);
  if constexpr (std::is_same_v<Parser, ResponseParser>)
    if (first_has_no_body) parser.expect_no_body();
  Outcome outcome;
  std::string buffer;
  while (!input.empty()) {
    const auto part = input.substr(0, piece);
    input.remove_prefix(part.size());
    buffer += part;
    for (;;) {
      const auto progress = parser.feed(buffer);
      check(progress.consumed <= buffer.size(), "no more is consumed than there is");
      buffer.erase(0, progress.consumed);
      if (progress.state == ParseState::needs_more) break;
      if (progress.state == ParseState::failed) {
        check(parser.refusal().status >= 400 && !parser.refusal().reason.empty(), "a reason");
        check(parser.feed(buffer).state == ParseState::failed, "a failure is for good");
        outcome.text += "refused";
        return outcome;
      }
      if (progress.state == ParseState::headers_complete) {
        describe(parser.head(), outcome.text);
        at_headers(parser, outcome.text);
        continue;
      }
      auto message = parser.take();
      for (const auto& [name, value] : message.headers) outcome.text += name + ':' + value + '\n';
      outcome.text += std::to_string(message.body.size()) + message.body;
      check(message.body.size() <= std::max(limits.body_bytes_max, kLargeBody), "the limit");
      keep(std::move(message), outcome);
      if (buffer.empty()) break;
    }
  }
  at_end(parser, buffer, outcome);
  return outcome;
}

bool is_kept(std::string_view name) {
  return !equal_ignoring_case(name, "Connection") && !equal_ignoring_case(name, "Content-Length") &&
         !equal_ignoring_case(name, "Transfer-Encoding");
}

void survives_writing(const Request& request) {
  if (!request.headers.find("Host")) return;  // HTTP/1.0; we write 1.1, which needs one
  std::string bytes;
  append_request(bytes, request);
  const auto again = read<RequestParser>(
      bytes, std::string_view::npos,
      {.header_bytes_max = 1 << 20, .header_count_max = 10'000, .target_bytes_max = 1 << 20});
  check(again.requests.size() == 1, "what was accepted is accepted again");
  const auto& copy = again.requests[0];
  check(copy.method == request.method && copy.path == request.path && copy.body == request.body &&
            copy.query == request.query,
        "and means the same");
  Headers expected;
  for (const auto& [name, value] : request.headers)
    if (is_kept(name)) expected.add(name, value);
  Headers found;
  for (const auto& [name, value] : copy.headers)
    if (is_kept(name)) found.add(name, value);
  check(std::equal(expected.begin(), expected.end(), found.begin(), found.end()), "headers stay");
}

template <class Parser>
void run(std::string_view input, std::size_t piece, const ParserLimits& limits, bool no_body) {
  const auto whole = read<Parser>(input, std::string_view::npos, limits, no_body);
  auto pieces = read<Parser>(input, piece, limits, no_body);
  // Once a header section came in parts, Beast waits for its end before it looks again, so what is
  // refused at once in one piece may be refused only then.
  if (pieces.text + "refused" == whole.text)
    pieces = read<Parser>(std::string(input) + "\r\n\r\n", piece, limits, no_body);
  check(whole.text == pieces.text, "the same however it arrives");
  for (const auto& request : whole.requests) survives_writing(request);
}

}  // namespace
}  // namespace doppel::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doppel::http;
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + (data[0] & 0x1F);
  ParserLimits limits;
  if ((data[0] & 0x40) != 0)
    limits = {.header_bytes_max = 100,
              .header_count_max = 4,
              .target_bytes_max = 20,
              .body_bytes_max = 30};
  if ((data[0] & 0x80) != 0)
    run<ResponseParser>(input, piece, limits, (data[0] & 0x20) != 0);
  else
    run<RequestParser>(input, piece, limits, false);
  return 0;
}
