#include "protocol/http/serializer.h"

#include <algorithm>
#include <iterator>

#include <fmt/core.h>

#include "base/encoding.h"

namespace doppel::http {
namespace {

bool is_token(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";  // RFC 9110 section 5.6.2
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.contains(c);
  });
}

bool is_ours(std::string_view name) {
  return equal_ignoring_case(name, "Content-Length") ||
         equal_ignoring_case(name, "Transfer-Encoding") || equal_ignoring_case(name, "Connection");
}

void append_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20 && c != '\t') || byte == 0x7F ? ' ' : c;
  }
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_value(out, value);
  out += "\r\n";
}

void append_length(std::string& out, std::size_t size) {
  fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", size);
}

void append_fields(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers)
    if (is_token(name) && !is_ours(name)) append_field(out, name, value);
}

// RFC 9110 section 6.4.1 and 8.6: neither a body nor a length.
bool never_has_body(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

void append_response(std::string& out, const Response& response, AfterMessage after,
                     bool answers_head) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status,
                 reason_phrase(response.status));
  append_fields(out, response.headers);
  const bool has_body = !never_has_body(response.status);
  if (has_body) append_length(out, response.body.size());
  if (response.status == 101)
    out += "Connection: Upgrade\r\n";
  else if (after == AfterMessage::close)
    out += "Connection: close\r\n";
  out += "\r\n";
  if (has_body && !answers_head) out += response.body;
}

void append_request(std::string& out, const Request& request) {
  fmt::format_to(std::back_inserter(out), "{} {} HTTP/1.1\r\n", request.method, request.target);
  append_fields(out, request.headers);
  const bool usually_has_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (usually_has_body || !request.body.empty()) append_length(out, request.body.size());
  if (request.headers.find("Upgrade")) out += "Connection: Upgrade\r\n";
  out += "\r\n";
  out += request.body;
}

void append_continue(std::string& out) { out += "HTTP/1.1 100 Continue\r\n\r\n"; }

}  // namespace doppel::http
