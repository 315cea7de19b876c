// Lends net's HTTPS client to provisioning/, for linked hubs that are elsewhere.
#pragma once

#include <string>

#include "net/connect_time.h"
#include "net/http_client.h"
#include "provisioning/remote_hub.h"

namespace doppel::server {

class HttpRemoteHubs final : public provisioning::RemoteTransport {
 public:
  // `tls` says whom to trust.
  HttpRemoteHubs(net::HttpClient& client, net::TlsClientConfig tls)
      : client_(client), tls_(std::move(tls)) {}
  Task<Result<provisioning::RemoteReply>> send(provisioning::RemoteRequest request,
                                               provisioning::RemoteTimeouts timeouts,
                                               std::stop_token stop) override;
  Task<Result<Duration>> connect_time(std::string authority, provisioning::RemoteTimeouts timeouts,
                                      std::stop_token stop) override;

 private:
  net::HttpClient& client_;
  net::TlsClientConfig tls_;
  net::ConnectTimer timer_;
};

}  // namespace doppel::server
