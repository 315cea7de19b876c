#include "protocol/websocket/handshake.h"

#include <algorithm>
#include <array>

#include <openssl/sha.h>

#include "base/encoding.h"

namespace doppel::websocket {
namespace {

constexpr std::string_view kVersion = "13";
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3
constexpr std::size_t kKeyBytes = 16;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Calls `visit` with each element of the comma-separated lists in all fields of that name, in
// order, until it returns true; returns whether it did.
template <class Visit>
bool any_list_element(const http::Headers& headers, std::string_view name, Visit visit) {
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(','), rest.size());
      if (visit(trim(rest.substr(0, end)))) return true;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return false;
}

bool has_element(const http::Headers& headers, std::string_view name, std::string_view wanted) {
  return any_list_element(headers, name,
                          [&](std::string_view e) { return equal_ignoring_case(e, wanted); });
}

ServerHandshake refuse(int status, std::string_view why) {
  auto response = http::Response::text(status, std::string(why));
  if (status == 426) {
    response.headers.add("Sec-WebSocket-Version", kVersion);
    response.headers.add("Upgrade", "websocket");
  }
  return {.response = std::move(response)};
}

}  // namespace

std::string accept_value(std::string_view key) {
  const std::string text = std::string(key) + std::string(kGuid);
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

bool wants_websocket(const http::Request& request) {
  return has_element(request.headers, "Upgrade", "websocket");
}

ServerHandshake accept_websocket(const http::Request& request,
                                 std::span<const std::string_view> supported) {
  const auto& headers = request.headers;
  if (request.method != "GET") return refuse(400, "A WebSocket is opened with GET.");
  if (!wants_websocket(request) || !has_element(headers, "Connection", "Upgrade"))
    return refuse(426, "This address speaks WebSocket only.");
  if (trim(headers.get_or("Sec-WebSocket-Version", "")) != kVersion)
    return refuse(426, "Only version 13 of WebSocket is spoken here.");
  const auto key = trim(headers.get_or("Sec-WebSocket-Key", ""));
  const auto key_bytes = base64_decode(key);
  if (!key_bytes || key_bytes->size() != kKeyBytes)
    return refuse(400, "Sec-WebSocket-Key is not the base64 form of 16 bytes.");

  std::string_view chosen;
  std::string_view spelling;
  any_list_element(headers, "Sec-WebSocket-Protocol", [&](std::string_view offered) {
    const auto found = std::ranges::find_if(
        supported, [&](std::string_view one) { return equal_ignoring_case(one, offered); });
    if (found == supported.end()) return false;
    chosen = *found;
    spelling = offered;
    return true;
  });
  if (chosen.empty()) return refuse(400, "No offered sub-protocol is spoken here.");

  auto response = http::Response::empty(101);
  response.headers.add("Upgrade", "websocket");
  response.headers.add("Sec-WebSocket-Accept", accept_value(key));
  response.headers.add("Sec-WebSocket-Protocol", spelling);
  return {.response = std::move(response), .protocol = chosen};
}

http::Request make_client_request(std::string_view host, std::string_view path,
                                  std::string_view protocol, std::string_view key) {
  http::Request request;
  request.method = "GET";
  request.target = path;
  request.headers.add("Host", host);
  request.headers.add("Upgrade", "websocket");  // the serializer adds Connection: Upgrade
  request.headers.add("Sec-WebSocket-Version", kVersion);
  request.headers.add("Sec-WebSocket-Key", key);
  request.headers.add("Sec-WebSocket-Protocol", protocol);
  return request;
}

Status verify_server_response(const http::Response& response, std::string_view protocol,
                              std::string_view key) {
  const auto& headers = response.headers;
  if (response.status != 101) return fail(Code::bad_gateway, "the server refused the WebSocket");
  if (!has_element(headers, "Upgrade", "websocket") ||
      !has_element(headers, "Connection", "Upgrade"))
    return fail(Code::bad_gateway, "the server upgraded to something else");
  if (headers.get_or("Sec-WebSocket-Accept", "") != accept_value(key))
    return fail(Code::bad_gateway, "Sec-WebSocket-Accept does not answer our key");
  if (!equal_ignoring_case(headers.get_or("Sec-WebSocket-Protocol", ""), protocol))
    return fail(Code::bad_gateway, "the server chose another sub-protocol");
  if (headers.find("Sec-WebSocket-Extensions"))
    return fail(Code::bad_gateway, "the server uses an extension that was not offered");
  return {};
}

}  // namespace doppel::websocket
