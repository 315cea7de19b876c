// The one file that includes Boost.Beast, and of it only the grammar of HTTP/1.1. It takes the
// header-only form, so that no separately compiled part of Beast is needed anywhere.
#undef BOOST_BEAST_SEPARATE_COMPILATION
#include "protocol/http/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <functional>
#include <optional>

#include "base/check.h"
#include "base/encoding.h"
#include "protocol/http/target.h"

namespace doppel::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastText = boost::beast::string_view;

constexpr std::size_t kBodyReserveMax = 64 * 1024;  // bytes; a claimed length is not yet a body
// "0" CRLF CRLF. Beast asserts that it is never asked twice about fewer bytes of a chunk header.
constexpr std::size_t kChunkHeaderBytesMin = 5;
constexpr Refusal kBodyTooLarge{413, "body is larger than the limit"};

std::string_view view(BeastText text) { return {text.data(), text.size()}; }

// What the parsers of both directions watch while fields arrive.
class FieldWatch {
 public:
  explicit FieldWatch(const ParserLimits& limits) : limits_(limits) {}

  void set_input_end(const char* end) { input_end_ = end; }

  // The refusal of a field, or nullopt when it may stay.
  std::optional<Refusal> judge(beast_http::field field, std::string_view name,
                               std::string_view value) {
    if (++header_count_ > limits_.header_count_max) return Refusal{431, "too many header fields"};
    if (is_folded(name, value)) return Refusal{400, "folded header line"};
    switch (field) {
      case beast_http::field::content_length:
        if (++content_lengths_ > 1) return Refusal{400, "more than one Content-Length"};
        if (!std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; }))
          return Refusal{400, "Content-Length is not one number"};
        break;
      case beast_http::field::transfer_encoding:
        if (++transfer_encodings_ > 1) return Refusal{400, "more than one Transfer-Encoding"};
        if (!equal_ignoring_case(value, "chunked"))
          return Refusal{501, "Transfer-Encoding is not chunked"};
        break;
      case beast_http::field::host:
        if (++hosts_ > 1) return Refusal{400, "more than one Host"};
        break;
      default:
        break;
    }
    return std::nullopt;
  }

  std::size_t hosts() const { return hosts_; }
  std::size_t transfer_encodings() const { return transfer_encodings_; }

 private:
  // Beast repairs folded lines: in a buffer of its own, or, when the first line is empty, by
  // stepping over the line break. Neither passes here (RFC 9112 section 5.2).
  bool is_folded(std::string_view name, std::string_view value) const {
    const char* name_end = name.data() + name.size();
    const std::less<const char*> before;
    if (before(value.data(), name_end) || before(input_end_, value.data())) return true;
    return std::find(name_end, value.data(), '\n') != value.data();
  }

  ParserLimits limits_;
  const char* input_end_ = nullptr;
  std::size_t header_count_ = 0;
  std::size_t content_lengths_ = 0;
  std::size_t transfer_encodings_ = 0;
  std::size_t hosts_ = 0;
};

Refusal refusal_of(const error_code& error) {
  using beast_http::error;
  // Beast's own checks, in our words. Anything not named is a plain grammar error.
  if (error == error::header_limit) return {431, "header section is too large"};
  if (error == error::bad_version) return {400, "not HTTP/1.0 or HTTP/1.1"};
  if (error == error::bad_method) return {400, "bad method"};
  if (error == error::bad_target) return {400, "bad request target"};
  if (error == error::bad_field || error == error::bad_value) return {400, "bad header field"};
  if (error == error::bad_content_length || error == error::multiple_content_length)
    return {400, "bad Content-Length"};
  if (error == error::bad_transfer_encoding) return {400, "bad Transfer-Encoding"};
  if (error == error::bad_chunk || error == error::bad_chunk_extension) return {400, "bad chunk"};
  if (error == error::partial_message) return {400, "the message stops half way"};
  return {400, "not a well-formed HTTP message"};
}

// Beast's callbacks, filled into a Request or a Response.
template <bool is_request, class Message>
class Core final : public beast_http::basic_parser<is_request> {
 public:
  Core(const ParserLimits& limits, Message& message)
      : limits_(limits), message_(message), watch_(limits) {
    // Beast applies it to the start line and to the fields separately; Driver sums them up.
    this->header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
    // Beast judges a Content-Length before the caller has seen the header section and could allow
    // more, so the body's limit is kept here.
    this->body_limit(boost::none);
  }

  // One step of Beast over the front of `input`; returns what it consumed.
  std::size_t step(std::string_view input, error_code& error) {
    if (awaits_chunk_header() && input.size() < kChunkHeaderBytesMin) {
      error = beast_http::error::need_more;
      return 0;
    }
    watch_.set_input_end(input.data() + input.size());
    return this->put(boost::asio::const_buffer(input.data(), input.size()), error);
  }

  Refusal refusal(const error_code& error) const { return refusal_.value_or(refusal_of(error)); }
  const FieldWatch& watch() const { return watch_; }
  int version() const { return version_; }

  void set_body_bytes_max(std::size_t bytes) { limits_.body_bytes_max = bytes; }
  bool is_announced_too_large() const {
    const auto length = this->content_length();
    return length && *length > limits_.body_bytes_max;
  }

  bool awaits_chunk_header() const {
    return this->is_header_done() && this->chunked() && chunk_remaining_ == 0;
  }

 private:
  void refuse(Refusal why, error_code& error) {
    refusal_ = why;
    error = beast_http::error::bad_value;
  }

  void on_request_impl(beast_http::verb, BeastText method, BeastText target, int version,
                       error_code& error) override {
    if constexpr (is_request) {
      message_.method = view(method);
      message_.target = view(target);
      if (target.size() > limits_.target_bytes_max)
        return refuse({414, "request target is too long"}, error);
    }
    version_ = version;
  }

  void on_response_impl(int code, BeastText, int version, error_code&) override {
    if constexpr (!is_request) message_.status = code;
    version_ = version;
  }

  void on_field_impl(beast_http::field field, BeastText name, BeastText value,
                     error_code& error) override {
    if (auto why = watch_.judge(field, view(name), view(value))) return refuse(*why, error);
    // Trailers count towards the limits and are dropped: nothing here uses one, and merged into
    // the header section they could overrule it (RFC 9110 section 6.5.1).
    if (!this->is_header_done()) message_.headers.add(view(name), view(value));
  }

  void on_header_impl(error_code& error) override {
    if (watch_.transfer_encodings() > 0 && version_ < 11)
      refuse({400, "Transfer-Encoding in HTTP/1.0"}, error);
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) message_.body.reserve(std::min<std::uint64_t>(*length, kBodyReserveMax));
  }
  std::size_t on_body_impl(BeastText body, error_code& error) override {
    if (body.size() > limits_.body_bytes_max - message_.body.size()) {
      refuse(kBodyTooLarge, error);  // of an answer without a length
      return 0;
    }
    message_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t size, BeastText, error_code& error) override {
    if (size > limits_.body_bytes_max - message_.body.size()) return refuse(kBodyTooLarge, error);
    chunk_remaining_ = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastText body, error_code&) override {
    chunk_remaining_ -= body.size();
    message_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  ParserLimits limits_;
  Message& message_;
  FieldWatch watch_;
  std::optional<Refusal> refusal_;
  std::uint64_t chunk_remaining_ = 0;
  int version_ = 11;
};

// The part of both parsers that drives a Core and turns its errors into states.
template <bool is_request, class Message>
struct Driver {
  explicit Driver(const ParserLimits& given) : limits(given) { reset(); }

  void reset() {
    message = {};
    core.emplace(limits, message);
    said_headers = false;
    started = false;
    failed = false;
    header_bytes = 0;
  }

  Progress fail(Refusal why, std::size_t consumed) {
    refusal = why;
    failed = true;
    return {consumed, ParseState::failed};
  }

  // `judge_head` runs once, when the header section is complete.
  template <class JudgeHead>
  Progress feed(std::string_view input, JudgeHead judge_head) {
    if (failed) return {0, ParseState::failed};
    std::size_t consumed = started ? 0 : blank_lines(input);
    // Half a blank line; Beast would take it for a method.
    if (!started && input.substr(consumed) == "\r") return {consumed, ParseState::needs_more};
    for (;;) {
      if (core->is_header_done() && !said_headers) {
        if (auto why = judge_head()) return fail(*why, consumed);
        said_headers = true;
        return {consumed, ParseState::headers_complete};
      }
      if (core->is_done()) return {consumed, ParseState::complete};
      if (said_headers && core->is_announced_too_large()) return fail(kBodyTooLarge, consumed);
      if (consumed == input.size()) return {consumed, ParseState::needs_more};
      started = true;
      error_code error;
      const bool is_counted = !core->is_header_done() || core->awaits_chunk_header();
      const std::size_t stepped = core->step(input.substr(consumed), error);
      consumed += stepped;
      if (error && error != beast_http::error::need_more)
        return fail(core->refusal(error), consumed);
      // The raw bytes of the header section, or of one chunk header with its extensions (the last
      // one: with the trailers), which Beast does not bound. Counted here with what waits for its
      // end (at least one byte more), so that the limit is the same however the bytes arrive.
      if (core->is_header_done() && is_counted && said_headers) header_bytes = 0;
      if (is_counted) header_bytes += stepped;
      const bool waits = static_cast<bool>(error);
      if (is_counted &&
          header_bytes + (waits ? input.size() - consumed + 1 : 0) > limits.header_bytes_max)
        return fail({431, "header section is too large"}, consumed);
      if (waits) return {consumed, ParseState::needs_more};
    }
  }

  static std::size_t blank_lines(std::string_view input) {
    std::size_t skipped = 0;
    while (input.substr(skipped).starts_with("\r\n")) skipped += 2;
    return skipped;
  }

  ParserLimits limits;
  Message message;
  std::optional<Core<is_request, Message>> core;
  Refusal refusal;
  bool said_headers = false;
  bool started = false;
  bool failed = false;
  std::size_t header_bytes = 0;
};

}  // namespace

struct RequestParser::Impl : Driver<true, Request> {
  using Driver::Driver;

  std::optional<Refusal> judge_head() {
    const auto target = split_target(message.target);
    if (!target) return Refusal{400, "bad request target"};
    if (target->path == "*" && message.method != "OPTIONS")
      return Refusal{400, "only OPTIONS may have the target *"};
    message.path = target->path;
    message.query = parse_query(target->query);
    if (!target->authority.empty())
      message.headers.set("Host", target->authority);
    else if (core->watch().hosts() == 0 && core->version() >= 11)
      return Refusal{400, "HTTP/1.1 without Host"};
    const auto expectation = message.headers.find("Expect");
    if (expectation && !equal_ignoring_case(*expectation, "100-continue"))
      return Refusal{417, "only 100-continue may be expected"};
    return std::nullopt;
  }
};

RequestParser::RequestParser(const ParserLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

Progress RequestParser::feed(std::string_view input) {
  return impl_->feed(input, [this] { return impl_->judge_head(); });
}

const Request& RequestParser::head() const { return impl_->message; }

bool RequestParser::expects_continue() const {
  // An HTTP/1.0 client cannot mean it (RFC 9110 section 10.1.1).
  return impl_->core->version() >= 11 && impl_->message.headers.find("Expect").has_value() &&
         !impl_->core->is_done() && !impl_->core->is_announced_too_large();
}

bool RequestParser::wants_upgrade() const {
  return impl_->core->upgrade() && impl_->message.headers.find("Upgrade").has_value();
}

bool RequestParser::keeps_alive() const { return impl_->core->keep_alive(); }

void RequestParser::set_body_bytes_max(std::size_t bytes) {
  impl_->core->set_body_bytes_max(bytes);
}

Request RequestParser::take() {
  check(impl_->core->is_done(), "a request is taken when it is complete");
  Request request = std::move(impl_->message);
  impl_->reset();
  return request;
}

const Refusal& RequestParser::refusal() const { return impl_->refusal; }
bool RequestParser::is_idle() const { return !impl_->started; }

struct ResponseParser::Impl : Driver<false, Response> {
  using Driver::Driver;

  void next_message() {
    reset();
    if (skips_body) core->skip(true);
  }

  bool skips_body = false;
};

ResponseParser::ResponseParser(const ParserLimits& limits)
    : impl_(std::make_unique<Impl>(limits)) {}
ResponseParser::~ResponseParser() = default;
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser& ResponseParser::operator=(ResponseParser&&) noexcept = default;

Progress ResponseParser::feed(std::string_view input) {
  std::size_t skipped = 0;
  for (;;) {
    auto progress = impl_->feed(input.substr(skipped), [] { return std::optional<Refusal>(); });
    progress.consumed += skipped;
    const int status = impl_->message.status;
    const bool is_interim = status >= 100 && status < 200 && status != 101;
    if (progress.state != ParseState::headers_complete || !is_interim) return progress;
    skipped = progress.consumed;
    impl_->next_message();
  }
}

Progress ResponseParser::finish() {
  if (impl_->failed) return {0, ParseState::failed};
  if (impl_->core->is_done()) return {0, ParseState::complete};
  if (!impl_->core->got_some()) return impl_->fail({400, "closed without an answer"}, 0);
  error_code error;
  impl_->core->put_eof(error);
  if (error) return impl_->fail(impl_->core->refusal(error), 0);
  return {0, ParseState::complete};
}

void ResponseParser::expect_no_body() {
  check(is_idle(), "said before the answer begins");
  impl_->skips_body = true;
  impl_->core->skip(true);
}
const Response& ResponseParser::head() const { return impl_->message; }
bool ResponseParser::keeps_alive() const { return impl_->core->keep_alive(); }

Response ResponseParser::take() {
  check(impl_->core->is_done(), "a response is taken when it is complete");
  Response response = std::move(impl_->message);
  impl_->skips_body = false;
  impl_->next_message();
  return response;
}

const Refusal& ResponseParser::refusal() const { return impl_->refusal; }
bool ResponseParser::is_idle() const { return !impl_->started; }

}  // namespace doppel::http
