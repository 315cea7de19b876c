// The handlers behind register_service_routes, one file for each group of calls: http_devices.cc,
// http_modules.cc, http_bulk.cc, http_twins.cc, http_query.cc.
#pragma once

#include <memory>
#include <string>

#include "hub/hubs.h"
#include "hub/wire/http_service_auth.h"
#include "protocol/http/message.h"
#include "protocol/http/router.h"

namespace doppel::hub {

class ServiceApi {
 public:
  ServiceApi(HubService& hubs, BearerCheck bearer) : hubs_(hubs), bearer_(std::move(bearer)) {}

  using Answer = Task<Result<http::Response>>;
  // `hub` is the one the caller proved a right on.
  using Action = Answer (ServiceApi::*)(HubName hub, http::Request request);

  // What every call has in common: api-version, rights, the shape of errors.
  Task<http::Response> serve(http::Request request, RequiredRight right, Action action);

  Answer list_devices(HubName hub, http::Request request);
  Answer get_device(HubName hub, http::Request request);
  Answer put_device(HubName hub, http::Request request);
  Answer delete_device(HubName hub, http::Request request);
  Answer device_statistics(HubName hub, http::Request request);
  Answer service_statistics(HubName hub, http::Request request);
  Answer bulk(HubName hub, http::Request request);
  Answer list_modules(HubName hub, http::Request request);
  Answer get_module(HubName hub, http::Request request);
  Answer put_module(HubName hub, http::Request request);
  Answer delete_module(HubName hub, http::Request request);
  Answer get_twin(HubName hub, http::Request request);
  Answer patch_twin(HubName hub, http::Request request);
  Answer put_twin(HubName hub, http::Request request);
  Answer query(HubName hub, http::Request request);

 private:
  Answer put_identity(HubName hub, http::Request request);
  Answer write_twin(HubName hub, http::Request request, bool replace);
  http::Response identity_response(const HubName& hub, const Identity& identity) const;

  HubService& hubs_;
  BearerCheck bearer_;
};

// The path's {id} and {mid}; without a {mid} a device's.
DeviceId device_param(const http::Request& request);
ModuleId module_param(const http::Request& request);
std::string if_match(const http::Request& request);

// The body as a JSON object. Errors: DeserializationError.
Result<json::Value> object_body(const http::Request& request);

}  // namespace doppel::hub
