#include "protocol/http/message.h"

#include <algorithm>
#include <iterator>

#include "base/encoding.h"

namespace doppel::http {
namespace {

using Reason = std::pair<int, std::string_view>;

// RFC 9110 section 15, by status.
constexpr Reason kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};
static_assert(std::ranges::is_sorted(kReasons, {}, &Reason::first));

}  // namespace

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (equal_ignoring_case(key, name)) return value;
  return std::nullopt;
}

std::string_view Headers::get_or(std::string_view name, std::string_view fallback) const {
  return find(name).value_or(fallback);
}

void Headers::set(std::string_view name, std::string_view value) {
  std::string kept(value);  // `value` may point into what is erased
  std::string key(name);
  std::erase_if(fields_, [&](const auto& field) { return equal_ignoring_case(field.first, key); });
  fields_.emplace_back(std::move(key), std::move(kept));
}

void Headers::add(std::string_view name, std::string_view value) {
  std::string key(name);
  fields_.emplace_back(std::move(key), std::string(value));
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (equal_ignoring_case(key, name)) return value;
  return std::nullopt;
}

std::string_view Request::param(std::string_view name) const {
  for (const auto& [key, value] : params)
    if (equal_ignoring_case(key, name)) return value;
  return {};
}

std::string_view Request::host() const {
  const auto host = headers.get_or("Host", {});
  // "[::1]:8443" keeps its colons inside the brackets.
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

Response Response::json(int status, std::string body) {
  Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.add("Content-Type", "application/json; charset=utf-8");
  return response;
}

Response Response::text(int status, std::string body) {
  Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  return response;
}

Response Response::empty(int status) { return {.status = status, .headers = {}, .body = {}}; }

std::string_view reason_phrase(int status) {
  const auto* const found = std::ranges::lower_bound(kReasons, status, {}, &Reason::first);
  return found != std::end(kReasons) && found->first == status ? found->second : "Unknown";
}

}  // namespace doppel::http
