// Lends net's HTTPS client to provisioning/, for allocation functions that live elsewhere.
#pragma once

#include "net/http_client.h"
#include "provisioning/allocation.h"

namespace doppel::server {

class HttpWebhookClient final : public provisioning::WebhookClient {
 public:
  // `tls` says whom to trust.
  HttpWebhookClient(net::HttpClient& client, net::TlsClientConfig tls)
      : client_(client), tls_(std::move(tls)) {}
  Task<Result<provisioning::WebhookReply>> post(std::string url, std::string body,
                                                provisioning::WebhookTimeouts timeouts,
                                                std::stop_token stop) override;

 private:
  net::HttpClient& client_;
  net::TlsClientConfig tls_;
};

}  // namespace doppel::server
