// Lends net's HTTPS client to provisioning/, for allocation functions that live elsewhere.
#pragma once

#include "net/http_client.h"
#include "provisioning/allocation.h"

namespace doppel::server {

class HttpWebhookClient final : public provisioning::WebhookClient {
 public:
  explicit HttpWebhookClient(net::HttpClient& client) : client_(client) {}
  Task<Result<provisioning::WebhookReply>> post(std::string url, std::string body,
                                                provisioning::WebhookTimeouts timeouts,
                                                std::stop_token stop) override;

 private:
  net::HttpClient& client_;
};

}  // namespace doppel::server
