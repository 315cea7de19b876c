#include "server/remote_hub_transport.h"

#include <utility>

namespace doppel::server {

Task<Result<provisioning::RemoteReply>> HttpRemoteHubs::send(provisioning::RemoteRequest request,
                                                             provisioning::RemoteTimeouts timeouts,
                                                             std::stop_token stop) {
  http::Headers headers;
  for (const auto& [name, value] : request.headers) headers.set(name, value);
  net::HttpCallOptions options;
  options.connect_timeout = timeouts.connect;
  options.total_timeout = timeouts.total;
  options.response_bytes_max = provisioning::kRemoteReplyMax;
  options.tls = tls_;
  auto response =
      co_await client_.send(std::move(request.method), std::move(request.url), std::move(headers),
                            std::move(request.body), std::move(options), std::move(stop));
  if (!response) co_return fail(std::move(response.error()));
  co_return provisioning::RemoteReply{.status = response->status,
                                      .body = std::move(response->body)};
}

Task<Result<Duration>> HttpRemoteHubs::connect_time(std::string authority,
                                                    provisioning::RemoteTimeouts timeouts,
                                                    std::stop_token stop) {
  if (stop.stop_requested()) co_return fail(Code::cancelled, "the server stops");
  const auto url = net::parse_url("https://" + authority);
  if (!url) co_return fail(url.error());
  co_return co_await timer_.measure(url->host, url->port, timeouts.connect);
}

}  // namespace doppel::server
