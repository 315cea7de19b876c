// Which hub a service call is for, and whether the caller may make it: SAS tokens of the hub's
// shared access policies, or bearer tokens with roles on the hub.
#pragma once

#include <functional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/http/message.h"
#include "resources/api.h"
#include "resources/catalog.h"

namespace doppel::hub {

// What a call needs: a right of SAS policies, and for bearer tokens whether it changes anything.
struct RequiredRight {
  resources::HubRight sas;
  bool writes = false;
};

// Verifies the value of an Authorization header that begins with "Bearer".
using BearerCheck = std::function<Result<resources::Principal>(std::string_view header)>;

// The hub, found by the Host header, else by the token's own host; where several hubs share a name,
// it is the one whose key signed the token, or on which the bearer has a role. The pointer lives as
// long as the catalog. Errors: IotHubUnauthorizedAccess, the reason in the message for the log.
Result<const resources::Hub*> authorize_service_call(const resources::Catalog& catalog,
                                                     const http::Request& request,
                                                     RequiredRight right, const BearerCheck& bearer,
                                                     TimePoint now);

}  // namespace doppel::hub
