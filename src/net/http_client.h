// An asynchronous HTTP/1.1 client with TLS verification, time limits and a small pool of kept
// connections: calls webhooks, and carries the command line.
#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "net/loop.h"
#include "net/tls.h"
#include "protocol/http/message.h"

namespace doppel::net {

struct HttpCallOptions {
  // To connect and shake hands, over all addresses of the host; and for everything.
  Duration connect_timeout = std::chrono::seconds(10);
  Duration total_timeout = std::chrono::seconds(100);
  std::size_t response_bytes_max = 16 * 1024 * 1024;
  TlsClientConfig tls{};
};

// Connections to one origin at a time; more calls wait, and when too many wait they fail.
inline constexpr std::size_t kConnectionsPerOriginMax = 32;
inline constexpr std::size_t kWaitingCallsMax = 4096;
// How long a connection is kept unused. Shorter than servers keep theirs, so ours closes first.
inline constexpr Duration kKeptConnectionMax = std::chrono::seconds(20);

class HttpClient {
 public:
  // Works on one of the loops, which outlive the client.
  explicit HttpClient(Loops& loops);
  // Fails calls that are under way with `cancelled`. Not from a loop.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends one request to `url` and waits for the whole answer, whatever its status. Redirects are
  // not followed. From any executor. Content-Length and Connection are set here, Host unless the
  // caller did.
  //
  // Errors: invalid_argument (the URL, a header, the CA), unavailable (no connection, or it broke;
  // whether the server acted is unknown unless the message says "not sent"), timeout, cancelled
  // (`stop`), too_large (the answer), bad_gateway (not HTTP), throttled (too many calls wait).
  // A GET, HEAD, PUT, DELETE or OPTIONS that meets a kept connection just closed is sent again
  // once.
  Task<Result<http::Response>> send(std::string method, std::string url, http::Headers headers,
                                    std::string body, HttpCallOptions options = {},
                                    std::stop_token stop = {});

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace doppel::net
