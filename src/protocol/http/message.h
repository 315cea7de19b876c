// HTTP requests and answers as the services see them: whole messages, no sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"

// OpenSSL's certificate and its chain, opaque here: only security/ looks inside.
struct x509_st;
struct stack_st_X509;

namespace doppel::http {

// What is known of the connection a request or packet came by. Owned by the connection; outlives
// the request.
struct PeerInfo {
  std::string address{};  // "127.0.0.1:51234" or "[::1]:51234"
  bool is_loopback = false;
  std::string server_name{};              // SNI, empty without
  x509_st* client_certificate = nullptr;  // the leaf the device presented, unverified; null without
  stack_st_X509* client_chain = nullptr;  // what else it sent, unverified
};

// Header names compare without case and keep their spelling and order.
class Headers {
 public:
  std::optional<std::string_view> find(std::string_view name) const;  // the first of that name
  std::string_view get_or(std::string_view name, std::string_view fallback) const;
  void set(std::string_view name, std::string_view value);  // replaces all of that name
  void add(std::string_view name, std::string_view value);
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method{};                                      // "GET"
  std::string target{};                                      // as sent: raw path and query
  std::string path{};                                        // raw path, still percent-encoded
  std::vector<std::pair<std::string, std::string>> query{};  // decoded; order kept
  Headers headers{};
  std::string body{};  // complete, chunking removed
  const PeerInfo* peer = nullptr;
  std::string tracking_id{};  // a fresh uuid: goes into logs, error bodies and x-ms-request-id
  std::stop_token stop{};     // requested when the peer is gone or the server stops

  // Filled by the router: values of the {names} in the route, percent-decoded.
  std::vector<std::pair<std::string, std::string>> params{};

  // Query keys and parameter names compare without case.
  std::optional<std::string_view> query_value(std::string_view name) const;
  std::string_view param(std::string_view name) const;  // empty if the route has none of that name
  std::string_view host() const;                        // Host header without port; empty without
};

struct Response {
  int status = 200;
  Headers headers{};
  std::string body{};

  static Response json(int status, std::string body);  // application/json; charset=utf-8
  static Response text(int status, std::string body);
  static Response empty(int status);
};

// Handlers are called on the connection's executor, one at a time for a connection. They never
// throw; an exception is answered with 500 and logged. `Request` is moved into the task.
using Handler = std::function<Task<Response>(Request)>;

std::string_view reason_phrase(int status);

}  // namespace doppel::http
