// POST /devices: up to 100 registry operations in one request (iot-hub.md sections 5.1 and 6). Each
// device is a commit of its own; what failed is listed, with the same shape of answer for 200 and
// 400.
#include <fmt/core.h>

#include "base/encoding.h"
#include "errors/hub.h"
#include "hub/wire/http_errors.h"
#include "hub/wire/http_service_api.h"

namespace doppel::hub {
namespace {

constexpr std::size_t kBulkMax = 100;  // devices in one request

enum class ImportMode : std::uint8_t {
  create,
  update,
  update_if_match,
  remove,
  remove_if_match,
  create_or_update,
  create_or_update_if_match,
  update_twin,
  update_twin_if_match,
};
constexpr std::pair<std::string_view, ImportMode> kModes[] = {
    {"create", ImportMode::create},
    {"update", ImportMode::update},
    {"updateIfMatchETag", ImportMode::update_if_match},
    {"delete", ImportMode::remove},
    {"deleteIfMatchETag", ImportMode::remove_if_match},
    {"createOrUpdate", ImportMode::create_or_update},
    {"createOrUpdateIfMatchETag", ImportMode::create_or_update_if_match},
    {"updateTwin", ImportMode::update_twin},
    {"updateTwinIfMatchETag", ImportMode::update_twin_if_match},
};

// Node writes "Update", .NET "update": without regard to case. Missing: createOrUpdate.
Result<ImportMode> parse_mode(const json::Value& device) {
  const auto text = json::get_string_or(device, "importMode", "createOrUpdate");
  for (const auto& [name, mode] : kModes)
    if (equal_ignoring_case(text, name)) return mode;
  return fail(errors::hub::kArgumentInvalid, fmt::format("'{}' is not an importMode.", text));
}

struct BulkItem {
  ImportMode mode = ImportMode::create_or_update;
  Identity identity{};
  std::string etag{};
  std::string twin_etag{};
  TwinWrite twin{};
};

Result<BulkItem> parse_item(const json::Value& device) {
  BulkItem item;
  const auto mode = parse_mode(device);
  if (!mode) return fail(mode.error());
  item.mode = *mode;
  auto identity = parse_identity(device);
  if (!identity) return fail(std::move(identity.error()));
  item.identity = std::move(*identity);
  item.identity.device_id = DeviceId(json::get_string_or(device, "id", {}));
  item.identity.module_id = ModuleId(json::get_string_or(device, "moduleId", {}));
  item.etag = json::get_string_or(device, "eTag", {});
  item.twin_etag = json::get_string_or(device, "twinETag", {});
  if (const auto* tags = json::find(device, "tags"); tags != nullptr && tags->is_object())
    item.twin.tags = tags->get_object();
  const auto* properties = json::find(device, "properties");
  const auto* desired = properties ? json::find(*properties, "desired") : nullptr;
  if (desired != nullptr && desired->is_object()) item.twin.desired = desired->get_object();
  return item;
}

bool has_twin(const BulkItem& item) { return item.twin.tags || item.twin.desired; }

Task<Status> create(HubService& hubs, HubName hub, BulkItem item) {
  std::optional<InitialTwin> initial;
  if (has_twin(item)) {
    initial.emplace();
    initial->tags = item.twin.tags.value_or(json::Object());
    initial->desired = item.twin.desired.value_or(json::Object());
  }
  const auto created =
      co_await hubs.create_with_twin(std::move(hub), std::move(item.identity), std::move(initial));
  if (!created) co_return fail(created.error());
  co_return Status();
}

Task<Status> update_twin(HubService& hubs, HubName hub, BulkItem item, std::string etag) {
  const auto updated =
      co_await hubs.update_twin(std::move(hub), item.identity.device_id, item.identity.module_id,
                                std::move(item.twin), std::move(etag));
  if (!updated) co_return fail(updated.error());
  co_return Status();
}

Task<Status> update(HubService& hubs, HubName hub, BulkItem item, std::string etag) {
  const auto updated = co_await hubs.update_identity(hub, item.identity, std::move(etag));
  if (!updated) co_return fail(updated.error());
  if (!has_twin(item)) co_return Status();
  co_return co_await update_twin(hubs, std::move(hub), std::move(item), {});
}

Task<Status> create_or_update(HubService& hubs, HubName hub, BulkItem item, std::string etag) {
  auto updated = co_await update(hubs, hub, item, std::move(etag));
  if (updated || updated.error().code != Code::not_found) co_return updated;
  co_return co_await create(hubs, std::move(hub), std::move(item));
}

Task<Status> apply(HubService& hubs, HubName hub, BulkItem item) {
  const auto etag = item.etag;
  const auto twin_etag = item.twin_etag;
  const auto device = item.identity.device_id;
  const auto module = item.identity.module_id;
  switch (item.mode) {
    case ImportMode::create:
      co_return co_await create(hubs, std::move(hub), std::move(item));
    case ImportMode::update:
      co_return co_await update(hubs, std::move(hub), std::move(item), {});
    case ImportMode::update_if_match:
      co_return co_await update(hubs, std::move(hub), std::move(item), etag);
    case ImportMode::remove:
      co_return co_await hubs.delete_identity(std::move(hub), device, module, {});
    case ImportMode::remove_if_match:
      co_return co_await hubs.delete_identity(std::move(hub), device, module, etag);
    case ImportMode::create_or_update:
      co_return co_await create_or_update(hubs, std::move(hub), std::move(item), {});
    case ImportMode::create_or_update_if_match:
      co_return co_await create_or_update(hubs, std::move(hub), std::move(item), etag);
    case ImportMode::update_twin:
      co_return co_await update_twin(hubs, std::move(hub), std::move(item), {});
    case ImportMode::update_twin_if_match:
      co_return co_await update_twin(hubs, std::move(hub), std::move(item), twin_etag);
  }
  co_return fail(Code::internal, "an import mode without a meaning");
}

json::Object error_record(const json::Value& device, const Error& error) {
  const auto& seen = service_error(error);
  json::Object record{
      {"deviceId", json::get_string_or(device, "id", {})},
      {"errorCode", seen.number},
      {"errorStatus", error.message.empty() ? std::string(seen.text) : error.message}};
  if (const auto module = json::find_string(device, "moduleId")) record["moduleId"] = *module;
  return record;
}

Result<json::Array> parse_list(const http::Request& request) {
  auto body = json::parse(request.body);
  if (!body) return fail(errors::hub::kDeserializationError, std::move(body.error().message));
  if (!body->is_array())
    return fail(errors::hub::kDeserializationError, "The body must be a JSON array.");
  auto& list = body->get_array();
  if (list.empty() || list.size() > kBulkMax) {
    return fail(errors::hub::kArgumentInvalid,
                fmt::format("A bulk operation takes 1 to {} devices.", kBulkMax));
  }
  for (const auto& device : list) {
    if (!device.is_object())
      return fail(errors::hub::kDeserializationError, "Each device must be a JSON object.");
  }
  return std::move(list);
}

}  // namespace

ServiceApi::Answer ServiceApi::bulk(HubName hub, http::Request request) {
  const auto list = parse_list(request);
  if (!list) co_return fail(list.error());
  json::Array failures;
  for (const auto& device : *list) {
    auto item = parse_item(device);
    if (!item) {
      failures.emplace_back(error_record(device, item.error()));
      continue;
    }
    const auto applied = co_await apply(hubs_, hub, std::move(*item));
    if (!applied) failures.emplace_back(error_record(device, applied.error()));
  }
  const bool is_successful = failures.empty();
  const json::Object body{{"isSuccessful", is_successful},
                          {"errors", std::move(failures)},
                          {"warnings", json::Array()}};
  co_return http::Response::json(is_successful ? 200 : 400, json::write(body));
}

}  // namespace doppel::hub
