#include "server/webhook_client.h"

#include <utility>

namespace doppel::server {

Task<Result<provisioning::WebhookReply>> HttpWebhookClient::post(
    std::string url, std::string body, provisioning::WebhookTimeouts timeouts,
    std::stop_token stop) {
  http::Headers headers;
  headers.set("Content-Type", "application/json; charset=utf-8");
  net::HttpCallOptions options;
  options.connect_timeout = timeouts.connect;
  options.total_timeout = timeouts.total;
  options.response_bytes_max = provisioning::kWebhookReplyMax;
  options.tls = tls_;
  auto response = co_await client_.send("POST", std::move(url), std::move(headers), std::move(body),
                                        std::move(options), std::move(stop));
  if (!response) co_return fail(std::move(response.error()));
  co_return provisioning::WebhookReply{.status = response->status,
                                       .body = std::move(response->body)};
}

}  // namespace doppel::server
