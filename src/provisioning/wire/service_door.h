// The door of the service API: who may, in which version, and errors as clients see them. Every
// route of services goes through here, Azure's and ours alike.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/http/router.h"
#include "provisioning/api.h"
#include "provisioning/wire/http_service.h"

namespace doppel::provisioning {

// Any thread.
class ServiceDoor {
 public:
  // `provisioning` outlives the door.
  ServiceDoor(Provisioning& provisioning, BearerCheck bearer)
      : provisioning_(provisioning), clock_(provisioning.clock()), bearer_(std::move(bearer)) {}

  // `caller`: who it is, for logs and records: a policy's name or a client ID.
  using Handler =
      std::function<Task<Result<http::Response>>(http::Request, Instance, std::string caller)>;
  // Runs `handler` for a caller who holds `right`: by a shared access policy's token, or by a
  // bearer token with a role. What goes wrong is answered with the body of dps.md section 1.6, and
  // logged where the operator should know.
  Task<http::Response> handle(http::Request request, resources::DpsRight right,
                              Handler handler) const;

 private:
  struct Granted {
    Instance instance;
    std::string caller;
  };
  Result<Granted> authorize(const http::Request& request, resources::DpsRight right) const;
  Result<Granted> authorize_sas(const http::Request& request, std::string_view header,
                                resources::DpsRight right) const;

  Provisioning& provisioning_;
  const Clock& clock_;
  BearerCheck bearer_;
};

// The JSON body of a service's request. Errors: TooLarge, NotJson, BadRequest.
Result<json::Value> read_service_body(const http::Request& request);

}  // namespace doppel::provisioning
