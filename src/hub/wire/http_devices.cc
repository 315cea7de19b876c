// /devices, /devices/{id}, their modules, and /statistics.
#include <charconv>

#include <fmt/core.h>

#include "errors/hub.h"
#include "hub/wire/http_service_api.h"

namespace doppel::hub {
namespace {

// ?top=N, 1 to 1000; all that one answer may hold when it is left out.
Result<std::size_t> parse_top(const http::Request& request) {
  const auto text = request.query_value("top");
  if (!text || text->empty()) return kListMax;
  std::size_t top = 0;
  const auto* end = text->data() + text->size();
  const auto [stopped, error] = std::from_chars(text->data(), end, top);
  if (error != std::errc() || stopped != end || top == 0 || top > kListMax)
    return fail(errors::hub::kArgumentInvalid, "top must be a number from 1 to 1000.");
  return top;
}

// The ID in the body, when there is one, is the path's.
Status check_same_id(const json::Value& body, std::string_view name, std::string_view id) {
  const auto* member = json::find(body, name);
  if (member == nullptr || member->is_null()) return {};
  if (json::find_string(body, name) == id) return {};
  return fail(errors::hub::kArgumentInvalid,
              fmt::format("{} of the body is not the one in the path.", name));
}

}  // namespace

http::Response ServiceApi::identity_response(const HubName& hub, const Identity& identity) const {
  const auto presence = hubs_.presence(hub, identity.device_id, identity.module_id);
  auto response = http::Response::json(
      200, json::write(identity.module_id.empty() ? device_document(identity, presence)
                                                  : module_document(identity, presence)));
  response.headers.set("ETag", fmt::format("\"{}\"", identity.etag.view()));
  return response;
}

ServiceApi::Answer ServiceApi::list_devices(HubName hub, http::Request request) {
  const auto top = parse_top(request);
  if (!top) co_return fail(top.error());
  auto identities = co_await hubs_.list_identities(hub, *top);
  if (!identities) co_return fail(std::move(identities.error()));
  json::Array list;
  for (const auto& identity : *identities)
    list.emplace_back(
        device_document(identity, hubs_.presence(hub, identity.device_id, identity.module_id)));
  co_return http::Response::json(200, json::write(list));
}

ServiceApi::Answer ServiceApi::get_device(HubName hub, http::Request request) {
  auto identity = co_await hubs_.get_identity(hub, device_param(request), module_param(request));
  if (!identity) co_return fail(std::move(identity.error()));
  co_return identity_response(hub, *identity);
}

ServiceApi::Answer ServiceApi::put_device(HubName hub, http::Request request) {
  co_return co_await put_identity(std::move(hub), std::move(request));
}

// Without If-Match it creates, with it it updates.
ServiceApi::Answer ServiceApi::put_identity(HubName hub, http::Request request) {
  auto body = object_body(request);
  if (!body) co_return fail(std::move(body.error()));
  auto wanted = parse_identity(*body);
  if (!wanted) co_return fail(std::move(wanted.error()));
  wanted->device_id = device_param(request);
  wanted->module_id = module_param(request);
  if (auto ok = check_same_id(*body, "deviceId", wanted->device_id.view()); !ok)
    co_return fail(std::move(ok.error()));
  if (!wanted->module_id.empty()) {
    if (auto ok = check_same_id(*body, "moduleId", wanted->module_id.view()); !ok)
      co_return fail(std::move(ok.error()));
  }
  auto condition = if_match(request);
  auto identity = co_await (
      condition.empty() ? hubs_.create_identity(hub, std::move(*wanted))
                        : hubs_.update_identity(hub, std::move(*wanted), std::move(condition)));
  if (!identity) co_return fail(std::move(identity.error()));
  co_return identity_response(hub, *identity);
}

ServiceApi::Answer ServiceApi::delete_device(HubName hub, http::Request request) {
  auto deleted = co_await hubs_.delete_identity(hub, device_param(request), module_param(request),
                                                if_match(request));
  if (!deleted) co_return fail(std::move(deleted.error()));
  co_return http::Response::empty(204);
}

ServiceApi::Answer ServiceApi::list_modules(HubName hub, http::Request request) {
  auto modules = co_await hubs_.list_modules(hub, device_param(request));
  if (!modules) co_return fail(std::move(modules.error()));
  json::Array list;
  for (const auto& identity : *modules)
    list.emplace_back(
        module_document(identity, hubs_.presence(hub, identity.device_id, identity.module_id)));
  co_return http::Response::json(200, json::write(list));
}

ServiceApi::Answer ServiceApi::get_module(HubName hub, http::Request request) {
  co_return co_await get_device(std::move(hub), std::move(request));
}

ServiceApi::Answer ServiceApi::put_module(HubName hub, http::Request request) {
  co_return co_await put_identity(std::move(hub), std::move(request));
}

ServiceApi::Answer ServiceApi::delete_module(HubName hub, http::Request request) {
  co_return co_await delete_device(std::move(hub), std::move(request));
}

ServiceApi::Answer ServiceApi::device_statistics(HubName hub, http::Request) {
  const auto counts = co_await hubs_.statistics(hub);
  if (!counts) co_return fail(counts.error());
  const json::Object body{{"totalDeviceCount", counts->total},
                          {"enabledDeviceCount", counts->enabled},
                          {"disabledDeviceCount", counts->disabled}};
  co_return http::Response::json(200, json::write(body));
}

ServiceApi::Answer ServiceApi::service_statistics(HubName hub, http::Request) {
  const json::Object body{{"connectedDeviceCount", hubs_.connected_count(hub)}};
  co_return http::Response::json(200, json::write(body));
}

}  // namespace doppel::hub
