// /digitaltwins, /digitaltwins/{id}, its components and its telemetry
#include <errors/twins.h>
#include <fmt/core.h>

#include "twins/dtdl/time_values.h"
#include "twins/limits.h"
#include "twins/wire/http_answer.h"
#include "twins/wire/routes.h"

namespace doppel::twins::wire {
namespace {

http::Response show(DigitalTwin twin, std::string_view api_version) {
  if (!has_update_times(api_version)) strip_update_times(twin.document);
  return answer(200, json::Value(std::move(twin.document)), twin.etag);
}

}  // namespace

// Ours, not Azure's: docs/wire/extensions.md.
Task<http::Response> Routes::list_twins(Call call) {
  const auto size = page_size(call.request, kTwinsPageMax);
  if (!size) co_return answer(size.error());
  const std::string after(call.request.query_value("after").value_or(""));
  if (!after.empty() && !is_valid_id(after)) {
    const Error error =
        fail(errors::twins::kInvalidArgument, "`after` must be the id of a digital twin.").error();
    co_return answer(error);
  }
  auto found = co_await service_.list_twin_documents(call.instance, DigitalTwinId(after), *size);
  if (!found) co_return answer(found.error());
  json::Array items;
  for (auto& twin : found->items) {
    if (!has_update_times(call.api_version)) strip_update_times(twin.document);
    items.push_back(std::move(twin.document));
  }
  json::Object page;
  page["value"] = std::move(items);
  page["nextLink"] = nullptr;
  if (!found->next.empty())
    page["nextLink"] = link("/digitaltwins", {{"api-version", call.api_version},
                                              {kPageSizeQuery, std::to_string(*size)},
                                              {"after", found->next}});
  co_return answer(200, json::Value(std::move(page)));
}

Task<http::Response> Routes::get_twin(Call call) {
  auto twin = co_await service_.get_existing_twin(call.instance, call.twin());
  if (!twin) co_return answer(twin.error());
  co_return show(std::move(*twin), call.api_version);
}

Task<http::Response> Routes::put_twin(Call call) {
  auto put = read_conditional_object(call.request, kTwinBodyBytesMax,
                                     "A digital twin must be a JSON object.");
  if (!put) co_return answer(put.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.put_twin_if(tx, call.instance, call.twin(), put->body, put->condition);
  };
  auto twin = co_await store::transact<DigitalTwin>(service_.store(), stage);
  if (!twin) co_return answer(twin.error());
  co_return show(std::move(*twin), call.api_version);
}

Task<http::Response> Routes::patch_twin(Call call) {
  auto patch = read_conditional_patch(call.request, kTwinBodyBytesMax);
  if (!patch) co_return answer(patch.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.patch_twin_if(tx, call.instance, call.twin(), patch->operations,
                                  patch->condition);
  };
  auto twin = co_await store::transact<DigitalTwin>(service_.store(), stage);
  if (!twin) co_return answer(twin.error());
  co_return no_content(twin->etag);
}

Task<http::Response> Routes::delete_twin(Call call) {
  auto condition = read_condition(call.request);
  if (!condition) co_return answer(condition.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.delete_twin_if(tx, call.instance, call.twin(), *condition);
  };
  auto done = co_await transact_status(service_.store(), stage);
  if (!done) co_return answer(done.error());
  co_return no_content();
}

Task<http::Response> Routes::get_component(Call call) {
  auto twin = co_await service_.get_existing_twin(call.instance, call.twin());
  if (!twin) co_return answer(twin.error());
  auto component = TwinService::component_of(*twin, call.component());
  if (!component) co_return answer(component.error());
  json::Object document = **component;
  if (!has_update_times(call.api_version)) strip_update_times(document);
  co_return answer(200, json::Value(std::move(document)), twin->etag);
}

Task<http::Response> Routes::patch_component(Call call) {
  auto patch = read_conditional_patch(call.request, kTwinBodyBytesMax);
  if (!patch) co_return answer(patch.error());
  const auto stage = [&](store::Transaction& tx) {
    return service_.patch_component_if(tx, call.instance, call.twin(), call.component(),
                                       patch->operations, patch->condition);
  };
  auto twin = co_await store::transact<DigitalTwin>(service_.store(), stage);
  if (!twin) co_return answer(twin.error());
  co_return no_content(twin->etag);
}

Task<http::Response> Routes::post_telemetry(Call call) {
  Telemetry telemetry{
      .component = call.component(), .payload = {}, .message_id = {}, .source_time = {}};
  // JS 1.1.0 swaps payload and message id of component telemetry: any text is an id, any JSON value
  // a payload.
  telemetry.message_id = call.request.headers.get_or("Message-Id", "");
  telemetry.source_time = call.request.headers.get_or("Telemetry-Source-Time", "");
  std::string problem;
  if (telemetry.message_id.empty())
    problem = "The header Message-Id is missing.";
  else if (telemetry.message_id.size() > kMessageIdBytesMax)
    problem = fmt::format("The header Message-Id is longer than {} bytes.", kMessageIdBytesMax);
  else if (!telemetry.source_time.empty() && !dtdl::is_date_time(telemetry.source_time))
    problem = "The header Telemetry-Source-Time is not an RFC 3339 time.";
  if (!problem.empty()) {
    const Error error = fail(errors::twins::kInvalidArgument, std::move(problem)).error();
    co_return answer(error);
  }
  auto body = parse_body(call.request, kTelemetryBytesMax);
  if (!body) co_return answer(body.error());
  telemetry.payload = call.request.body;
  const auto stage = [&](store::Transaction& tx) {
    return service_.publish_telemetry(tx, call.instance, call.twin(), telemetry);
  };
  auto done = co_await transact_status(service_.store(), stage);
  if (!done) co_return answer(done.error());
  co_return no_content();
}

}  // namespace doppel::twins::wire
