#include "functions/allocation.h"

#include <utility>

#include <fmt/format.h>

#include "base/encoding.h"

namespace doppel::functions {
namespace {

struct Request {
  std::string registration_id;
  std::string first_hub;
  Dtmi model;  // empty: the device named none
};

Result<Request> read_request(const json::Value& body) {
  Request request;
  const json::Value* context = json::find(body, "deviceRuntimeContext");
  request.registration_id =
      context != nullptr ? json::get_string_or(*context, "registrationId", "") : "";
  if (request.registration_id.empty())
    return fail(Code::invalid_argument, "Registration ID not provided for the device.");

  const json::Value* hubs = json::find(body, "linkedHubs");
  if (hubs == nullptr || !hubs->is_array() || hubs->get_array().empty() ||
      !json::is_string(hubs->get_array()[0]))
    return fail(Code::invalid_argument, "No hub group defined for the enrollment.");
  request.first_hub = json::view(hubs->get_array()[0].get_string());

  // The sample answers 500 to a missing payload; here the twin's model or the default takes its
  // place.
  const json::Value* payload = json::find(*context, "payload");
  if (payload != nullptr) request.model = Dtmi(json::get_string_or(*payload, "modelId", ""));
  return request;
}

// What the sample writes: the model, and a Temperature that its telemetry function can then
// replace.
Result<json::Object> new_twin_body(const twins::TwinGraphs& twins, const AppSettings& settings,
                                   const Dtmi& model) {
  const json::Value zero = 0.0;
  json::Object body;
  body["$metadata"] = json::Object{{"$model", model.str()}};
  const auto has_temperature = twins.has_property(settings.instance, model, "Temperature");
  if (!has_temperature) {
    return fail(Code::internal,
                fmt::format("The model {} is not in the Digital Twins instance {}; upload it with "
                            "`doppel dt model create`.",
                            model.view(), settings.instance.view()));
  }
  if (*has_temperature && twins.check_property(settings.instance, model, "Temperature", zero))
    body["Temperature"] = zero;
  return body;
}

AllocationAnswer answer_for(const Request& request, const AppSettings& settings,
                            const Dtmi& model) {
  hub::InitialTwin initial;
  initial.tags["dtmi"] = model.str();
  initial.tags["dtId"] = request.registration_id;
  return AllocationAnswer{
      .hub_host_name = request.first_hub,
      .device_id = std::nullopt,
      .initial_twin = std::move(initial),
      .payload = std::nullopt,
      .digital_twin = std::pair(settings.instance, DigitalTwinId(request.registration_id))};
}

}  // namespace

Task<Result<AllocationAnswer>> allocate_digital_twin(store::Transaction& tx,
                                                     twins::TwinGraphs& twins, AppSettings settings,
                                                     json::Value body) {
  auto request = read_request(body);
  if (!request) co_return fail(std::move(request.error()));
  const DigitalTwinId id(request->registration_id);

  auto existing = co_await twins.find_twin(tx, settings.instance, id);
  if (!existing) co_return fail(std::move(existing.error()));

  Dtmi model = request->model;
  if (existing->has_value()) {
    const Dtmi& present = (*existing)->model;
    const bool same = model.empty() || equal_ignoring_case(model.view(), present.view());
    if (same || settings.on_model_change == OnModelChange::keep)
      co_return answer_for(*request, settings, present);
    if (settings.on_model_change == OnModelChange::fail) {
      co_return fail(
          Code::invalid_argument,
          fmt::format(
              "The digital twin {} has the model {}; the device names {} and the function app's "
              "ON_MODEL_CHANGE is fail.",
              id.view(), present.view(), model.view()));
    }
  }
  if (model.empty()) model = settings.default_model;
  if (model.empty())
    co_return fail(Code::invalid_argument,
                   "The device names no modelId and the function app has no DEFAULT_MODEL_ID.");

  auto twin = new_twin_body(twins, settings, model);
  if (!twin) co_return fail(std::move(twin.error()));
  auto put = co_await twins.put_twin(tx, settings.instance, id, std::move(*twin));
  // Whatever the twin graph refuses is the function's failure, not the device's bad request.
  if (!put) co_return fail(Code::internal, std::move(put.error().message));
  co_return answer_for(*request, settings, model);
}

json::Value to_json(const AllocationAnswer& answer) {
  json::Object out;
  out["iotHubHostName"] = answer.hub_host_name;
  if (answer.initial_twin) {
    out["initialTwin"] =
        json::Object{{"tags", answer.initial_twin->tags},
                     {"properties", json::Object{{"desired", answer.initial_twin->desired}}}};
  }
  if (answer.payload) out["payload"] = *answer.payload;
  return out;
}

}  // namespace doppel::functions
