// Incremental HTTP/1.1 parsers, for the server's and the client's side of a connection. No I/O: the
// caller owns the input buffer, feeds its front and removes what was consumed.
//
// Hardened where two readers of one byte stream could disagree about where a message ends (request
// smuggling, RFC 9112 section 11.2): more than one Content-Length or Transfer-Encoding, both at
// once, folded lines, NUL and other control characters, blanks around names are refused, never
// repaired.
//
// Not thread-safe; one parser per connection. The grammar is Boost.Beast's, which only parser.cc
// sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "protocol/http/message.h"

namespace doppel::http {

struct ParserLimits {
  // Start line and fields, all bytes counted. A SAS token or JWT takes up to 8 KiB, a continuation
  // token 8 KiB more.
  std::size_t header_bytes_max = 64 * 1024;
  std::size_t header_count_max = 128;
  std::size_t target_bytes_max = 16 * 1024;
  // 1 MiB is the largest body of the device and twin APIs (batch of telemetry, models, ARM
  // templates stay below); an upload route asks for more by set_body_bytes_max.
  std::size_t body_bytes_max = 4 * 1024 * 1024;
};

enum class ParseState : std::uint8_t {
  needs_more,        // the rest of the input stays with the caller until more arrives
  headers_complete,  // said once a message: head() is valid, a 100 (Continue) may be due
  complete,          // take() gives the message; bytes behind it belong to the next one
  failed,            // refusal() says why; the connection must be closed
};

struct Progress {
  std::size_t consumed = 0;  // to be removed from the front of the caller's buffer
  ParseState state = ParseState::needs_more;
};

// Why a message was refused. `reason` is static text.
struct Refusal {
  int status = 400;
  std::string_view reason;
};

class RequestParser {
 public:
  explicit RequestParser(const ParserLimits& limits = {});
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  // Advances by at most one step of ParseState; call again while it is not needs_more. Bytes that
  // were not consumed must be presented again, in front of new ones. Blank lines before a request
  // are skipped (RFC 9112 section 2.2).
  Progress feed(std::string_view input);

  // From headers_complete on: everything but the body. `path` and `query` are split from the
  // target; of an absolute target the authority has replaced the Host header (RFC 9112 3.2.2).
  const Request& head() const;
  bool expects_continue() const;  // the client waits for 100 before it sends the body
  bool wants_upgrade() const;     // Connection: upgrade
  bool keeps_alive() const;       // after the answer, by version and Connection header
  // For this message, between headers_complete and the next feed(), which fails with 413 when the
  // announced length is larger still. `bytes` is at least what the limits gave.
  void set_body_bytes_max(std::size_t bytes);

  // After complete: the request; the parser is ready for the next.
  Request take();

  const Refusal& refusal() const;
  // Whether nothing of a next message has been read: the connection may be closed without harm.
  bool is_idle() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class ResponseParser {
 public:
  explicit ResponseParser(const ParserLimits& limits = {});
  ~ResponseParser();
  ResponseParser(ResponseParser&&) noexcept;
  ResponseParser& operator=(ResponseParser&&) noexcept;

  // As RequestParser::feed. Answers 100 to 199 but 101 are skipped.
  Progress feed(std::string_view input);
  // The peer closed: completes a body that has no length, else fails.
  Progress finish();
  // The next answer belongs to a HEAD request: it has no body whatever it says.
  void expect_no_body();

  const Response& head() const;
  bool keeps_alive() const;
  Response take();
  const Refusal& refusal() const;
  bool is_idle() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doppel::http
