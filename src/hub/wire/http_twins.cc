// /twins/{id} and /twins/{id}/modules/{mid}.
#include <fmt/core.h>

#include "errors/hub.h"
#include "hub/wire/http_service_api.h"

namespace doppel::hub {
namespace {

http::Response twin_response(const TwinView& view) {
  auto response = http::Response::json(200, json::write(twin_document(view)));
  response.headers.set("ETag", fmt::format("\"{}\"", twin_etag(view.twin)));
  return response;
}

// A section of the body; null counts as left out, anything but an object is refused.
Status take_section(const json::Value* section, std::string_view name,
                    std::optional<json::Object>& to) {
  if (section == nullptr || section->is_null()) return {};
  if (!section->is_object())
    return fail(errors::hub::kArgumentInvalid,
                fmt::format("Provided json is not a valid '{}' object.", name));
  to = section->get_object();
  return {};
}

// Only tags and properties.desired can be written by services; whatever else a whole twin has, and
// SDKs send back, is ignored.
Result<TwinWrite> parse_twin_write(const json::Value& body) {
  TwinWrite write;
  if (auto ok = take_section(json::find(body, "tags"), "tags", write.tags); !ok)
    return fail(std::move(ok.error()));
  const auto* properties = json::find(body, "properties");
  if (properties == nullptr || properties->is_null()) return write;
  if (!properties->is_object())
    return fail(errors::hub::kArgumentInvalid, "Provided json is not a valid 'properties' object.");
  if (auto ok = take_section(json::find(*properties, "desired"), "properties", write.desired); !ok)
    return fail(std::move(ok.error()));
  return write;
}

}  // namespace

ServiceApi::Answer ServiceApi::get_twin(HubName hub, http::Request request) {
  const auto view = co_await hubs_.get_twin(hub, device_param(request), module_param(request));
  if (!view) co_return fail(view.error());
  co_return twin_response(*view);
}

ServiceApi::Answer ServiceApi::patch_twin(HubName hub, http::Request request) {
  co_return co_await write_twin(std::move(hub), std::move(request), false);
}

ServiceApi::Answer ServiceApi::put_twin(HubName hub, http::Request request) {
  co_return co_await write_twin(std::move(hub), std::move(request), true);
}

ServiceApi::Answer ServiceApi::write_twin(HubName hub, http::Request request, bool replace) {
  const auto body = object_body(request);
  if (!body) co_return fail(body.error());
  auto write = parse_twin_write(*body);
  if (!write) co_return fail(std::move(write.error()));
  write->replace = replace;
  const auto view = co_await hubs_.update_twin(hub, device_param(request), module_param(request),
                                               std::move(*write), if_match(request));
  if (!view) co_return fail(view.error());
  co_return twin_response(*view);
}

}  // namespace doppel::hub
